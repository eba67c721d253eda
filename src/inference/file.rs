//! Reading a model file, and the files beside it where that is allowed: each once and whole.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufReader, Seek};
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::external::{self, Beside};
use crate::bioimageio::{self, Description, Package, PackageError};
use crate::contract::METADATA_KEY;
use crate::onnx::read::{self, ReadError};
use crate::onnx::{self, wire};

/// Largest model file: protobuf can't hold more.
pub(super) const LARGEST: u64 = 2 << 30;

/// A model as it was read.
pub(super) struct ModelFile {
    /// What ONNX Runtime is given.
    pub bytes: Bytes,
    /// The same, decoded.
    pub model: onnx::Model,
    /// The files with weights that belong to it.
    pub beside: Vec<Beside>,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
    /// What the package says that it comes from, if any.
    pub description: Option<Description>,
}

/// Reads the files of a model, until it is told to stop.
pub(super) struct Reader<'a> {
    /// The model's file, which errors name.
    pub path: &'a Path,
    /// Whether it is to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

impl Reader<'_> {
    /// Reads the model, which must be harmless; its weights may lie in files beside it where `external` says so.
    pub fn read(&self, external: bool) -> Result<ModelFile, ModelError> {
        if bioimageio::is_package(self.path) {
            return self.of_package();
        }
        let bytes = Bytes::from(self.file()?);
        let model = read::parse(&bytes).map_err(|error| self.told(error))?;
        let is_split = external::is_split(&model);
        if is_split && !external {
            return Err(self.split());
        }
        self.scan(&model)?;
        let beside = match is_split {
            true => external::read(self, &model)?,
            false => Vec::new(),
        };
        Ok(ModelFile {
            hash: self.hash(&bytes)?,
            bytes,
            model,
            beside,
            description: None,
        })
    }

    /// Reads the model of a package of BioImage.IO.
    fn of_package(&self) -> Result<ModelFile, ModelError> {
        let wrong = |source| match source {
            PackageError::Weights(error) => self.told(error),
            source => ModelError::Package {
                path: self.path.to_owned(),
                source: Box::new(source),
            },
        };
        let package = Package::open(self.path, LARGEST, self.stopped).map_err(wrong)?;
        let hash = self.hash(&package.weights)?;
        let mut model = read::parse(&package.weights).map_err(|error| self.told(error))?;
        if external::is_split(&model) {
            return Err(self.split());
        }
        // Weights that carry a contract say it all themselves.
        let described = model
            .metadata_props
            .iter()
            .any(|entry| entry.key == METADATA_KEY);
        let extends = !described && package.extends();
        if let Some(graph) = model.graph.as_mut().filter(|_| extends) {
            package.extend(graph).map_err(wrong)?;
        }
        self.scan(&model)?;
        let Package {
            mut weights,
            description,
        } = package;
        if extends {
            weights = Bytes::from(model.encode_to_vec());
            // Its weights are those of the new bytes now, so that nothing holds the old ones.
            model = read::parse(&weights).map_err(|error| self.told(error))?;
        }
        Ok(ModelFile {
            bytes: weights,
            model,
            beside: Vec::new(),
            hash,
            description: (!described).then_some(description),
        })
    }

    fn scan(&self, model: &onnx::Model) -> Result<(), ModelError> {
        self.go_on()?;
        let refused = |refusal| self.told(ReadError::Refused(Box::new(refusal)));
        onnx::scan::scan(model).map_err(refused)?;
        self.go_on()
    }

    fn split(&self) -> ModelError {
        ModelError::Split {
            path: self.path.to_owned(),
        }
    }

    /// Says so if it was told to stop.
    fn go_on(&self) -> Result<(), ModelError> {
        match (self.stopped)() {
            true => Err(self.told(ReadError::Stopped)),
            false => Ok(()),
        }
    }

    /// The bytes of the model's own file, which are read once a look at it has found nothing wrong.
    fn file(&self) -> Result<Vec<u8>, ModelError> {
        let (mut file, metadata) = open_regular(self.path, true)?;
        let size = metadata.len();
        let looked = match size <= LARGEST {
            true => wire::check(BufReader::new(&file), size).map_err(ReadError::from),
            false => Err(ReadError::TooLarge(size)),
        };
        looked.map_err(|error| self.told(error))?;
        let rewound = file.rewind().map_err(ReadError::from);
        rewound.map_err(|error| self.told(error))?;
        self.contents(self.path, file, size)
    }

    /// Reads an open file of `size` bytes to its end.
    pub fn contents(&self, path: &Path, file: File, size: u64) -> Result<Vec<u8>, ModelError> {
        let read = read::to_end(file, Vec::new(), size, LARGEST, self.stopped);
        read.map_err(|error| told(path, error))
    }

    /// SHA-256 of `bytes`.
    pub fn hash(&self, bytes: &[u8]) -> Result<[u8; 32], ModelError> {
        read::hash(bytes, self.stopped).map_err(|error| self.told(error))
    }

    /// SHA-256 of all that belongs to `file`.
    pub fn hash_of_all(&self, file: &ModelFile) -> Result<[u8; 32], ModelError> {
        if file.description.is_some() {
            // What is done before and after the network is a part of it.
            return self.hash(&file.bytes);
        }
        if file.beside.is_empty() {
            return Ok(file.hash);
        }
        let mut all = Sha256::new_with_prefix(file.hash);
        for beside in &file.beside {
            all.update(beside.name.as_bytes());
            all.update(self.hash(&beside.bytes)?);
        }
        Ok(all.finalize().into())
    }

    fn told(&self, error: ReadError) -> ModelError {
        told(self.path, error)
    }
}

/// The error, with the file that it is about.
fn told(path: &Path, error: ReadError) -> ModelError {
    let path = path.to_owned();
    match error {
        ReadError::Io(source) => ModelError::Io { path, source },
        ReadError::Empty => ModelError::Empty { path },
        ReadError::TooLarge(size) => ModelError::TooLarge { path, size },
        ReadError::NotOnnx => ModelError::NotOnnx { path },
        ReadError::Damaged(reason) => ModelError::Damaged { path, reason },
        ReadError::Refused(refusal) => ModelError::Refused { path, refusal },
        ReadError::Stopped => ModelError::Stopped { path },
    }
}

/// Opens a regular file, and nothing else: opening a pipe waits for a program to write into it, and opening a device
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

/// The file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
