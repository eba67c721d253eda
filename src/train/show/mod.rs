//! Pictures of what the network is shown, for a person to judge: weight maps and tiles.

mod augment;
mod canvas;
mod digits;
mod prediction;
mod weight_map;

use std::io::Cursor;
use std::path::PathBuf;

use clap::Args;
use image::{ImageError, ImageFormat};

pub use augment::ShowTiles;
pub use prediction::draw_found;
pub use weight_map::ShowWeightMaps;

use self::canvas::Canvas;
use super::config::Base;
use super::dataset::{DatasetError, Source, holds_data};
use super::replace::{Exists, WriteError, allow, check_in, replace};

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
    #[error(transparent)]
    Exists(#[from] Exists),
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

/// What is drawn, and where to.
#[derive(Args, Debug)]
struct PictureOptions {
    /// Read by [`expanded`](super::config::expanded) alone.
    #[command(flatten)]
    _base: Base,
    #[command(flatten)]
    source: Source,
    /// Folder for the pictures; it is made where it is missing
    #[arg(long, alias = "out", value_name = "FOLDER")]
    output: PathBuf,
    /// Replace pictures of the same names that are there already
    #[arg(long)]
    overwrite: bool,
}

impl PictureOptions {
    /// Makes the folder for pictures of these names. None of them may be there, unless it may be replaced, and the
    /// images and masks may not be there in any case.
    fn make(&self, names: &[String]) -> Result<(), ShowError> {
        let folder = &self.output;
        if holds_data(folder, &self.source)? {
            return Err(ShowError::Same(folder.clone()));
        }
        let files = names.iter().map(|name| folder.join(file(name)));
        allow(files, self.overwrite)?;
        // Of all names the longest may be too long.
        if let Some(name) = names.iter().max_by_key(|name| name.len()) {
            check_in(folder, &file(name))?;
        }
        std::fs::create_dir_all(folder).map_err(|error| {
            let file = folder.clone();
            ShowError::Write(WriteError { file, error })
        })
    }

    /// Writes the picture called `name` into the folder.
    fn write(&self, canvas: &Canvas, name: &str) -> Result<(), ShowError> {
        let file = self.output.join(file(name));
        let mut png = Cursor::new(Vec::new());
        let encoded = canvas.image().write_to(&mut png, ImageFormat::Png);
        encoded.map_err(|error| ShowError::Encode {
            file: file.clone(),
            error,
        })?;
        Ok(replace(&file, &png.into_inner())?)
    }
}

/// Name of the file of a picture; the slashes of `name` become dashes.
fn file(name: &str) -> String {
    format!("{}.png", name.replace('/', "-"))
}
