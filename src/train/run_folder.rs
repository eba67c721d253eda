//! The folder of a run: everything needed to repeat it, to resume it, and to judge it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::arguments::quoted;
use super::config::Config;
use super::replace::{WriteError, missing, replace};

/// `cells.run` beside `cells.onnx`. All of its files are replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder of the run that writes `model`.
    pub fn beside(model: &Path) -> Self {
        RunFolder(model.with_extension("run"))
    }

    /// The folder at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        RunFolder(path.into())
    }

    /// Keeps other programs out of the folder, which is created if it is missing, for as long as the lock lives.
    pub fn lock(&self) -> Result<Lock, LockError> {
        let write = |error| {
            let file = self.0.clone();
            LockError::Write(WriteError { file, error })
        };
        let parents = missing(&self.0).skip(1).map(Path::to_owned).collect();
        fs::create_dir_all(&self.0).map_err(write)?;
        let file = File::create(self.0.join(LOCK)).map_err(write)?;
        let is_held = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(LockError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => false,
            Err(TryLockError::Error(error)) => return Err(write(error)),
        };
        Ok(Lock {
            _file: file,
            folder: self.0.clone(),
            parents,
            is_held,
        })
    }

    /// Writes the options of the run and the names of the images that are held back, and removes the checkpoint and the
    /// reports of an earlier run: the checkpoint first, for a run that is killed here must not be resumed from it.
    pub fn begin<'a>(
        &self,
        config: &Config,
        held_back: impl Iterator<Item = &'a str>,
    ) -> Result<(), WriteError> {
        let files = [self.checkpoint(), self.report(), self.curves()];
        for file in files.into_iter().chain(self.samples()) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(WriteError { file, error });
                }
                _ => (),
            }
        }
        self.write_config(config)?;
        let names: String = held_back.flat_map(|name| [name, "\n"]).collect();
        replace(&self.held_back(), names.as_bytes())
    }

    /// Writes the options of the run.
    pub fn write_config(&self, config: &Config) -> Result<(), WriteError> {
        replace(&self.config(), config.to_string().as_bytes())
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All options, with which the run can be repeated.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The command that continues the run.
    pub fn resume_command(&self) -> String {
        let config = self.config();
        let config = quoted(&config.to_string_lossy());
        format!("unet-train train --config {config} --resume")
    }

    /// The names of the images that are held back, one per line, as `unet-train evaluate --only` reads them.
    pub fn held_back(&self) -> PathBuf {
        self.0.join("held-back.txt")
    }

    /// The checkpoint to resume from.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("last.checkpoint")
    }

    /// A line for each step.
    pub fn steps(&self) -> PathBuf {
        self.0.join("log.csv")
    }

    /// Curves of loss and scores, as a picture.
    pub fn curves(&self) -> PathBuf {
        self.0.join("curves.png")
    }

    /// Curves, scores, settings and sample predictions, as a page for a browser.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// The prediction of the best network for a held-back image: sample `number` of the run, of the image of this name,
    /// whose slashes become dashes. A long name is cut off.
    pub fn sample(&self, number: usize, name: &str) -> PathBuf {
        let name = name[..name.floor_char_boundary(LONGEST)].replace('/', "-");
        self.0.join(format!("{SAMPLE}{number}-{name}.png"))
    }

    /// The files of all samples that are there.
    fn samples(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(SAMPLE) && name.ends_with(".png")
        })
    }

    /// A line for each validation.
    pub fn validations(&self) -> PathBuf {
        self.0.join("validations.csv")
    }
}

/// Name of the file that is locked.
const LOCK: &str = "lock";

/// Prefix of the names of samples.
const SAMPLE: &str = "sample-";

/// Most bytes of an image's name in the name of its sample; file systems allow 255 for the whole name.
const LONGEST: usize = 100;

/// Keeps other programs out of the folder of a run.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    folder: PathBuf,
    /// The folders around it that were created for it, the innermost first.
    parents: Vec<PathBuf>,
    is_held: bool,
}

impl Lock {
    /// Whether other programs are really kept out: some network file systems can't lock files.
    pub fn is_held(&self) -> bool {
        self.is_held
    }
}

/// Whether a lock failed because the file system has none, or its server none to give.
fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    // ENOTSUP is another number on macOS, and the same on Linux, where a pattern of both would not be reached.
    let is_known = matches!(
        error.raw_os_error(),
        Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::ENOLCK)
    ) || error.raw_os_error() == Some(libc::ENOTSUP);
    #[cfg(not(unix))]
    let is_known = false;
    is_known || error.kind() == io::ErrorKind::Unsupported
}

impl Drop for Lock {
    /// Removes the folder of a run that was refused before it started, and those that were created for it.
    fn drop(&mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        if entries.count() == 1 {
            let _ = fs::remove_file(self.folder.join(LOCK));
            for folder in std::iter::once(&self.folder).chain(&self.parents) {
                // A folder that can't be removed does no harm; one that holds anything is left.
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program uses it.
    #[error(
        "another unet-train is at work in {}; wait until it ends, or name another --output",
        .0.display()
    )]
    Taken(PathBuf),
    /// It can't be made.
    #[error(transparent)]
    Write(WriteError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_program_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::beside(&folder.path().join("cells.onnx"));
        let first = run.lock().unwrap();
        assert!(matches!(run.lock(), Err(LockError::Taken(_))));
        drop(first);
        assert!(run.lock().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_no_fault() {
        for code in [libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP, libc::ENOLCK] {
            assert!(is_unsupported(&io::Error::from_raw_os_error(code)));
        }
        assert!(!is_unsupported(&io::Error::from_raw_os_error(libc::EIO)));
    }

    #[test]
    fn a_run_that_never_began_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::beside(&folder.path().join("new/place/cells.onnx"));
        drop(run.lock().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        let lock = run.lock().unwrap();
        let earlier = [run.checkpoint(), run.report(), run.sample(0, "01/t000")];
        for file in &earlier {
            fs::write(file, "of an earlier run").unwrap();
        }
        run.begin(&Config::default(), ["a", "b"].into_iter())
            .unwrap();
        drop(lock);
        assert_eq!(fs::read_to_string(run.held_back()).unwrap(), "a\nb\n");
        assert!(!earlier.iter().any(|file| file.exists()));
    }

    #[test]
    fn samples_have_names_of_their_own_that_a_file_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::at(folder.path());
        // 240 bytes, and two names that are one without their slashes.
        let names = ["細胞".repeat(40), "01/t0".into(), "01-t0".into()];
        for (number, name) in names.iter().enumerate() {
            replace(&run.sample(number, name), name.as_bytes()).unwrap();
        }
        assert_eq!(run.samples().count(), 3);
        assert!(run.path().join("sample-1-01-t0.png").exists());
    }
}
