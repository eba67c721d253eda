//! Weights that lie in files beside the model.
//!
//! The model names those files, so that it could name any file of the machine, and learn from its own mask what is
//! in there. Only real files in the model's own folder are read, which nothing else in the machine shares; ONNX
//! Runtime is given their bytes and opens none.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Component, Path};
use std::sync::Arc;

use super::error::ModelError;
use super::file::{LARGEST, Reader, open_regular};
use crate::onnx::scan::tensor;
use crate::onnx::{Model, Tensor};

/// Bytes of all files beside a model together at most.
const LARGEST_OF_ALL: u64 = 4 * LARGEST;

/// `TensorProto.DataLocation` of values in another file.
const EXTERNAL: i32 = 1;

/// A file with weights of a model.
pub(super) struct Beside {
    /// As the model calls it.
    pub name: String,
    /// All of it.
    pub bytes: Arc<[u8]>,
}

/// Whether values lie in another file.
pub(super) fn is_split(model: &Model) -> bool {
    let graph = model.graph.as_ref();
    let tensors = graph.into_iter().flat_map(|graph| &graph.initializer);
    let is_elsewhere = |tensor: &Tensor| tensor.data_location != 0;
    tensors.chain(of_nodes(model)).any(is_elsewhere)
}

/// The tensors that are attributes.
fn of_nodes(model: &Model) -> impl Iterator<Item = &Tensor> {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let attributes = nodes.flat_map(|node| &node.attribute);
    attributes.flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors))
}

/// Reads the files beside the model of `reader` that hold its weights.
pub(super) fn read(reader: &Reader, model: &Model) -> Result<Vec<Beside>, ModelError> {
    let path = reader.path;
    let wrong = |reason: String| ModelError::External {
        path: path.to_owned(),
        reason,
    };
    if let Some(constant) = of_nodes(model).find(|tensor| tensor.data_location != 0) {
        return Err(wrong(format!(
            "the constant {} lies in another file, and only weights may",
            constant.name
        )));
    }
    let graph = model.graph.iter();
    let tensors = graph
        .flat_map(|graph| &graph.initializer)
        .filter(|tensor| tensor.data_location != 0);
    let mut parts: BTreeMap<&str, Vec<(&Tensor, Part)>> = BTreeMap::new();
    for tensor in tensors {
        let part = Part::of(tensor)
            .map_err(|reason| wrong(format!("the tensor {}: {reason}", tensor.name)))?;
        parts.entry(part.name).or_default().push((tensor, part));
    }
    let mut all = 0;
    let mut files = Vec::new();
    for (name, parts) in parts {
        let bytes = whole(reader, name).map_err(|error| match error {
            ModelError::NotAFile { what, .. } => wrong(format!(
                "{name} is {what}, not a regular file beside the model"
            )),
            error => error,
        })?;
        all += bytes.len() as u64;
        if all > LARGEST_OF_ALL {
            return Err(wrong(format!(
                "its files have more than {LARGEST_OF_ALL} bytes in all"
            )));
        }
        for (tensor, part) in parts {
            let end = part.offset.checked_add(part.length);
            if end.is_none_or(|end| end > bytes.len() as u64) {
                return Err(wrong(format!(
                    "the tensor {} is said to be {} bytes of {name} from byte {} on, and that has {} bytes",
                    tensor.name,
                    part.length,
                    part.offset,
                    bytes.len()
                )));
            }
        }
        files.push(Beside {
            name: name.to_owned(),
            bytes: bytes.into(),
        });
    }
    Ok(files)
}

/// Where the values of a tensor lie.
struct Part<'a> {
    name: &'a str,
    offset: u64,
    length: u64,
}

impl<'a> Part<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self, String> {
        if tensor.data_location != EXTERNAL {
            return Err(format!(
                "it lies in the place {}, which there isn't",
                tensor.data_location
            ));
        }
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            let found = entries.find(|entry| entry.key == key);
            found.map(|entry| entry.value.as_str())
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!(
                    "its {key} is {text:?}, which is no number of bytes"
                )),
            },
        };
        let elements = tensor::elements(&tensor.dims);
        let needed = elements.and_then(|elements| tensor::bytes(tensor.data_type, elements));
        let needed = needed.ok_or("its dimensions and type don't say how many bytes it has")?;
        let length = number("length")?.unwrap_or(needed);
        if length != needed {
            return Err(format!(
                "its dimensions {:?} need {needed} bytes, and it is said to have {length}",
                tensor.dims
            ));
        }
        let name = entry("location").ok_or("it doesn't say in which file it lies")?;
        let mut components = Path::new(name).components();
        // The name as it was written, so that it is not another way to say the same.
        match (components.next(), components.next()) {
            (Some(Component::Normal(only)), None)
                if only == name && !name.contains(['\\', ':', '\0']) =>
            {
                Ok(Part {
                    name,
                    offset: number("offset")?.unwrap_or(0),
                    length,
                })
            }
            _ => Err(format!(
                "it lies in {name:?}, which is not the plain name of a file in the model's folder"
            )),
        }
    }
}

/// All bytes of the file `name` beside the model.
fn whole(reader: &Reader, name: &str) -> Result<Vec<u8>, ModelError> {
    let path = reader.path.with_file_name(name);
    let (file, metadata) = open_regular(&path, false)?;
    if names(&metadata) > 1 {
        return Err(ModelError::NotAFile {
            path,
            what: "a file with several names (hard links)",
        });
    }
    reader.contents(&path, file, metadata.len())
}

/// How many names a file has.
#[cfg(unix)]
fn names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}
