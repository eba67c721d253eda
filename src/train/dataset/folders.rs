//! A folder of images and a folder of masks, with the same file names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::page::{Pair, pages};
use super::{DatasetError, DatasetFiles, Layout, files};

/// Names that the folders of images and masks have where both lie in one folder.
const NAMES: [[&str; 2]; 2] = [["images", "masks"], ["images", "labels"]];

/// The folders of images and masks inside `root`.
pub fn inside(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let folders = NAMES.map(|names| names.map(|name| root.join(name)));
    let mut pairs = folders.into_iter();
    let [images, masks] = pairs.find(|pair| pair.iter().all(|folder| folder.is_dir()))?;
    Some((images, masks))
}

/// Finds the mask of each image. Files of several pages are sequences; both then have as many.
pub fn find(
    images: &Path,
    masks: &Path,
    annotated_only: bool,
) -> Result<DatasetFiles, DatasetError> {
    let image_files = files::pictures(images)?;
    let mask_files = files::pictures(masks)?.into_iter();
    let mut mask_files: BTreeMap<_, _> = mask_files.map(|file| (file.name, file.path)).collect();
    let mut pairs = Vec::with_capacity(image_files.len());
    let mut without_mask = 0;
    for image in image_files {
        match mask_files.remove(&image.name) {
            Some(mask) => pairs.extend(of_files(&image.name, &image.path, &mask)?),
            None if annotated_only => without_mask += 1,
            None => {
                return Err(DatasetError::NoPartner {
                    file: image.path,
                    folder: masks.into(),
                    is_image: true,
                });
            }
        }
    }
    if let Some(file) = mask_files.into_values().next() {
        return Err(DatasetError::NoPartner {
            file,
            folder: images.into(),
            is_image: false,
        });
    }
    Ok(DatasetFiles {
        pairs,
        without_mask,
        ..DatasetFiles::new(Layout::Folders, masks)
    })
}

/// The pairs of an image file and its mask file: one, or one per page.
fn of_files(name: &str, image: &Path, mask: &Path) -> Result<Vec<Pair>, DatasetError> {
    let (images, masks) = (pages(image)?, pages(mask)?);
    if images.len() != masks.len() {
        return Err(DatasetError::Pages {
            image: image.into(),
            image_pages: images.len(),
            mask: mask.into(),
            mask_pages: masks.len(),
        });
    }
    let pair = |(image, mask): (super::Page, _)| Pair {
        name: match image.index {
            Some(index) => format!("{name}-{index:03}"),
            None => name.into(),
        },
        sequence: image.index.map(|_| name.into()).unwrap_or_default(),
        image,
        mask,
    };
    Ok(images.into_iter().zip(masks).map(pair).collect())
}
