//! The model that a run begins with instead of random weights.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::onnx::Model;
use crate::onnx::export::Parameters;
use crate::onnx::import::{ImportError, import};
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
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is no ONNX file.
    #[error("it is no ONNX file: {0}")]
    Form(#[from] prost::DecodeError),
    /// Its network is none of this program.
    #[error(transparent)]
    Import(#[from] ImportError),
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
    read(file).map(|(unet, _)| unet)
}

/// The weights and biases of a model, whose network has to be `unet`.
pub fn values(file: &Path, unet: &UNet) -> Result<Vec<Parameters>, StartError> {
    let (found, values) = read(file)?;
    match found == *unet {
        true => Ok(values),
        false => Err(StartError {
            file: file.into(),
            why: Why::Shape {
                model: found,
                run: *unet,
            },
        }),
    }
}

fn read(file: &Path) -> Result<(UNet, Vec<Parameters>), StartError> {
    let read = || Ok::<_, Why>(import(&Model::decode(&fs::read(file)?[..])?)?);
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
