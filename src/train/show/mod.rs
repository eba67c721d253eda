//! Pictures for visual inspection of the training data: weight maps and tiles.

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
pub use prediction::draw_outlines;
pub use weight_map::ShowWeightMaps;

use self::canvas::Canvas;
use super::config::OptionSources;
use super::dataset::{DatasetError, Source, holds_data};
use super::replace::{Exists, WriteError, allow, check_in, replace};

/// Why pictures can't be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The images or masks would be replaced.
    #[error("--output names a folder of images or masks, {}, which the pictures could replace: name another folder", .0.display())]
    DataFolder(PathBuf),
    /// A file would be replaced.
    #[error(transparent)]
    Exists(#[from] Exists),
    /// A picture can't be encoded as PNG.
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

/// The data to draw, and the folder for the pictures.
#[derive(Args, Debug)]
struct PictureOptions {
    /// Read only by [`expanded`](super::config::expanded).
    #[command(flatten)]
    _option_sources: OptionSources,
    #[command(flatten)]
    source: Source,
    /// Folder for the pictures; created if missing
    #[arg(long, alias = "out", value_name = "FOLDER")]
    output: PathBuf,
    /// Replace pictures of the same names that are there already
    #[arg(long)]
    overwrite: bool,
}

impl PictureOptions {
    /// Creates the folder for pictures of these names. They may exist only if they may be replaced, and the folder may
    /// never be one of images or masks.
    fn create_folder(&self, names: &[String]) -> Result<(), ShowError> {
        let folder = &self.output;
        if holds_data(folder, &self.source)? {
            return Err(ShowError::DataFolder(folder.clone()));
        }
        let files = names.iter().map(|name| folder.join(file(name)));
        allow(files, self.overwrite)?;
        // The longest name may be too long for a file.
        if let Some(name) = names.iter().max_by_key(|name| name.len()) {
            check_in(folder, &file(name))?;
        }
        std::fs::create_dir_all(folder).map_err(|error| {
            let file = folder.clone();
            ShowError::Write(WriteError { file, error })
        })
    }

    /// Writes the picture `name` into the folder.
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

/// File name of a picture; the slashes of `name` become dashes.
fn file(name: &str) -> String {
    format!("{}.png", name.replace('/', "-"))
}
