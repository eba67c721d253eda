//! The folder of a run: what it takes to repeat it, to go on with it, and to judge it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::replace::{WriteError, replace};

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

    /// Keeps other programs out of the folder, which is made where it is missing, for as long as what this
    /// returns lives.
    pub fn lock(&self) -> Result<Lock, LockError> {
        let write = |error| {
            let file = self.0.clone();
            LockError::Write(WriteError { file, error })
        };
        fs::create_dir_all(&self.0).map_err(write)?;
        let file = File::create(self.0.join(LOCK)).map_err(write)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock {
                _file: file,
                folder: self.0.clone(),
            }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(write(error)),
        }
    }

    /// Writes the options of the run and the names of the images that are held back, and removes what an
    /// earlier run has told of itself: its checkpoint first, for one that is killed here must not go on with that.
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
        replace(&self.config(), config.to_string().as_bytes())?;
        let names: String = held_back.flat_map(|name| [name, "\n"]).collect();
        replace(&self.held_back(), names.as_bytes())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All options, with which the run can be repeated.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The names of the images that are held back, one a line, as `unet-train evaluate --only` reads them.
    pub fn held_back(&self) -> PathBuf {
        self.0.join("held-back.txt")
    }

    /// What it takes to go on.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("last.checkpoint")
    }

    /// A line for each step.
    pub fn steps(&self) -> PathBuf {
        self.0.join("log.csv")
    }

    /// The course of the run as a picture.
    pub fn curves(&self) -> PathBuf {
        self.0.join("curves.png")
    }

    /// Curves, scores, settings and sample predictions, as a page for a browser.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// What the best network finds in a held-back image: sample `number` of the run, of the image of this name, whose
    /// slashes become dashes. Of a long name only the beginning is told.
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

/// What the names of samples begin with.
const SAMPLE: &str = "sample-";

/// Bytes of the name of an image that the file of its sample has for its own; file systems take 255 for all of it.
const LONGEST: usize = 100;

/// Keeps other programs out of the folder of a run.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    folder: PathBuf,
}

impl Drop for Lock {
    /// Leaves no folder behind of a run that was refused before it began.
    fn drop(&mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        if entries.count() == 1 {
            // Nobody needs to know of what could not be tidied up.
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program uses it.
    #[error(
        "another unet-train is at work in {}; wait for its end, or name another --output",
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

    #[test]
    fn a_run_that_never_began_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::beside(&folder.path().join("cells.onnx"));
        drop(run.lock().unwrap());
        assert!(!run.path().exists());

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
