//! Whether a run can fit into memory, before it is allocated.

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
        "a run on {height} x {width} pixels needs about {:.1} GiB of memory, but this machine has {:.1} for it: lower tile-size or tile-memory, or use a smaller network",
        needed / GIB,
        allowed / GIB
    ))
}

/// Bytes of memory of this machine that can be allocated without swapping.
#[cfg(target_os = "linux")]
pub(crate) fn available() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0)
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
}
