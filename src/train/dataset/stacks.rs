//! A stack of images with a stack of masks, page by page; either may also be a folder of files.

use std::path::{Path, PathBuf};

use super::page::{Page, Pair, pages};
use super::{DatasetError, DatasetFiles, Layout, files};

/// Names of the images and masks of the ISBI 2012 challenge.
const ISBI_2012: [&str; 2] = ["train-volume", "train-labels"];

/// The stacks of the ISBI 2012 challenge inside `root`.
pub fn inside(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let file = |name: &str| {
        let mut files = ["tif", "tiff"]
            .into_iter()
            .map(|ending| root.join(name).with_extension(ending));
        files.find(|file| file.is_file())
    };
    Some((file(ISBI_2012[0])?, file(ISBI_2012[1])?))
}

/// Pairs the pictures of `images` and `masks` in their order.
pub fn find(images: &Path, masks: &Path) -> Result<DatasetFiles, DatasetError> {
    let (image_pages, mask_pages) = (in_order(images)?, in_order(masks)?);
    if image_pages.len() != mask_pages.len() {
        return Err(DatasetError::Pages {
            image: images.into(),
            image_pages: image_pages.len(),
            mask: masks.into(),
            mask_pages: mask_pages.len(),
        });
    }
    let pair = |((name, image), (_, mask)): ((String, Page), (String, Page))| Pair {
        name,
        sequence: sequence(&image),
        image,
        mask,
    };
    Ok(DatasetFiles {
        pairs: image_pages.into_iter().zip(mask_pages).map(pair).collect(),
        ..DatasetFiles::new(Layout::Stacks, masks)
    })
}

/// The sequence that a picture is part of: its file, where that holds several.
fn sequence(page: &Page) -> String {
    let stem = page.index.and(page.file.file_stem());
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

/// The pictures of a folder in the order of their names, or the pages of a file, each with a name of
/// its own: that of the file, with the number of the page where there are several.
pub fn in_order(path: &Path) -> Result<Vec<(String, Page)>, DatasetError> {
    let files = if path.is_dir() {
        files::pictures(path)?
    } else {
        vec![files::named(path)?]
    };
    let mut all = Vec::new();
    for file in files {
        all.extend(pages(&file.path)?.into_iter().map(|page| {
            let name = match page.index {
                Some(index) => format!("{}-{index:03}", file.name),
                None => file.name.clone(),
            };
            (name, page)
        }));
    }
    Ok(all)
}
