//! Reading a model file, and the files beside it where that is allowed: each once and whole.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::external::{self, Beside};
use crate::bioimageio::{self, Description, Package};
use crate::contract::METADATA_KEY;
use crate::onnx;

/// Largest model file: protobuf can't hold more.
pub(super) const LARGEST: u64 = 2 << 30;

/// A model as it was read.
pub(super) struct ModelFile {
    pub bytes: Bytes,
    pub model: onnx::Model,
    /// What else belongs to it.
    pub beside: Vec<Beside>,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
    /// What the package says that it comes from, if any.
    pub description: Option<Description>,
}

impl ModelFile {
    /// Reads the model in the file `path`, which must be harmless; its weights may lie in files beside it where
    /// `external` says so.
    pub fn read(path: &Path, external: bool) -> Result<Self, ModelError> {
        if bioimageio::is_package(path) {
            return Self::of_package(path);
        }
        let bytes = read(path)?;
        let model = parse(path, &bytes)?;
        let is_split = external::is_split(&model);
        if is_split && !external {
            return Err(ModelError::Split {
                path: path.to_owned(),
            });
        }
        onnx::scan::scan(&model).map_err(|refusal| ModelError::Refused {
            path: path.to_owned(),
            refusal: Box::new(refusal),
        })?;
        let beside = match is_split {
            true => external::read(path, &model)?,
            false => Vec::new(),
        };
        Ok(ModelFile {
            hash: Sha256::digest(&bytes).into(),
            bytes,
            model,
            beside,
            description: None,
        })
    }

    /// Reads the model of a package of BioImage.IO.
    fn of_package(path: &Path) -> Result<Self, ModelError> {
        let wrong = |source| ModelError::Package {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let package = Package::open(path, LARGEST).map_err(wrong)?;
        let hash = Sha256::digest(&package.weights).into();
        let mut model = parse(path, &Bytes::from(package.weights.clone()))?;
        if external::is_split(&model) {
            return Err(ModelError::Split {
                path: path.to_owned(),
            });
        }
        // Weights that carry a contract say it all themselves.
        let described = model
            .metadata_props
            .iter()
            .any(|entry| entry.key == METADATA_KEY);
        if let Some(graph) = model.graph.as_mut().filter(|_| !described) {
            package.extend(graph).map_err(wrong)?;
        }
        onnx::scan::scan(&model).map_err(|refusal| ModelError::Refused {
            path: path.to_owned(),
            refusal: Box::new(refusal),
        })?;
        Ok(ModelFile {
            bytes: model.encode_to_vec().into(),
            model,
            beside: Vec::new(),
            hash,
            description: (!described).then_some(package.description),
        })
    }

    /// SHA-256 of all that belongs to the model.
    pub fn hash_of_all(&self) -> [u8; 32] {
        if self.description.is_some() {
            // What is done before and after the network is a part of it.
            return Sha256::digest(&self.bytes).into();
        }
        let mut all = Sha256::new_with_prefix(self.hash);
        for file in &self.beside {
            all.update(file.name.as_bytes());
            all.update(Sha256::digest(&file.bytes));
        }
        match self.beside.is_empty() {
            true => self.hash,
            false => all.finalize().into(),
        }
    }
}

/// Opens a regular file, and nothing else: opening a pipe waits for somebody to write into it, and opening a device
/// may do anything. What it is is looked at before and, for it may have been exchanged, after.
pub(super) fn open_regular(path: &Path, follow: bool) -> Result<(File, Metadata), ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let before = match follow {
        true => path.metadata(),
        false => path.symlink_metadata(),
    };
    regular(path, &before.map_err(io)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let link = if follow { 0 } else { libc::O_NOFOLLOW };
        options.custom_flags(libc::O_NONBLOCK | link);
    }
    let file = options.open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    regular(path, &metadata)?;
    Ok((file, metadata))
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), ModelError> {
    let what = match metadata {
        _ if metadata.is_file() => return Ok(()),
        _ if metadata.is_dir() => "a directory",
        _ if metadata.is_symlink() => "a link",
        _ => "a pipe, socket or device",
    };
    Err(ModelError::NotAFile {
        path: path.to_owned(),
        what,
    })
}

/// Reads an open file of `size` bytes to its end.
pub(super) fn contents(path: &Path, file: File, size: u64) -> Result<Vec<u8>, ModelError> {
    let too_large = |size| ModelError::TooLarge {
        path: path.to_owned(),
        size,
    };
    if size > LARGEST {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed shows a file that has grown since.
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ModelError::Io {
            path: path.to_owned(),
            source,
        })?;
    match bytes.len() as u64 {
        size if size > LARGEST => Err(too_large(size)),
        _ => Ok(bytes),
    }
}

fn read(path: &Path) -> Result<Bytes, ModelError> {
    let (file, metadata) = open_regular(path, true)?;
    let bytes = contents(path, file, metadata.len())?;
    match bytes.is_empty() {
        true => Err(ModelError::Empty {
            path: path.to_owned(),
        }),
        false => Ok(bytes.into()),
    }
}

/// Parses the bytes of an ONNX file. The weights are not copied.
fn parse(path: &Path, bytes: &Bytes) -> Result<onnx::Model, ModelError> {
    // Every ONNX file starts with its first field, the version of the format.
    const FORMAT_VERSION: u8 = 0x08;
    let model = onnx::Model::decode(bytes.clone()).map_err(|error| match bytes.first() {
        Some(&FORMAT_VERSION) => ModelError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        _ => ModelError::NotOnnx {
            path: path.to_owned(),
        },
    })?;
    if model.graph.is_none() || model.ir_version == 0 {
        return Err(ModelError::NotOnnx {
            path: path.to_owned(),
        });
    }
    Ok(model)
}

/// The file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
