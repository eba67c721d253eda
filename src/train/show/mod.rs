//! Pictures of what the network is shown, for a person to judge: weight maps and tiles.

mod augment;
mod canvas;
mod digits;
mod found;
mod weight_map;

use std::path::{Path, PathBuf};

pub use augment::ShowTiles;
pub use found::draw_found;
pub use weight_map::ShowWeightMaps;

use self::canvas::Canvas;
use super::dataset::DatasetError;
use super::replace::kept;

/// Why pictures can't be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The folder can't be made.
    #[error("can't make the folder {}: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file would be lost.
    #[error("{} is there already: name another --output, or replace it by --overwrite", .0.display())]
    Exists(PathBuf),
    /// A picture can't be written.
    #[error("can't write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: image::ImageError,
    },
}

/// Makes a folder for pictures of these names, of which none is to be there unless it may be replaced.
fn make<'a>(
    folder: &Path,
    names: impl Iterator<Item = &'a str>,
    overwrite: bool,
) -> Result<(), ShowError> {
    if let Some(file) = kept(names.map(|name| file(folder, name)), overwrite) {
        return Err(ShowError::Exists(file));
    }
    std::fs::create_dir_all(folder).map_err(|error| ShowError::Folder {
        folder: folder.into(),
        error,
    })
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.png", name.replace('/', "-")))
}

/// Writes a picture into `folder`; the slashes of `name` become dashes.
fn write(canvas: &Canvas, folder: &Path, name: &str) -> Result<(), ShowError> {
    let file = file(folder, name);
    let written = canvas.image().save(&file);
    written.map_err(|error| ShowError::Write { file, error })
}
