//! Folders that results can't be written into, because they hold images or masks.

use std::collections::BTreeSet;
use std::path::Path;

use super::{DatasetError, Layout, Source, arrangement, find};

/// Whether PNG files in `folder` would lie among the pictures of `path`, or could be written over the one that it is.
pub fn is_taken(folder: &Path, path: &Path) -> bool {
    let ending = path.extension().filter(|_| path.is_file());
    let is_png = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    match (folder.canonicalize(), path.canonicalize()) {
        (Ok(folder), Ok(path)) => {
            folder == path || is_png && path.parent().is_some_and(|parent| folder == parent)
        }
        _ => false,
    }
}

/// Whether PNG files in `folder` would lie among the images or masks of `source`, or could be written over one of them.
pub fn holds_data(folder: &Path, source: &Source) -> Result<bool, DatasetError> {
    let places = match &source.masks {
        Some(masks) if arrangement(source)?.layout != Layout::CellTracking => {
            BTreeSet::from([source.images.clone(), masks.clone()])
        }
        // They are somewhere in the folders that are named.
        _ => {
            let pairs = find(source)?.pairs.into_iter();
            let files = pairs.flat_map(|pair| [pair.image.file, pair.mask.file]);
            files
                .filter_map(|file| Some(file.parent()?.to_owned()))
                .collect()
        }
    };
    Ok(places.iter().any(|place| is_taken(folder, place)))
}
