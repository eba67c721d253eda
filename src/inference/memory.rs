//! Whether a run can fit into memory, before it is allocated.

#[cfg(target_os = "linux")]
use std::path::Path;

/// Memory that is assumed if the machine doesn't report it.
const ASSUMED: f64 = (64_u64 << 30) as f64;

const GIB: f64 = (1_u64 << 30) as f64;

/// Refuses a run on `height` x `width` pixels whose feature maps need more than `share` (0 to 1) of the memory that
/// other programs have left. If memory is merely short, the run itself fails.
pub(super) fn check(
    bytes_per_pixel: f64,
    [height, width]: [usize; 2],
    share: f64,
) -> Result<(), String> {
    let needed = bytes_per_pixel.max(4.0) * height as f64 * width as f64;
    let allowed = share * available().unwrap_or(ASSUMED);
    if needed <= allowed {
        return Ok(());
    }
    // Also if it is infinite.
    Err(format!(
        "a run on {height} x {width} pixels needs about {:.1} GiB of memory, but only {:.1} GiB are available for it: lower tile-size or tile-memory, or use a smaller network",
        needed / GIB,
        allowed / GIB
    ))
}

/// Bytes of memory that this process may allocate at most without swapping: what the machine has left, or the limit of
/// the container or batch job if that is lower.
#[cfg(target_os = "linux")]
pub(crate) fn available() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit(Path::new("/sys/fs/cgroup"), &groups);
    Some(limit.map_or(kib * 1024.0, |limit| limit.min(kib * 1024.0)))
}

/// The lowest limit among the control groups that `groups` lists (as /proc/self/cgroup does) and those around them, in
/// bytes. What the group uses already is not subtracted: much of it is files that the kernel lets go.
#[cfg(target_os = "linux")]
fn limit(root: &Path, groups: &str) -> Option<f64> {
    let files = groups.lines().flat_map(|line| {
        // In the first version of control groups, each kind of limit has a tree of its own.
        let (tree, path, name) = match line.split_once(":memory:") {
            Some((_, path)) => (root.join("memory"), path, "memory.limit_in_bytes"),
            None => (root.into(), line.strip_prefix("0::")?, "memory.max"),
        };
        let groups = Path::new(path).ancestors();
        let within = groups.map(|group| group.strip_prefix("/").unwrap_or(group));
        Some(
            within
                .map(|group| tree.join(group).join(name))
                .collect::<Vec<_>>(),
        )
    });
    // A group without a limit says `max`.
    let limits = files.flatten().filter_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        text.trim().parse::<f64>().ok()
    });
    limits.reduce(f64::min)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn available() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_larger_than_any_machine_is_refused() {
        assert_eq!(check(1000.0, [512; 2], 1.0), Ok(()));
        assert!(check(1000.0, [1 << 20; 2], 1.0).is_err());
        assert!(check(1000.0, [512; 2], 1e-9).is_err());
        assert!(check(f64::NAN, [1 << 20; 2], 1.0).is_err());
        assert!(check(f64::INFINITY, [1; 2], 1.0).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_lowest_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("jobs/one/memory.max", "max\n");
        let found = |groups| limit(root.path(), groups);
        assert_eq!(found("0::/jobs/one\n"), None);
        write("jobs/memory.max", "4096\n");
        assert_eq!(found("0::/jobs/one\n"), Some(4096.0));
        write("memory/job/memory.limit_in_bytes", "2048\n");
        assert_eq!(
            found("5:cpu:/job\n4:memory:/job\n0::/jobs/one\n"),
            Some(2048.0)
        );
        assert_eq!(found(""), None);
    }
}
