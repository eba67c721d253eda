//! The files of a package, in a folder or in a zip archive.

use std::cell::Cell;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::rc::Rc;

use bytes::Bytes;

use super::description::{self, Description};
use super::{PackageError, graph};
use crate::onnx::Graph;
use crate::onnx::read::{self, ReadError};
use crate::onnx::wire;
use crate::regular_file::{self, OpenError};

/// File names of a description, the current one first.
const NAMES: [&str; 3] = ["rdf.yaml", "bioimageio.yaml", "model.yaml"];

/// Bytes that are read at most to list the contents of an archive.
const LARGEST_DIRECTORY: u64 = 1 << 20;

/// Largest ratio of a file's size to its packed size, beyond a size that does no harm. Packing makes weights
/// hardly smaller, and a file of zeros a thousand times.
const MOST_PACKED: u64 = 16;
const HARMLESS: u64 = 16 << 20;

/// Bytes that are unpacked for a first check.
const HEAD: u64 = 1 << 16;

/// A package that was opened: its description, and its weights as they are.
#[derive(Debug)]
pub struct Package {
    /// Its description.
    pub description: Description,
    /// The ONNX file.
    pub weights: Bytes,
}

/// Whether `path` names a package: a folder, a description or a zip archive.
pub fn is_package(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let ending = ending.as_ref().and_then(|ending| ending.to_str());
    matches!(ending, Some("zip" | "yaml" | "yml")) || path.is_dir()
}

/// Whether `folder` contains the description of a package.
pub fn is_described(folder: &Path) -> bool {
    let folder = Files::Folder(folder);
    NAMES.into_iter().any(|name| folder.has(name))
}

impl Package {
    /// Opens the package in `path`, whose weights have at most `most` bytes, until `stopped` returns true.
    pub fn open(path: &Path, most: u64, stopped: &dyn Fn() -> bool) -> Result<Self, PackageError> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let mut files = match ending.as_ref().and_then(|ending| ending.to_str()) {
            _ if path.is_dir() => Files::Folder(path),
            Some("zip") => Files::Archive(Box::new(archive(regular(path, true)?)?)),
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
        let weights = files.weights(&description.weights, most, stopped)?;
        if let Some(expected) = &description.sha256 {
            let found = read::hash(&weights, stopped).map_err(PackageError::Weights)?;
            let mut text = String::with_capacity(64);
            for byte in found {
                // Writing to a string can't fail.
                let _ = write!(text, "{byte:02x}");
            }
            if !expected.eq_ignore_ascii_case(&text) {
                return Err(PackageError::Hash(description.weights));
            }
        }
        Ok(Package {
            description,
            weights: weights.into(),
        })
    }

    /// Whether there are pointwise steps before or after the network.
    pub fn has_pointwise_steps(&self) -> bool {
        let Description {
            preprocessing,
            postprocessing,
            ..
        } = &self.description;
        !preprocessing.pointwise.is_empty() || !postprocessing.pointwise.is_empty()
    }

    /// Adds the pointwise steps before and after the network to its graph.
    pub fn extend(&self, graph: &mut Graph) -> Result<(), PackageError> {
        graph::extend(graph, &self.description)
    }
}

enum Files<'a> {
    Folder(&'a Path),
    Archive(Box<zip::ZipArchive<Bounded>>),
}

/// A file of a package, opened.
enum Opened<'a> {
    File(File),
    Packed(Box<zip::read::ZipFile<'a, Bounded>>),
}

impl Files<'_> {
    fn has(&self, name: &str) -> bool {
        match self {
            Files::Folder(folder) => folder.join(name).is_file(),
            Files::Archive(archive) => archive.index_for_name(name).is_some(),
        }
    }

    /// Opens the file `name` of the package.
    fn open(&mut self, name: &str) -> Result<Opened<'_>, PackageError> {
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
                let folder: &Path = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                if !path.starts_with(folder.canonicalize()?) {
                    return Err(outside());
                }
                // Nor may a link have taken its place since.
                Ok(Opened::File(regular(&path, false)?))
            }
            Files::Archive(archive) => {
                let index = archive.index_for_name(name).ok_or_else(outside)?;
                Ok(Opened::Packed(Box::new(archive.by_index(index)?)))
            }
        }
    }

    /// Reads a small file.
    fn read(&mut self, name: &str, most: u64) -> Result<Vec<u8>, PackageError> {
        match self.open(name)? {
            Opened::File(file) => limited(name, file, most),
            Opened::Packed(file) => limited(name, file, most),
        }
    }

    /// Reads the weights, after a check that they are an ONNX file.
    fn weights(
        &mut self,
        name: &str,
        most: u64,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, PackageError> {
        let read = match self.open(name)? {
            Opened::File(file) => of_file(file, most, stopped),
            Opened::Packed(file) => {
                let (packed, size) = (file.compressed_size(), file.size());
                let limit = HARMLESS.saturating_add(packed.saturating_mul(MOST_PACKED));
                let too_much = |size| PackageError::Packed {
                    file: name.to_owned(),
                    packed,
                    size,
                };
                if size > limit && size <= most {
                    return Err(too_much(size));
                }
                match unpacked(file, size, most.min(limit), stopped) {
                    // There is more than the archive declares.
                    Err(ReadError::TooLarge(size)) if limit < most => return Err(too_much(size)),
                    read => read,
                }
            }
        };
        read.map_err(|error| match error {
            ReadError::TooLarge(_) => PackageError::TooLarge {
                file: name.to_owned(),
                most,
            },
            ReadError::Io(error) => PackageError::Io(error),
            error => PackageError::Weights(error),
        })
    }
}

/// Reads an ONNX file, after a check of all of it except the weights.
fn of_file(file: File, most: u64, stopped: &dyn Fn() -> bool) -> Result<Vec<u8>, ReadError> {
    let size = file.metadata()?.len();
    if size <= most {
        wire::check(BufReader::new(&file), size)?;
    }
    (&file).rewind()?;
    read::to_end(file, Vec::new(), size, most, stopped)
}

/// Unpacks an ONNX file, whose first bytes are checked before the others are unpacked.
fn unpacked(
    mut file: impl Read,
    size: u64,
    most: u64,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<u8>, ReadError> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    wire::check_head(&head, size)?;
    read::to_end(file, head, size, most, stopped)
}

/// Opens an archive. Its table of contents is kept in memory, so its size is limited.
fn archive(file: File) -> Result<zip::ZipArchive<Bounded>, PackageError> {
    let left = Rc::new(Cell::new(Some(LARGEST_DIRECTORY)));
    let bounded = Bounded {
        file,
        left: left.clone(),
    };
    let archive = zip::ZipArchive::new(bounded)?;
    left.set(None);
    Ok(archive)
}

/// A file of which only a limited number of bytes may be read, until the limit is removed.
struct Bounded {
    file: File,
    left: Rc<Cell<Option<u64>>>,
}

impl Read for Bounded {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        if let Some(left) = self.left.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| {
                io::Error::other("its table of contents is larger than that of any package")
            })?;
            self.left.set(Some(left));
        }
        Ok(count)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Opens a regular file, and nothing that might be endless.
fn regular(path: &Path, follow_links: bool) -> Result<File, PackageError> {
    match regular_file::open(path, follow_links) {
        Ok((file, _)) => Ok(file),
        Err(OpenError::Io(error)) => Err(PackageError::Io(error)),
        Err(OpenError::NotAFile(_)) => Err(PackageError::Outside(path.display().to_string())),
    }
}

/// All bytes of a file, which may be packed.
fn limited(name: &str, file: impl Read, most: u64) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(PackageError::TooLarge {
            file: name.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    /// A pipe that takes the place of a file before it is opened would be waited for.
    #[test]
    fn opening_a_file_never_waits() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = regular(file.path(), true).unwrap();
        // SAFETY: it reads the flags of an open file.
        let flags = unsafe { libc::fcntl(opened.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, libc::O_NONBLOCK);
    }
}
