//! How the files of a data set are arranged: its layout, and where its images and masks are.

use std::path::{Path, PathBuf};

use super::{DatasetError, Layout, Source, challenge, folders, stacks};

/// Where images and masks are, and how they are paired.
#[derive(Debug)]
pub struct Arrangement {
    /// The layout that was chosen, or the one that the files have.
    pub layout: Layout,
    /// The images; a folder of sequences for the Cell Tracking Challenge.
    pub images: PathBuf,
    /// The masks; `None` only for the Cell Tracking Challenge, if they are beside the images.
    pub masks: Option<PathBuf>,
}

impl Arrangement {
    /// Whether there may be masks of several [`Standard`](super::Standard)s.
    fn has_standards(&self) -> bool {
        let mut masks = self.masks.iter();
        self.layout == Layout::CellTracking && !masks.any(|masks| challenge::is_truth(masks))
    }
}

/// An option of `source` that is given, but has no effect on its files, and why. Files that can't be found are reported
/// when they are read.
pub fn without_effect(
    source: &Source,
    is_given: impl Fn(&str) -> bool,
) -> Option<(&'static str, &'static str)> {
    let files = arrangement(source).ok()?;
    if is_given("truth") && !files.has_standards() {
        let why = match source.masks {
            Some(_) => "beside --masks",
            None => "without sequences of the Cell Tracking Challenge",
        };
        Some(("truth", why))
    } else if is_given("annotated_only") && source.annotated_only && files.layout == Layout::Stacks
    {
        Some(("annotated-only", "with stacks: each page needs a mask"))
    } else {
        None
    }
}

/// Finds out how the files of `source` are arranged.
pub fn arrangement(source: &Source) -> Result<Arrangement, DatasetError> {
    let images = &source.images;
    if let Some(masks) = &source.masks {
        let holds_truth =
            allows(source, Layout::CellTracking) && challenge::holds_truth(images, masks);
        if is_same(images, masks) && !holds_truth {
            return Err(DatasetError::Same(images.clone()));
        }
        let layout = match source.layout {
            Some(layout) => layout,
            None if images.is_file() || masks.is_file() => Layout::Stacks,
            None if holds_truth || challenge::is_truth(masks) => Layout::CellTracking,
            None => Layout::Folders,
        };
        return Ok(Arrangement {
            layout,
            images: images.clone(),
            masks: Some(masks.clone()),
        });
    }
    if images.is_file() {
        return Err(DatasetError::NoMasksOfFile(images.clone()));
    }
    std::fs::read_dir(images).map_err(|error| DatasetError::Folder {
        folder: images.clone(),
        error,
    })?;
    let stacks = stacks::inside(images).filter(|_| allows(source, Layout::Stacks));
    let folders = folders::inside(images).filter(|_| allows(source, Layout::Folders));
    let stacks = stacks.map(|both| (Layout::Stacks, both));
    let folders = folders.map(|both| (Layout::Folders, both));
    if let Some((layout, (images, masks))) = stacks.or(folders) {
        Ok(Arrangement {
            layout,
            images,
            masks: Some(masks),
        })
    } else if source.layout == Some(Layout::CellTracking)
        || allows(source, Layout::CellTracking) && !challenge::sequences(images).is_empty()
    {
        Ok(Arrangement {
            layout: Layout::CellTracking,
            images: images.clone(),
            masks: None,
        })
    } else {
        Err(DatasetError::NoMasks(images.clone()))
    }
}

fn allows(source: &Source, layout: Layout) -> bool {
    source.layout.is_none_or(|chosen| chosen == layout)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
