//! The training data: a folder of images and a folder of instance masks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::seq::SliceRandom;

use super::components::cells;
use super::plane::Plane;
use super::read::{self, ReadError};

/// Endings of the files that are read; others are passed over.
const ENDINGS: [&str; 3] = ["png", "tif", "tiff"];

/// One image with the truth about it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the image's file without its ending.
    pub name: String,
    /// Brightness, normalised as [`crate::contract::Normalization::ZScore`] has it.
    pub image: Plane<f32>,
    /// The cells: one number for each, 0 for the background.
    pub cells: Plane<u32>,
}

/// Samples to learn from and samples to judge by.
#[derive(Debug)]
pub struct Split {
    /// Learned from.
    pub training: Vec<Sample>,
    /// Held back.
    pub validation: Vec<Sample>,
}

/// Why a data set can't be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The folder can't be listed.
    #[error("can't read the folder {}: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder without images.
    #[error("no .png, .tif or .tiff file in {}", .0.display())]
    Empty(PathBuf),
    /// Two files that differ in their ending only.
    #[error("{} and {} have the same name: remove one", .0.display(), .1.display())]
    Twice(PathBuf, PathBuf),
    /// An image without a mask, or a mask without an image.
    #[error("{} has no partner of the same name in {}", file.display(), folder.display())]
    NoPartner {
        /// The file that is alone.
        file: PathBuf,
        /// Where its partner should be.
        folder: PathBuf,
    },
    /// A file that is no image, or not one of the kinds that are read.
    #[error("can't use {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: ReadError,
    },
    /// A mask of another size than its image.
    #[error(
        "{} is {}x{} pixels, but its mask {} is {}x{}",
        image.display(), image_size.1, image_size.0, mask.display(), mask_size.1, mask_size.0
    )]
    Sizes {
        /// The image.
        image: PathBuf,
        /// Height and width of the image.
        image_size: (usize, usize),
        /// The mask.
        mask: PathBuf,
        /// Height and width of the mask.
        mask_size: (usize, usize),
    },
    /// No mask shows a cell.
    #[error("every mask in {} is empty: there is nothing to learn", .0.display())]
    NoCells(PathBuf),
    /// Nothing would be left to learn from or to judge by.
    #[error(
        "{images} image(s), of which a share of {share} is to be held back for validation: at least one must be on each side"
    )]
    Share {
        /// How many images there are.
        images: usize,
        /// The share that was asked for.
        share: f64,
    },
}

/// Reads every image of the folder `images` with the mask of the same name out of the folder `masks`.
///
/// A mask holds one number for each cell. One that holds a single number besides 0 is taken as
/// foreground and background, and its connected components are the cells.
pub fn load(images: &Path, masks: &Path) -> Result<Vec<Sample>, DatasetError> {
    let samples = pairs(images, masks)?
        .into_iter()
        .map(|(name, image, mask)| sample(name, image, mask))
        .collect::<Result<Vec<_>, _>>()?;
    if samples.iter().all(|s| s.cells.data.iter().all(|c| *c == 0)) {
        return Err(DatasetError::NoCells(masks.into()));
    }
    Ok(samples)
}

/// Holds back a random `share` of the samples, at least one.
pub fn split(
    mut samples: Vec<Sample>,
    share: f64,
    rng: &mut impl Rng,
) -> Result<Split, DatasetError> {
    let images = samples.len();
    let held_back = ((images as f64 * share).round() as usize).max(1);
    if held_back >= images {
        return Err(DatasetError::Share { images, share });
    }
    samples.shuffle(rng);
    let training = samples.split_off(held_back);
    Ok(Split {
        training,
        validation: samples,
    })
}

/// Image and mask files by their common name, in the order of the names.
fn pairs(images: &Path, masks: &Path) -> Result<Vec<(String, PathBuf, PathBuf)>, DatasetError> {
    let image_files = files(images)?;
    let mut mask_files = files(masks)?;
    let mut pairs = Vec::with_capacity(image_files.len());
    for (name, image) in image_files {
        match mask_files.remove(&name) {
            Some(mask) => pairs.push((name, image, mask)),
            None => {
                return Err(DatasetError::NoPartner {
                    file: image,
                    folder: masks.into(),
                });
            }
        }
    }
    match mask_files.into_values().next() {
        Some(file) => Err(DatasetError::NoPartner {
            file,
            folder: images.into(),
        }),
        None => Ok(pairs),
    }
}

/// The image files of a folder by their names without ending.
fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let unreadable = |error| DatasetError::Folder {
        folder: folder.into(),
        error,
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let Some(name) = path.file_stem() else {
            continue;
        };
        if !ENDINGS.contains(&ending.to_lowercase().as_str()) {
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        if let Some(other) = files.insert(name, path.clone()) {
            let (first, second) = if other < path {
                (other, path)
            } else {
                (path, other)
            };
            return Err(DatasetError::Twice(first, second));
        }
    }
    match files.is_empty() {
        true => Err(DatasetError::Empty(folder.into())),
        false => Ok(files),
    }
}

fn sample(name: String, image_file: PathBuf, mask_file: PathBuf) -> Result<Sample, DatasetError> {
    let unreadable = |file: &Path, error| DatasetError::Unreadable {
        file: file.into(),
        error,
    };
    let image = read::image(&image_file).map_err(|error| unreadable(&image_file, error))?;
    let mask = read::mask(&mask_file).map_err(|error| unreadable(&mask_file, error))?;
    if (image.height, image.width) != (mask.height, mask.width) {
        return Err(DatasetError::Sizes {
            image_size: (image.height, image.width),
            image: image_file,
            mask_size: (mask.height, mask.width),
            mask: mask_file,
        });
    }
    Ok(Sample {
        name,
        image: standardised(&image),
        cells: cells(mask),
    })
}

/// (x - mean) / (standard deviation + 1e-6) with the statistics of the whole image.
fn standardised(image: &Plane<f32>) -> Plane<f32> {
    let count = image.data.len().max(1) as f64;
    let mean = image.data.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let square = |x: &f32| (f64::from(*x) - mean).powi(2);
    let deviation = (image.data.iter().map(square).sum::<f64>() / count).sqrt();
    image.map(|x| ((f64::from(x) - mean) / (deviation + 1e-6)) as f32)
}

#[cfg(test)]
mod tests;
