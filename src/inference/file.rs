//! Reading a model file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::model::ModelError;
use crate::onnx;

/// Largest model file: protobuf can't hold more.
pub(super) const LARGEST: u64 = 2 << 30;

/// Reads a model file, once and whole; only a regular one, so that a pipe can't hold up a pipeline.
pub(super) fn read(path: &Path) -> Result<Bytes, ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let metadata = path.metadata().map_err(io)?;
    let size = metadata.len();
    let path_buf = || path.to_owned();
    if !metadata.is_file() {
        let what = match metadata.is_dir() {
            true => "a directory",
            false => "a pipe, socket or device",
        };
        return Err(ModelError::NotAFile {
            path: path_buf(),
            what,
        });
    }
    if size > LARGEST {
        return Err(ModelError::TooLarge {
            path: path_buf(),
            size,
        });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    // One byte more than allowed shows a file that has grown since.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 {
        0 => Err(ModelError::Empty { path: path_buf() }),
        size if size > LARGEST => Err(ModelError::TooLarge {
            path: path_buf(),
            size,
        }),
        _ => Ok(bytes.into()),
    }
}

/// Parses the bytes of an ONNX file. The weights are not copied.
pub(super) fn parse(path: &Path, bytes: &Bytes) -> Result<onnx::Model, ModelError> {
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
    let Some(graph) = model.graph.as_ref().filter(|_| model.ir_version != 0) else {
        return Err(ModelError::NotOnnx {
            path: path.to_owned(),
        });
    };
    let of_nodes = graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = of_nodes.filter_map(|attribute| attribute.t.as_ref());
    match tensors
        .chain(&graph.initializer)
        .any(|tensor| tensor.data_location != 0)
    {
        true => Err(ModelError::Split {
            path: path.to_owned(),
        }),
        false => match onnx::scan::scan(&model) {
            Ok(()) => Ok(model),
            Err(refusal) => Err(ModelError::Refused {
                path: path.to_owned(),
                refusal: Box::new(refusal),
            }),
        },
    }
}

/// The file's name without its ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
