//! Reading a model file and, if permitted, the external files with its weights: each once and whole.

use std::fs::{File, Metadata};
use std::io::{BufReader, Seek};
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::external::{self, ExternalFile};
use crate::bioimageio::{self, Description, Package, PackageError};
use crate::contract::METADATA_KEY;
use crate::onnx::read::{self, ReadError};
use crate::onnx::{self, wire};
use crate::regular_file::{self, OpenError};

/// Largest model file: protobuf can't hold more.
pub(super) const LARGEST: u64 = 2 << 30;

/// A model that was read.
pub(super) struct ModelFile {
    /// The bytes for ONNX Runtime.
    pub bytes: Bytes,
    /// The same, decoded.
    pub model: onnx::Model,
    /// The files with its weights, if it is not a single file.
    pub external: Vec<ExternalFile>,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
    /// The description in its package, if it comes from one and carries no contract.
    pub description: Option<Description>,
}

/// Reads the files of a model, unless it is stopped.
pub(super) struct Reader<'a> {
    /// The model's file, which errors name.
    pub path: &'a Path,
    /// Whether to stop.
    pub stopped: &'a dyn Fn() -> bool,
}

impl Reader<'_> {
    /// Reads the model, which must be harmless; `allow_external` permits weights in files next to it.
    pub fn read(&self, allow_external: bool) -> Result<ModelFile, ModelError> {
        if bioimageio::is_package(self.path) {
            return self.read_package();
        }
        let bytes = Bytes::from(self.read_main_file()?);
        let model = read::parse(&bytes).map_err(|error| self.error(error))?;
        let is_split = external::is_split(&model);
        if is_split && !allow_external {
            return Err(self.external_data_denied());
        }
        self.scan(&model)?;
        let external = if is_split {
            external::read(self, &model)?
        } else {
            Vec::new()
        };
        Ok(ModelFile {
            hash: self.hash(&bytes)?,
            bytes,
            model,
            external,
            description: None,
        })
    }

    /// Reads the model in a BioImage.IO package.
    fn read_package(&self) -> Result<ModelFile, ModelError> {
        let package_error = |source| match source {
            PackageError::Weights(error) => self.error(error),
            source => ModelError::Package {
                path: self.path.to_owned(),
                source: Box::new(source),
            },
        };
        let package = Package::open(self.path, LARGEST, self.stopped).map_err(package_error)?;
        let hash = self.hash(&package.weights)?;
        let mut model = read::parse(&package.weights).map_err(|error| self.error(error))?;
        if external::is_split(&model) {
            return Err(self.external_data_denied());
        }
        // A contract in the weights file says it all.
        let carries_contract = model
            .metadata_props
            .iter()
            .any(|entry| entry.key == METADATA_KEY);
        let extends = !carries_contract && package.has_pointwise_steps();
        if let Some(graph) = model.graph.as_mut().filter(|_| extends) {
            package.extend(graph).map_err(package_error)?;
        }
        self.scan(&model)?;
        let Package {
            mut weights,
            description,
        } = package;
        if extends {
            weights = Bytes::from(model.encode_to_vec());
            // Parsed again, so that its weights refer to the new bytes and the old ones are freed.
            model = read::parse(&weights).map_err(|error| self.error(error))?;
        }
        Ok(ModelFile {
            bytes: weights,
            model,
            external: Vec::new(),
            hash,
            description: (!carries_contract).then_some(description),
        })
    }

    fn scan(&self, model: &onnx::Model) -> Result<(), ModelError> {
        self.check_stopped()?;
        let refused = |refusal| self.error(ReadError::Refused(Box::new(refusal)));
        onnx::scan::scan(model).map_err(refused)?;
        self.check_stopped()
    }

    fn external_data_denied(&self) -> ModelError {
        ModelError::ExternalDataDenied {
            path: self.path.to_owned(),
        }
    }

    /// An error if it is to stop.
    fn check_stopped(&self) -> Result<(), ModelError> {
        if (self.stopped)() {
            Err(self.error(ReadError::Stopped))
        } else {
            Ok(())
        }
    }

    /// The bytes of the model's own file, whose structure is checked before it is read into memory.
    fn read_main_file(&self) -> Result<Vec<u8>, ModelError> {
        let (mut file, metadata) = open_regular(self.path, true)?;
        let size = metadata.len();
        let checked = if size <= LARGEST {
            wire::check(BufReader::new(&file), size).map_err(ReadError::from)
        } else {
            Err(ReadError::TooLarge(size))
        };
        checked.map_err(|error| self.error(error))?;
        let rewound = file.rewind().map_err(ReadError::from);
        rewound.map_err(|error| self.error(error))?;
        self.read_to_end(self.path, file, size)
    }

    /// Reads an open file of `size` bytes to its end.
    pub fn read_to_end(&self, path: &Path, file: File, size: u64) -> Result<Vec<u8>, ModelError> {
        let read = read::to_end(file, Vec::new(), size, LARGEST, self.stopped);
        read.map_err(|error| model_error(path, error))
    }

    /// SHA-256 of `bytes`.
    pub fn hash(&self, bytes: &[u8]) -> Result<[u8; 32], ModelError> {
        read::hash(bytes, self.stopped).map_err(|error| self.error(error))
    }

    /// SHA-256 of everything that belongs to `file`.
    pub fn hash_of_all(&self, file: &ModelFile) -> Result<[u8; 32], ModelError> {
        if file.description.is_some() {
            // Pre- and postprocessing are a part of it.
            return self.hash(&file.bytes);
        }
        if file.external.is_empty() {
            return Ok(file.hash);
        }
        let mut all = Sha256::new_with_prefix(file.hash);
        for external in &file.external {
            all.update(external.name.as_bytes());
            all.update(self.hash(&external.bytes)?);
        }
        Ok(all.finalize().into())
    }

    fn error(&self, error: ReadError) -> ModelError {
        model_error(self.path, error)
    }
}

/// The error, with the path of its file.
fn model_error(path: &Path, error: ReadError) -> ModelError {
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

/// Opens a [regular file](regular_file::open) of a model.
pub(super) fn open_regular(
    path: &Path,
    follow_links: bool,
) -> Result<(File, Metadata), ModelError> {
    regular_file::open(path, follow_links).map_err(|error| {
        let path = path.to_owned();
        match error {
            OpenError::Io(source) => ModelError::Io { path, source },
            OpenError::NotAFile(what) => ModelError::NotAFile { path, what },
        }
    })
}

/// The file's name without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
