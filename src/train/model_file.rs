//! Reading a model's file for more than running it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bioimageio::{is_described, is_package};
use crate::onnx::Model;

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use {}: {kind}", file.display())]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// The problem.
    pub kind: FileErrorKind,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileErrorKind {
    /// It is a package, which also has steps before and after the network.
    #[error("it is a package of BioImage.IO; name the .onnx file with its weights")]
    Package,
    /// It is a folder, such as that of a run.
    #[error("it is a folder; name the .onnx file")]
    Folder,
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is no ONNX file.
    #[error("it is no ONNX file: {0}")]
    Form(#[from] prost::DecodeError),
}

/// The bytes of a file, and the model in them.
pub fn read(file: &Path) -> Result<(Vec<u8>, Model), FileError> {
    parse(file).map_err(|kind| FileError {
        file: file.into(),
        kind,
    })
}

fn parse(file: &Path) -> Result<(Vec<u8>, Model), FileErrorKind> {
    if file.is_dir() && !is_described(file) {
        return Err(FileErrorKind::Folder);
    }
    if is_package(file) {
        return Err(FileErrorKind::Package);
    }
    let bytes = fs::read(file)?;
    let model = Model::parse(&bytes[..])?;
    Ok((bytes, model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_folders_are_recognized() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(matches!(error.kind, FileErrorKind::Folder), "{error}");
        fs::write(folder.path().join("rdf.yaml"), "type: model").unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(matches!(error.kind, FileErrorKind::Package), "{error}");
        let file = folder.path().join("model.onnx");
        let error = read(&file).unwrap_err();
        assert!(matches!(error.kind, FileErrorKind::Read(_)), "{error}");
        fs::write(&file, "no model").unwrap();
        let error = read(&file).unwrap_err();
        assert!(error.to_string().contains("model.onnx: it is no ONNX file"));
    }
}
