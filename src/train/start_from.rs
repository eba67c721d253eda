//! The model that a run starts from, instead of random weights.

use std::fmt;
use std::path::{Path, PathBuf};

use super::model_file;
use crate::onnx::import::{ImportError, Imported, import};
use crate::unet::UNet;

/// An error about the model to start from.
#[derive(Debug, thiserror::Error)]
#[error("--start-from {}: {kind}", file.display())]
pub struct StartError {
    /// The model.
    pub file: PathBuf,
    /// What is wrong with it.
    pub kind: StartErrorKind,
}

/// Ways in which a model can't be started from.
#[derive(Debug, thiserror::Error)]
pub enum StartErrorKind {
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] model_file::FileErrorKind),
    /// Its network is not one that this program exports.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Some of its classes have other numbers.
    #[error("its classes are {}, but in this run some of them have other numbers: {}", model.join(","), run.join(","))]
    Classes {
        /// Its classes.
        model: Vec<String>,
        /// Those of the run.
        run: Vec<String>,
    },
    /// Its network has another shape than that of the run.
    #[error(
        "its network has {}, and this run asks for {}",
        ShapeText(model),
        ShapeText(run)
    )]
    Shape {
        /// Its shape.
        model: UNet,
        /// That of the run.
        run: UNet,
    },
}

/// The shape of the network in a model.
pub fn shape(file: &Path) -> Result<UNet, StartError> {
    read(file).map(|imported| imported.unet)
}

/// The network in a model, which has to be `unet`, with no class of `classes` in another place.
pub fn network(file: &Path, unet: &UNet, classes: &[String]) -> Result<Imported, StartError> {
    let imported = read(file)?;
    let moved = |(place, name): (usize, &String)| {
        let there = classes.iter().position(|class| class == name);
        there.is_some_and(|there| there != place)
    };
    let kind = if imported.unet != *unet {
        StartErrorKind::Shape {
            model: imported.unet,
            run: *unet,
        }
    } else if imported.classes.iter().enumerate().any(moved) {
        StartErrorKind::Classes {
            model: imported.classes,
            run: classes.to_vec(),
        }
    } else {
        return Ok(imported);
    };
    Err(StartError {
        file: file.into(),
        kind,
    })
}

fn read(file: &Path) -> Result<Imported, StartError> {
    let read = || {
        let (_, model) = model_file::read(file).map_err(|error| error.kind)?;
        Ok::<_, StartErrorKind>(import(&model)?)
    };
    read().map_err(|kind| StartError {
        file: file.into(),
        kind,
    })
}

/// A shape in the words of the options.
struct ShapeText<'a>(&'a UNet);

impl fmt::Display for ShapeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UNet {
            channels,
            classes,
            width,
            depth,
            padded,
        } = self.0;
        write!(
            f,
            "{channels} channel(s), {classes} classes, width {width}, depth {depth} and padded {padded}"
        )
    }
}
