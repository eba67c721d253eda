//! Files that are either the old or the new one, whatever happens in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}: {error}", file.display())]
pub struct WriteError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Writes `bytes` to `path` by way of a file beside it, which then takes its name: a full disk or a
/// power cut leaves what was there before.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let part = part(path);
    let written = File::create(&part)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, path));
    written.map_err(|error| {
        // What can't be written can perhaps be removed; the first error is the one to tell.
        let _ = fs::remove_file(part);
        let file = path.into();
        WriteError { file, error }
    })
}

/// Whether [`replace`] could write `path`, tried before hours of work depend on it.
pub fn check(path: &Path) -> Result<(), WriteError> {
    try_part(path).map_err(|error| {
        let file = path.into();
        WriteError { file, error }
    })
}

fn try_part(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let part = part(path);
    File::create(&part)?;
    fs::remove_file(part)
}

/// The first of these files that is there already, unless they may be replaced.
pub fn kept(files: impl IntoIterator<Item = PathBuf>, overwrite: bool) -> Option<PathBuf> {
    let mut files = files.into_iter().filter(|_| !overwrite);
    files.find(|file| file.exists())
}

/// The file that is written first.
fn part(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_or_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        replace(&path, b"first").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");

        // A folder in the way of the part lets the writing fail.
        fs::create_dir(folder.path().join("model.onnx.part")).unwrap();
        replace(&path, b"third").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn what_could_not_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("model.onnx")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        check(folder.path()).unwrap_err();
        check(&folder.path().join("missing/model.onnx")).unwrap_err();
    }
}
