//! Files that are either the old or the new one, whatever happens in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to `path` by way of a file beside it, which then takes its name: a full disk or a
/// power cut leaves what was there before.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let written = File::create(part)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(part, path));
    if written.is_err() {
        // What can't be written can perhaps be removed; the first error is the one to tell.
        let _ = fs::remove_file(part);
    }
    written
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
}
