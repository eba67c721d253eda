//! Where a package keeps its files: in a folder, or in a zip archive.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::description::{self, Description};
use super::{PackageError, graph};
use crate::onnx::Graph;

/// Names that a description has, the present one first.
const NAMES: [&str; 3] = ["rdf.yaml", "bioimageio.yaml", "model.yaml"];

/// A package that was opened: its description, and its weights as they are.
#[derive(Debug)]
pub struct Package {
    /// What it says of its model.
    pub description: Description,
    /// The ONNX file.
    pub weights: Vec<u8>,
}

/// Whether `path` names a package: a folder, a description or a zip archive.
pub fn is_package(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let ending = ending.as_ref().and_then(|ending| ending.to_str());
    matches!(ending, Some("zip" | "yaml" | "yml")) || path.is_dir()
}

impl Package {
    /// Opens the package in `path`, whose weights have at most `most` bytes.
    pub fn open(path: &Path, most: u64) -> Result<Self, PackageError> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let mut files = match ending.as_ref().and_then(|ending| ending.to_str()) {
            _ if path.is_dir() => Files::Folder(path),
            Some("zip") => Files::Archive(Box::new(zip::ZipArchive::new(regular(path)?)?)),
            _ => Files::Folder(path.parent().unwrap_or(Path::new(""))),
        };
        let name = match (path.is_dir(), &files) {
            (false, Files::Folder(_)) => path
                .file_name()
                .and_then(|name| name.to_str())
                .map(str::to_owned),
            _ => NAMES
                .into_iter()
                .find(|name| files.has(name))
                .map(str::to_owned),
        };
        let name = name.ok_or(PackageError::NoDescription)?;
        let text = files.read(&name, description::LARGEST)?;
        let text = String::from_utf8(text)
            .map_err(|_| PackageError::Yaml(format!("{name} is no text in UTF-8")))?;
        let description = Description::parse(&text)?;
        let weights = files.read(&description.weights, most)?;
        if let Some(expected) = &description.sha256 {
            let mut found = String::with_capacity(64);
            for byte in Sha256::digest(&weights) {
                // A string takes all that is written into it.
                let _ = write!(found, "{byte:02x}");
            }
            if !expected.eq_ignore_ascii_case(&found) {
                return Err(PackageError::Hash(description.weights));
            }
        }
        Ok(Package {
            description,
            weights,
        })
    }

    /// Puts what is done to each pixel before and after the network into its graph.
    pub fn extend(&self, graph: &mut Graph) -> Result<(), PackageError> {
        graph::extend(graph, &self.description)
    }
}

enum Files<'a> {
    Folder(&'a Path),
    Archive(Box<zip::ZipArchive<File>>),
}

impl Files<'_> {
    fn has(&self, name: &str) -> bool {
        match self {
            Files::Folder(folder) => folder.join(name).is_file(),
            Files::Archive(archive) => archive.index_for_name(name).is_some(),
        }
    }

    /// Reads the file `name` of the package.
    fn read(&mut self, name: &str, most: u64) -> Result<Vec<u8>, PackageError> {
        let outside = || PackageError::Outside(name.to_owned());
        let mut components = Path::new(name).components();
        let is_plain = components.all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || name.is_empty() || name.contains([':', '\\', '\0']) {
            return Err(outside());
        }
        match self {
            Files::Folder(folder) => {
                // Links may lead out of it.
                let path = folder.join(name).canonicalize()?;
                let within = match folder.as_os_str().is_empty() {
                    true => Path::new(".").canonicalize()?,
                    false => folder.canonicalize()?,
                };
                if !path.starts_with(&within) {
                    return Err(outside());
                }
                limited(name, regular(&path)?, most)
            }
            Files::Archive(archive) => {
                let index = archive.index_for_name(name).ok_or_else(outside)?;
                limited(name, archive.by_index(index)?, most)
            }
        }
    }
}

/// Opens a regular file, and nothing that never ends.
fn regular(path: &Path) -> Result<File, PackageError> {
    let wrong = || PackageError::Outside(path.display().to_string());
    if !path.metadata()?.is_file() {
        return Err(wrong());
    }
    let file = File::open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(wrong()),
    }
}

/// All bytes of a file, which may be packed into few.
fn limited(name: &str, file: impl Read, most: u64) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(PackageError::TooLarge {
            file: name.to_owned(),
            most,
        }),
        false => Ok(bytes),
    }
}
