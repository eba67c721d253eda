//! Weights in files next to the model ("external data" in ONNX).
//!
//! The model names those files, so it could name any file of the machine and leak its content through the mask. Only
//! real files in the model's own folder are read, which have no second name elsewhere; ONNX Runtime gets their bytes
//! and opens none itself.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Component, Path};
use std::sync::Arc;

use super::error::ModelError;
use super::file::{LARGEST, Reader, open_regular};
use crate::onnx::scan::tensor;
use crate::onnx::{Model, Tensor};

/// Most bytes of all external files of a model together.
const LARGEST_OF_ALL: u64 = 4 * LARGEST;

/// `TensorProto.DataLocation` of values in another file.
const EXTERNAL: i32 = 1;

/// A file with weights of a model.
pub(super) struct ExternalFile {
    /// Its name in the model.
    pub name: String,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

/// Whether any values are stored in another file.
pub(super) fn is_split(model: &Model) -> bool {
    let graph = model.graph.as_ref();
    let tensors = graph.into_iter().flat_map(|graph| &graph.initializer);
    let is_external = |tensor: &Tensor| tensor.data_location != 0;
    tensors.chain(in_attributes(model)).any(is_external)
}

/// The tensors in attributes of nodes.
fn in_attributes(model: &Model) -> impl Iterator<Item = &Tensor> {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let attributes = nodes.flat_map(|node| &node.attribute);
    attributes.flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors))
}

/// Reads the external files of the `model` of `reader`.
pub(super) fn read(reader: &Reader, model: &Model) -> Result<Vec<ExternalFile>, ModelError> {
    let path = reader.path;
    let bad = |reason: String| ModelError::BadExternalData {
        path: path.to_owned(),
        reason,
    };
    if let Some(constant) = in_attributes(model).find(|tensor| tensor.data_location != 0) {
        return Err(bad(format!(
            "the constant {} is stored in another file, but only weights may be",
            constant.name
        )));
    }
    let graph = model.graph.iter();
    let tensors = graph
        .flat_map(|graph| &graph.initializer)
        .filter(|tensor| tensor.data_location != 0);
    let mut ranges: BTreeMap<&str, Vec<(&Tensor, FileRange)>> = BTreeMap::new();
    for tensor in tensors {
        let range = FileRange::of(tensor)
            .map_err(|reason| bad(format!("the tensor {}: {reason}", tensor.name)))?;
        ranges.entry(range.file).or_default().push((tensor, range));
    }
    let mut all = 0;
    let mut files = Vec::new();
    for (name, ranges) in ranges {
        let bytes = read_file(reader, name).map_err(|error| match error {
            ModelError::NotAFile { what, .. } => bad(format!(
                "{name} is {what}, not a regular file next to the model"
            )),
            error => error,
        })?;
        all += bytes.len() as u64;
        if all > LARGEST_OF_ALL {
            return Err(bad(format!(
                "its files have more than {LARGEST_OF_ALL} bytes in all"
            )));
        }
        for (tensor, range) in ranges {
            let end = range.offset.checked_add(range.length);
            if end.is_none_or(|end| end > bytes.len() as u64) {
                return Err(bad(format!(
                    "the tensor {} takes {} bytes of {name} from byte {} on, but that file has only {} bytes",
                    tensor.name,
                    range.length,
                    range.offset,
                    bytes.len()
                )));
            }
        }
        files.push(ExternalFile {
            name: name.to_owned(),
            bytes: bytes.into(),
        });
    }
    Ok(files)
}

/// Where the values of a tensor are stored.
struct FileRange<'a> {
    file: &'a str,
    offset: u64,
    length: u64,
}

impl<'a> FileRange<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self, String> {
        if tensor.data_location != EXTERNAL {
            return Err(format!(
                "its data location is {}, which is not defined",
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
                    "its {key} is {text:?}, which is not a number of bytes"
                )),
            },
        };
        let elements = tensor::elements(&tensor.dims);
        let needed = elements.and_then(|elements| tensor::bytes(tensor.data_type, elements));
        let needed = needed.ok_or("its dimensions and type don't say how many bytes it has")?;
        let length = number("length")?.unwrap_or(needed);
        if length != needed {
            return Err(format!(
                "its dimensions {:?} need {needed} bytes, but its length is {length}",
                tensor.dims
            ));
        }
        let file = entry("location").ok_or("it doesn't say in which file it is stored")?;
        let mut components = Path::new(file).components();
        // Compared with the text, so that no other spelling of the same path passes.
        match (components.next(), components.next()) {
            (Some(Component::Normal(only)), None)
                if only == file && !file.contains(['\\', ':', '\0']) =>
            {
                Ok(FileRange {
                    file,
                    offset: number("offset")?.unwrap_or(0),
                    length,
                })
            }
            _ => Err(format!(
                "it is stored in {file:?}, which is not the plain name of a file in the model's folder"
            )),
        }
    }
}

/// All bytes of the file `name` next to the model.
fn read_file(reader: &Reader, name: &str) -> Result<Vec<u8>, ModelError> {
    let path = reader.path.with_file_name(name);
    let (file, metadata) = open_regular(&path, false)?;
    if hard_links(&metadata) > 1 {
        return Err(ModelError::NotAFile {
            path,
            what: "a file with several names (hard links)",
        });
    }
    reader.read_to_end(&path, file, metadata.len())
}

/// How many names a file has.
#[cfg(unix)]
fn hard_links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn hard_links(_: &Metadata) -> u64 {
    1
}
