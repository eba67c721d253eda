//! Replaces files as a whole: whatever happens in between, a file is either the old or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}: {}", file.display(), why(file, error))]
pub struct WriteError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// What the user can do about it, where that is not plain from the error; otherwise the error.
fn why(file: &Path, error: &io::Error) -> String {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => {
            format!("there is no folder {}: create it first", folder.display())
        }
        _ => error.to_string(),
    }
}

/// Writes `bytes` to a file beside `path`, which is then renamed to it: a full disk or a power cut leaves the old file.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let part = part(path);
    let written = File::create(&part)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, path));
    written.map_err(|error| {
        // It may still be possible to remove it; the first error is the one to report.
        let _ = fs::remove_file(part);
        let file = path.into();
        WriteError { file, error }
    })
}

/// Checks that [`replace`] can write `path`, before hours of work depend on it.
pub fn check(path: &Path) -> Result<(), WriteError> {
    try_beside(path).map_err(|error| {
        let file = path.into();
        WriteError { file, error }
    })
}

/// The same for the file `name` in `folder`, which is created later if it is missing.
pub fn check_in(folder: &Path, name: &str) -> Result<(), WriteError> {
    // A missing folder can be created where a file of this name can be written.
    let outermost = missing(folder).last();
    let file = folder.join(name);
    let place = outermost.map_or(file.clone(), |missing| missing.with_file_name(name));
    try_beside(&place).map_err(|error| WriteError {
        file: file.clone(),
        error,
    })
}

/// This folder and those around it, as far as they are missing: the innermost first.
pub fn missing(folder: &Path) -> impl Iterator<Item = &Path> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    folder.ancestors().take_while(is_missing)
}

/// Creates and removes another file than [`part`], which another program may be writing.
fn try_beside(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // As long as the ending of a part, so that a name that is too long for it is too long here.
    let trial = beside(path, &format!(".{:04x}", std::process::id() & 0xffff));
    File::create_new(&trial)?;
    fs::remove_file(trial)
}

/// An existing file that would be lost.
#[derive(Debug, thiserror::Error)]
#[error("{} is there already: name another --output, or replace it by --overwrite", .0.display())]
pub struct Exists(PathBuf);

/// Refuses to replace any of these files, unless `overwrite`.
pub fn allow(files: impl IntoIterator<Item = PathBuf>, overwrite: bool) -> Result<(), Exists> {
    let mut files = files.into_iter().filter(|_| !overwrite);
    match files.find(|file| file.exists()) {
        Some(file) => Err(Exists(file)),
        None => Ok(()),
    }
}

/// The file that is written first.
fn part(path: &Path) -> PathBuf {
    beside(path, ".part")
}

/// The path with `ending` added to its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(ending);
    file.into()
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
    fn files_that_can_not_be_written_are_refused_before() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("model.onnx")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        check(folder.path()).unwrap_err();
        let error = check(&folder.path().join("missing/model.onnx")).unwrap_err();
        let error = error.to_string();
        assert!(error.ends_with("missing: create it first"), "{error}");
    }

    #[test]
    fn a_part_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(part(&path), "half a model").unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read(part(&path)).unwrap(), b"half a model");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn existing_files_are_lost_only_where_they_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let files = || ["a.png", "b.png"].map(|name| folder.path().join(name));
        allow(files(), false).unwrap();
        fs::write(&files()[1], "precious").unwrap();
        let error = allow(files(), false).unwrap_err().to_string();
        assert!(error.contains("b.png is there already: name"), "{error}");
        allow(files(), true).unwrap();
    }

    #[test]
    fn missing_folders_are_checked_and_not_created() {
        let folder = tempfile::tempdir().unwrap();
        check_in(folder.path(), "a.png").unwrap();
        check_in(&folder.path().join("not/there"), "a.png").unwrap();
        // 255 bytes with the ending of a part, and one more.
        let name = "a".repeat(250);
        check_in(&folder.path().join("not/there"), &name).unwrap();
        check_in(&folder.path().join("not/there"), &(name + "a")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(folder.path().join("file"), "no folder").unwrap();
        for within in ["file", "file/not/there"] {
            let error = check_in(&folder.path().join(within), "a.png").unwrap_err();
            assert!(error.file.ends_with("a.png"), "{error}");
        }
        // A folder has the name of the file.
        fs::create_dir(folder.path().join("a.png")).unwrap();
        check_in(folder.path(), "a.png").unwrap_err();
    }
}
