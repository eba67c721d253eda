//! Pictures of what the network is shown, for a person to judge: weight maps and tiles.

mod augment;
mod canvas;
mod digits;
mod found;
mod weight_map;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageFormat};

pub use augment::ShowTiles;
pub use found::draw_found;
pub use weight_map::ShowWeightMaps;

use self::canvas::Canvas;
use super::dataset::{DatasetError, Source, holds_data};
use super::replace::{WriteError, check_in, kept, replace};

/// Why pictures can't be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The images or masks would be replaced.
    #[error("--output names a folder of images or masks, {}, where pictures would take their names: name another", .0.display())]
    Same(PathBuf),
    /// A file would be lost.
    #[error("{} is there already: name another --output, or replace it by --overwrite", .0.display())]
    Exists(PathBuf),
    /// A picture can't be made a PNG file.
    #[error("can't encode {}: {error}", file.display())]
    Encode {
        /// The file.
        file: PathBuf,
        /// Why.
        error: ImageError,
    },
    /// A picture or its folder can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes a folder for pictures of these names. None of them may be there, unless it may be replaced, and the images and
/// masks of `source` may not be there in any case.
fn make(
    folder: &Path,
    source: &Source,
    names: &[String],
    overwrite: bool,
) -> Result<(), ShowError> {
    if holds_data(folder, source)? {
        return Err(ShowError::Same(folder.into()));
    }
    let files = names.iter().map(|name| folder.join(file(name)));
    if let Some(file) = kept(files, overwrite) {
        return Err(ShowError::Exists(file));
    }
    if let Some(name) = names.first() {
        check_in(folder, &file(name))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| {
        let file = folder.into();
        ShowError::Write(WriteError { file, error })
    })
}

/// Name of the file of a picture; the slashes of `name` become dashes.
fn file(name: &str) -> String {
    format!("{}.png", name.replace('/', "-"))
}

/// Writes the picture called `name` into `folder`.
fn write(canvas: &Canvas, folder: &Path, name: &str) -> Result<(), ShowError> {
    let file = folder.join(file(name));
    let mut png = Cursor::new(Vec::new());
    let encoded = canvas.image().write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| ShowError::Encode {
        file: file.clone(),
        error,
    })?;
    Ok(replace(&file, &png.into_inner())?)
}
