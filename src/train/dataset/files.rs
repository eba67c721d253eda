//! The pictures of a folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{DatasetError, natural};

/// Endings of the files that are read; others are skipped.
const ENDINGS: [&str; 3] = ["png", "tif", "tiff"];

/// A file with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Name of the file without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Whether a file with this ending is a picture, in capitals or not.
pub fn is_picture(ending: &str) -> bool {
    let mut endings = ENDINGS.into_iter();
    endings.any(|picture| picture.eq_ignore_ascii_case(ending))
}

/// The pictures of a folder, of which there is at least one, in the order of their names.
pub fn pictures(folder: &Path) -> Result<Vec<Named>, DatasetError> {
    let unreadable = |error| DatasetError::Folder {
        folder: folder.into(),
        error,
    };
    let mut pictures = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().unwrap_or_default();
        if !is_picture(&ending.to_string_lossy()) {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default();
        // macOS leaves such files on foreign disks: ._a.png is no picture.
        if stem.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if let Some(what) = no_file(&path) {
            return Err(DatasetError::NoFile { path, what });
        }
        pictures.push(named(&path)?);
    }
    pictures.sort_by(|a, b| natural::compare(&a.name, &b.name).then(a.path.cmp(&b.path)));
    if let Some([a, b]) = pictures.array_windows().find(|[a, b]| a.name == b.name) {
        return Err(DatasetError::Twice(a.path.clone(), b.path.clone()));
    }
    if pictures.is_empty() {
        Err(DatasetError::Empty(folder.into()))
    } else {
        Ok(pictures)
    }
}

/// A file by its path alone.
pub fn named(path: &Path) -> Result<Named, DatasetError> {
    let stem = path.file_stem().unwrap_or_default();
    // Lists have one name per line.
    let name = stem.to_str();
    match name.filter(|name| !name.contains(char::is_control)) {
        Some(name) => Ok(Named {
            name: name.into(),
            path: path.into(),
        }),
        None => Err(DatasetError::Name(path.into())),
    }
}

/// What an entry of a folder is, if it is no file.
fn no_file(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(entry) if entry.is_file() => None,
        Ok(entry) if entry.is_dir() => Some("a folder".into()),
        Ok(_) => Some("a pipe, a socket or a device".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some("a link to a file that is not there".into())
        }
        Err(error) => Some(format!("a link that can't be followed ({error})")),
    }
}
