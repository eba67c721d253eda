//! Pictures in folders and stacks.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageBuffer, ImageError, ImageFormat, ImageReader};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use crate::train::plane::Plane;

/// Endings of the files of a folder that are read; others are passed over.
const ENDINGS: [&str; 3] = ["png", "tif", "tiff"];

/// A picture: a file, or a page of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Name of the file without its ending; with the number of the page where there are several:
    /// `stack-000`, `stack-001`.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Which picture of a TIFF file, from 0.
    pub index: usize,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.index {
            0 => Ok(()),
            index => write!(f, " (page {index}, the first is 0)"),
        }
    }
}

/// Why files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file or folder that can't be read.
    #[error("can't read {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder without pictures.
    #[error("no .png, .tif or .tiff file in {}", .0.display())]
    Empty(PathBuf),
    /// Two files that differ in their ending only.
    #[error("{one} and {other} have the same name: remove one")]
    Twice {
        /// One of them.
        one: Box<Page>,
        /// The other.
        other: Box<Page>,
    },
    /// A mask whose image is missing.
    #[error("the mask {mask} has no image of the same name, or of the same number, in {}", images.display())]
    NoImage {
        /// The mask.
        mask: Box<Page>,
        /// Where its image should be.
        images: PathBuf,
    },
    /// The PNG decoder gave up.
    #[error("can't read {page}: {error}")]
    Png {
        /// The picture.
        page: Box<Page>,
        /// Why.
        error: ImageError,
    },
    /// The TIFF decoder gave up.
    #[error("can't read {page}: {error}")]
    Tiff {
        /// The picture.
        page: Box<Page>,
        /// Why.
        error: TiffError,
    },
    /// Pixels that have no meaning here.
    #[error("the pixels of {page} are {found}; {expected}")]
    Pixels {
        /// The picture.
        page: Box<Page>,
        /// What the file holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// The pictures of a folder in the order of their names, or the pages of a TIFF file.
pub fn pages(path: &Path) -> Result<Vec<Page>, FileError> {
    let failed = |error| FileError::Io {
        path: path.into(),
        error,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return pages_of_file(path);
    }
    let mut pages = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let ending = file.extension().unwrap_or_default().to_string_lossy();
        // macOS leaves files like ._a.png on foreign disks, which are no pictures.
        let hidden = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if ENDINGS.contains(&ending.to_lowercase().as_str()) && !hidden {
            pages.extend(pages_of_file(&file)?);
        }
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name).then(a.file.cmp(&b.file)));
    if let Some([one, other]) = pages.array_windows().find(|[a, b]| a.name == b.name) {
        return Err(FileError::Twice {
            one: Box::new(one.clone()),
            other: Box::new(other.clone()),
        });
    }
    match pages.is_empty() {
        true => Err(FileError::Empty(path.into())),
        false => Ok(pages),
    }
}

fn pages_of_file(file: &Path) -> Result<Vec<Page>, FileError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let page = |name: String, index| Page {
        name,
        file: file.into(),
        index,
    };
    let first = page(stem.clone().into_owned(), 0);
    let indices = match open(file)? {
        Opened::Tiff(reader) => full_size(reader).map_err(|error| FileError::Tiff {
            page: Box::new(first.clone()),
            error,
        })?,
        Opened::Other(_) => vec![0],
    };
    if indices.len() < 2 {
        return Ok(vec![first]);
    }
    let pages = indices.into_iter().enumerate();
    Ok(pages
        .map(|(number, index)| page(format!("{stem}-{number:03}"), index))
        .collect())
}

/// The directories of a TIFF file that are no smaller copies of others.
fn full_size(reader: BufReader<File>) -> Result<Vec<usize>, TiffError> {
    let mut decoder = Decoder::new(reader)?;
    let mut indices = Vec::new();
    for index in 0.. {
        let kind: Option<u32> = decoder.find_tag_unsigned(Tag::NewSubfileType)?;
        if index == 0 || kind.is_none_or(|kind| kind & 1 == 0) {
            indices.push(index);
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image()?;
    }
    Ok(indices)
}

/// Masks with their images, in the order of the masks. They belong together by their names, or, where
/// no name is in both, by the number that their names end in, as `t007.tif` and `man_seg007.tif` of
/// the Cell Tracking Challenge do. Images may be without a mask.
pub fn pairs(images: &Path, masks: &Path) -> Result<Vec<(Page, Page)>, FileError> {
    let (all_images, all_masks) = (pages(images)?, pages(masks)?);
    let pair = |key: fn(&Page) -> Option<String>| -> Vec<Result<(Page, Page), FileError>> {
        let mut by_key: BTreeMap<String, Vec<&Page>> = BTreeMap::new();
        for image in &all_images {
            if let Some(key) = key(image) {
                by_key.entry(key).or_default().push(image);
            }
        }
        let image = |mask: &Page| match by_key.get(&key(mask)?)?[..] {
            [image] => Some(image.clone()),
            // Two images of one number: which of them is meant can't be told.
            _ => None,
        };
        let pair = |mask: &Page| match image(mask) {
            Some(image) => Ok((image, mask.clone())),
            None => Err(FileError::NoImage {
                mask: Box::new(mask.clone()),
                images: images.into(),
            }),
        };
        all_masks.iter().map(pair).collect()
    };
    let by_name = pair(|page| Some(page.name.clone()));
    match by_name.iter().all(Result::is_err) {
        true => pair(number).into_iter().collect(),
        false => by_name.into_iter().collect(),
    }
}

/// The number at the end of a name, without leading zeros.
fn number(page: &Page) -> Option<String> {
    let start = page.name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &page.name[start.len()..];
    (!digits.is_empty()).then(|| digits.trim_start_matches('0').to_owned())
}

/// Reads a picture as the file has it, in 8 or 16 bits.
pub fn read(page: &Page) -> Result<DynamicImage, FileError> {
    Ok(decode(page)?.0)
}

/// Reads a mask: 0 for the background, one number for each instance.
pub fn labels(page: &Page) -> Result<Plane<u32>, FileError> {
    let (mut image, inverted) = decode(page)?;
    if inverted {
        // The numbers in the file are what counts, not how bright they are shown.
        image.invert();
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = match image {
        DynamicImage::ImageLuma8(image) => image.into_raw().into_iter().map(u32::from).collect(),
        DynamicImage::ImageLuma16(image) => image.into_raw().into_iter().map(u32::from).collect(),
        other => {
            return Err(FileError::Pixels {
                page: Box::new(page.clone()),
                found: format!("{:?}", other.color()),
                expected: "a mask is grey with 8 or 16 bits, one number for each cell",
            });
        }
    };
    Ok(Plane {
        height,
        width,
        data,
    })
}

/// A file, told by its first bytes: a name may lie.
enum Opened {
    Tiff(BufReader<File>),
    Other(BufReader<File>),
}

fn open(file: &Path) -> Result<Opened, FileError> {
    let failed = |error| FileError::Io {
        path: file.into(),
        error,
    };
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let mut start = Vec::new();
    let mut head = reader.by_ref().take(4);
    head.read_to_end(&mut start).map_err(failed)?;
    reader.rewind().map_err(failed)?;
    // TIFF and, with 43 for 42, its variant for files beyond 4 GiB.
    const TIFF: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    Ok(match TIFF.contains(&&start[..]) {
        true => Opened::Tiff(reader),
        false => Opened::Other(reader),
    })
}

/// The picture, and whether the file says that its numbers are darker the larger they are; then they
/// have been turned round.
fn decode(page: &Page) -> Result<(DynamicImage, bool), FileError> {
    match open(&page.file)? {
        Opened::Tiff(reader) => decode_tiff(reader, page),
        Opened::Other(reader) => {
            let image = ImageReader::with_format(reader, ImageFormat::Png).decode();
            image
                .map(|image| (image, false))
                .map_err(|error| FileError::Png {
                    page: Box::new(page.clone()),
                    error,
                })
        }
    }
}

fn decode_tiff(reader: BufReader<File>, page: &Page) -> Result<(DynamicImage, bool), FileError> {
    let failed = |error| FileError::Tiff {
        page: Box::new(page.clone()),
        error,
    };
    let mut decoder = Decoder::new(reader).map_err(failed)?;
    decoder.seek_to_image(page.index).map_err(failed)?;
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let kind = decoder.colortype().map_err(failed)?;
    let photometric = decoder
        .find_tag_unsigned(Tag::PhotometricInterpretation)
        .map_err(failed)?;
    let inverted = photometric == Some(PhotometricInterpretation::WhiteIsZero.to_u16());
    let samples = decoder.read_image().map_err(failed)?;
    // A file with its colours in planes of their own gives only the first one, which is too short.
    use DecodingResult::{U8, U16};
    use DynamicImage as Image;
    let image = match (kind, samples) {
        (ColorType::Gray(8), U8(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageLuma8)
        }
        (ColorType::Gray(16), U16(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageLuma16)
        }
        (ColorType::GrayA(8), U8(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageLumaA8)
        }
        (ColorType::GrayA(16), U16(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageLumaA16)
        }
        (ColorType::RGB(8), U8(s)) => ImageBuffer::from_raw(width, height, s).map(Image::ImageRgb8),
        (ColorType::RGB(16), U16(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageRgb16)
        }
        (ColorType::RGBA(8), U8(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageRgba8)
        }
        (ColorType::RGBA(16), U16(s)) => {
            ImageBuffer::from_raw(width, height, s).map(Image::ImageRgba16)
        }
        _ => None,
    };
    match image {
        Some(image) => Ok((image, inverted)),
        None => Err(FileError::Pixels {
            page: Box::new(page.clone()),
            found: format!("{kind:?}, or in separate planes"),
            expected: "grey or RGB with 8 or 16 bits a channel is read, pixel by pixel",
        }),
    }
}
