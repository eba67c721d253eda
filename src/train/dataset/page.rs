//! Pictures in files, and a reader for many of them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DatasetError;
use crate::train::read::{Pages, Raster, ReadError};

/// One picture: a file, or a page of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The file.
    pub file: PathBuf,
    /// Which of its pictures, from 0; `None` if there is only one.
    pub index: Option<usize>,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{} (page {index}, the first is 0)", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// An image and its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Name of the sample, different for each.
    pub name: String,
    /// Name of the sequence that it is part of; empty if there is only one.
    pub sequence: String,
    /// The image.
    pub image: Page,
    /// The mask.
    pub mask: Page,
}

/// The pictures of a file.
pub fn pages(file: &Path) -> Result<Vec<Page>, DatasetError> {
    let count = match Pages::open(file) {
        Ok(pages) => pages.count(),
        Err(error) => {
            return Err(DatasetError::Unreadable {
                page: Page {
                    file: file.into(),
                    index: None,
                },
                error,
            });
        }
    };
    let page = |index| Page {
        file: file.into(),
        index: (count > 1).then_some(index),
    };
    Ok((0..count).map(page).collect())
}

/// Reads pages, and keeps the last file open: the next page is usually in the same one.
#[derive(Default)]
pub struct Reader(Option<(PathBuf, Pages)>);

impl Reader {
    /// Reads a page and converts it.
    pub fn read<T>(
        &mut self,
        page: &Page,
        convert: impl FnOnce(&Raster) -> Result<T, ReadError>,
    ) -> Result<T, DatasetError> {
        let result = self.raster(page).and_then(|raster| convert(&raster));
        result.map_err(|error| DatasetError::Unreadable {
            page: page.clone(),
            error,
        })
    }

    fn raster(&mut self, page: &Page) -> Result<Raster, ReadError> {
        let pages = match self.0.take() {
            Some((file, pages)) if file == page.file => pages,
            _ => Pages::open(&page.file)?,
        };
        let (_, pages) = self.0.insert((page.file.clone(), pages));
        match (page.index, pages.count()) {
            (None, count @ 2..) => Err(ReadError::Stack(count)),
            (index, _) => pages.read(index.unwrap_or_default()),
        }
    }
}
