//! Models as packages of the BioImage Model Zoo: a description (`rdf.yaml`) beside the weights, in a folder or a zip
//! archive (<https://bioimage.io/docs>, formats 0.4 and 0.5).
//!
//! A package is untrusted, like a model. Only the description and the ONNX file that it names are read, and only from
//! within the package.

mod description;
mod files;
mod graph;
mod steps;
#[cfg(feature = "train")]
pub mod write;

pub use description::Description;
pub use files::{Package, is_described, is_package};

use crate::onnx::read::ReadError;

/// Why a package can't be used. The caller names it.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It has no description.
    #[error("it is neither an ONNX file nor a package of BioImage.IO: there is no rdf.yaml in it")]
    NoDescription,
    /// The archive is damaged.
    #[error("it is not a zip archive that can be read: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// `rdf.yaml` is not YAML, or not of this form.
    #[error("its description can't be read: {0}")]
    Yaml(String),
    /// A field of `rdf.yaml` is not supported.
    #[error("{field} of its description: {reason}")]
    Field { field: String, reason: String },
    /// `rdf.yaml` names something outside the package, or not a file.
    #[error("{0} is not a plain file within the package")]
    Outside(String),
    /// A file is larger than such files are.
    #[error("{file} has more than {most} bytes")]
    TooLarge { file: String, most: u64 },
    /// A file becomes too large when it is unpacked.
    #[error(
        "{file} is packed into {packed} bytes and has {size}: weights can't be packed that much, and nothing else needs to be that large"
    )]
    Packed {
        file: String,
        packed: u64,
        size: u64,
    },
    #[error("its weights can't be read: {0}")]
    Weights(ReadError),
    #[error(
        "{0} does not have the SHA-256 that the description says: it is damaged, or another file"
    )]
    Hash(String),
}

impl PackageError {
    fn field(field: &str, reason: impl Into<String>) -> Self {
        PackageError::Field {
            field: field.to_owned(),
            reason: reason.into(),
        }
    }
}
