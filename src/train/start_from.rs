//! The model that a run begins with instead of random weights.

use std::fmt;
use std::path::{Path, PathBuf};

use super::model_file;
use crate::onnx::import::{ImportError, Imported, import};
use crate::unet::UNet;

/// Why a model can't be begun with.
#[derive(Debug, thiserror::Error)]
#[error("--start-from {}: {why}", file.display())]
pub struct StartError {
    /// The model.
    pub file: PathBuf,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a model to begin with.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] model_file::Why),
    /// Its network is none of this program.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Some of its classes are in other places.
    #[error("its classes are {}, and this run has some of them in other places: {}", model.join(","), run.join(","))]
    Classes {
        /// Those that it has.
        model: Vec<String>,
        /// Those that were asked for.
        run: Vec<String>,
    },
    /// Its network has another shape than the one that is to learn.
    #[error(
        "its network has {}, and this run asks for {}",
        Words(model),
        Words(run)
    )]
    Shape {
        /// The shape that it has.
        model: UNet,
        /// The shape that was asked for.
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
    let why = if imported.unet != *unet {
        Why::Shape {
            model: imported.unet,
            run: *unet,
        }
    } else if imported.classes.iter().enumerate().any(moved) {
        Why::Classes {
            model: imported.classes,
            run: classes.to_vec(),
        }
    } else {
        return Ok(imported);
    };
    Err(StartError {
        file: file.into(),
        why,
    })
}

fn read(file: &Path) -> Result<Imported, StartError> {
    let read = || {
        let (_, model) = model_file::read(file).map_err(|error| error.why)?;
        Ok::<_, Why>(import(&model)?)
    };
    read().map_err(|why| StartError {
        file: file.into(),
        why,
    })
}

/// A shape in the words of the options.
struct Words<'a>(&'a UNet);

impl fmt::Display for Words<'_> {
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
