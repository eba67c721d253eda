//! Packaging a model for BioImage.IO, with a picture to test the package with.

mod readme;
mod sample;

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use self::readme::Readme;
use self::sample::{drawn, test_tensors};
use super::options::RuntimeOptions;
use super::picture::Picture;
use super::png::{self, DrawError};
use super::predictor::{PredictError, Predictor, PredictorOptions};
use crate::bioimageio::write::{About, Source, Sources, describe, least_side};
use crate::contract::{Contract, Geometry};
use crate::inference::{Model, ModelError};
use crate::picture::{Color, DisplayRange, FrameError};
use crate::tiling::Size;
use crate::train::dataset::{DatasetError, Page, Reader};
use crate::train::model_file::{self, FileError};
use crate::train::plane::Plane;
use crate::train::replace::{WriteError, check, check_in, replace};

/// Smallest side of the test picture in pixels, and the side of the part that the cover shows.
const SIDE: usize = 256;

/// The parts of a package that a model does not have.
#[derive(Args, Debug)]
#[command(next_help_heading = "Packages of BioImage.IO")]
pub struct PackageOptions {
    /// Write a package of --model: a folder, or a zip archive where --output ends in .zip
    #[arg(long, requires = "model", conflicts_with = "checkpoint")]
    bioimageio: bool,
    /// The model: an ONNX file of this program or of another
    #[arg(long, value_name = "FILE.onnx", requires = "bioimageio")]
    pub(super) model: Option<PathBuf>,
    /// Name of the package [default: the model's]
    #[arg(long, requires = "bioimageio")]
    name: Option<String>,
    /// Purpose of the model, in a sentence
    #[arg(long, value_name = "TEXT", requires = "bioimageio")]
    description: Option<String>,
    /// Author; may be repeated
    #[arg(long, value_name = "NAME", requires = "bioimageio")]
    author: Vec<String>,
    /// Licence of the weights, an SPDX identifier such as CC-BY-4.0
    #[arg(long, value_name = "SPDX", requires = "bioimageio")]
    license: Option<String>,
    /// Citation besides the U-Net's paper, with "doi:10..." in it; may be repeated [default: the training data]
    #[arg(long, value_name = "TEXT", requires = "bioimageio")]
    cite: Vec<String>,
    /// Picture for the package's test and its cover, one that may be redistributed [default: a drawn one]
    #[arg(long, value_name = "FILE", requires = "bioimageio")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// Why a package can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not say which operator set of ONNX it needs.
    #[error("{} does not say which version of ONNX's operators it needs", .0.display())]
    NoOperators(PathBuf),
    /// The picture can't be read.
    #[error(transparent)]
    Picture(#[from] DatasetError),
    /// The picture can't be used.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It can't be segmented.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The cover can't be drawn.
    #[error("can't draw the cover: {0}")]
    Draw(#[from] DrawError),
    /// The cover can't be encoded as PNG.
    #[error("can't encode the cover: {0}")]
    Encode(#[from] image::ImageError),
    /// The format does not allow the name.
    #[error(
        "{0:?} can't be the name of a package: it takes 5 to 128 letters, digits, spaces, _, +, - and brackets. Set --name"
    )]
    Name(String),
    /// A citation lacks the DOI that the format demands.
    #[error("--cite {0:?} has no DOI: add doi:10.... to it")]
    Cite(String),
    /// The description can't be written.
    #[error("can't write the description: {0}")]
    Describe(String),
    /// The archive can't be made.
    #[error("can't make the archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// A tensor can't be encoded.
    #[error("can't encode a tensor: {0}")]
    Tensor(#[from] io::Error),
    /// The package can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Names of the files of a package.
const WEIGHTS: &str = "weights.onnx";
const INPUT: &str = "test_input.npy";
const OUTPUT: &str = "test_output.npy";
const COVER: &str = "cover.png";
const README: &str = "README.md";
const DESCRIPTION: &str = "rdf.yaml";

/// All of them.
const FILES: [&str; 6] = [WEIGHTS, INPUT, OUTPUT, COVER, README, DESCRIPTION];

fn is_archive(output: &Path) -> bool {
    let ending = output.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// The files that a package is written into.
pub fn files(output: &Path) -> Vec<PathBuf> {
    if is_archive(output) {
        vec![output.to_owned()]
    } else {
        FILES.iter().map(|name| output.join(name)).collect()
    }
}

/// Whether a package could be written to `output`.
pub fn check_output(output: &Path) -> Result<(), WriteError> {
    if is_archive(output) {
        check(output)
    } else {
        // A folder is made when there is something to put into it.
        check_in(output, WEIGHTS)
    }
}

impl PackageOptions {
    /// Writes the package of `model` to `output`.
    pub fn write(&self, model: &Path, output: &Path) -> Result<(), PackageError> {
        let mut opened = Model::open(model, &self.runtime.options())?;
        let (weights, file) = model_file::read(model)?;
        let opset = file.opset_import.iter().find(|set| set.domain.is_empty());
        let opset = opset.ok_or_else(|| PackageError::NoOperators(model.to_owned()))?;
        let contract = opened.contract().clone();
        let about = self.about(&contract)?;
        let picture = self.picture(&contract)?;
        let (input, found) = test_tensors(&mut opened, &picture)?;
        let cover = self.cover(model, &picture, &contract)?;
        let sources = Sources {
            weights: source(WEIGHTS, &weights),
            opset: opset.version,
            test_input: source(INPUT, &input),
            test_output: source(OUTPUT, &found),
            cover: COVER.to_owned(),
            documentation: README.to_owned(),
        };
        let description = describe(&contract, &about, &sources).map_err(PackageError::Describe)?;
        let readme = Readme {
            contract: &contract,
            about: &about,
        };
        let entries = [
            (WEIGHTS, weights),
            (INPUT, input),
            (OUTPUT, found),
            (COVER, cover),
            (README, readme.to_string().into_bytes()),
            // Last, so that half a package is none.
            (DESCRIPTION, description.into_bytes()),
        ];
        if is_archive(output) {
            return Ok(replace(output, &archive(&entries)?)?);
        }
        fs::create_dir_all(output).map_err(|error| WriteError {
            file: output.to_owned(),
            error,
        })?;
        for (name, bytes) in &entries {
            replace(&output.join(name), bytes)?;
        }
        Ok(())
    }

    fn about(&self, contract: &Contract) -> Result<About, PackageError> {
        let name = self.name.clone().unwrap_or_else(|| contract.name.clone());
        let is_allowed = |c: char| c.is_alphanumeric() || " _+-()".contains(c);
        if !(5..=128).contains(&name.chars().count()) || !name.chars().all(is_allowed) {
            return Err(PackageError::Name(name));
        }
        let with_doi = |text: &String| Some((text.clone(), doi(text)?));
        let cite: Result<Vec<_>, _> = self
            .cite
            .iter()
            .map(|text| with_doi(text).ok_or_else(|| PackageError::Cite(text.clone())))
            .collect();
        let mut cite = cite?;
        if let Some(training) = &contract.training
            && cite.is_empty()
        {
            // The format allows no citation without one; the README has the text anyway.
            cite.extend(with_doi(&training.data));
        }
        let description = self.description.clone().unwrap_or_else(|| {
            let classes: Vec<&str> = contract
                .classes
                .iter()
                .map(|class| class.name.as_str())
                .collect();
            format!("A U-Net that tells {} apart", classes.join(" and "))
        });
        Ok(About {
            name,
            description,
            authors: self.author.clone(),
            license: self.license.clone(),
            cite,
        })
    }

    /// The test picture.
    fn picture(&self, contract: &Contract) -> Result<Picture, PackageError> {
        let size = test_size(&contract.geometry);
        match &self.picture {
            None => Ok(drawn(size, contract.channels)?),
            Some(file) => {
                let page = Page {
                    file: file.clone(),
                    index: None,
                };
                let picture =
                    Reader::default().read(&page, |raster| Picture::of(raster, contract))?;
                Ok(picture.part(size))
            }
        }
    }

    /// The picture, and beside it what the model finds in it.
    fn cover(
        &self,
        model: &Path,
        picture: &Picture,
        contract: &Contract,
    ) -> Result<Vec<u8>, PackageError> {
        let picture = picture.part(Size {
            width: SIDE,
            height: SIDE,
        });
        let options = self.runtime.options();
        let mut predictor = Predictor::open(model, &options, PredictorOptions::default())?;
        let found = predictor.predict(&picture)?;
        let colors: Vec<Color> = contract.classes.iter().map(|class| class.color).collect();
        let nothing = Plane::filled(SIDE, SIDE, 0);
        let draw = |mask| png::overlay(&picture, mask, &colors, 0.35, DisplayRange::default());
        Ok(draw(&nothing)?.beside(&draw(&found.mask)?).encode()?)
    }
}

/// The size of the test picture, one that the package declares.
fn test_size(geometry: &Geometry) -> Size {
    let least = least_side(geometry);
    let wider = SIDE + SIDE / 4;
    let (height, width) = match geometry.legal(SIDE.max(least), wider.max(least)) {
        Some(legal) => legal,
        // A fixed size that is smaller.
        None => geometry.legal(1, 1).unwrap_or((SIDE, SIDE)),
    };
    Size { width, height }
}

/// The DOI after `doi:` in a text, without the punctuation around it.
fn doi(text: &str) -> Option<String> {
    let (_, behind) = text.split_once("doi:")?;
    let doi = behind.split_whitespace().next()?;
    // Another one may follow without a space; semicolons are also part of old DOIs.
    let doi = doi.split(',').next()?.split(";doi:").next()?;
    let doi = doi.trim_end_matches([')', ']', '>', '.', ',', ';', '"', '\'', '”', '’']);
    doi.starts_with("10.").then(|| doi.to_owned())
}

/// A file of a package as its description names it.
fn source(name: &str, bytes: &[u8]) -> Source {
    let digits = Sha256::digest(bytes);
    Source {
        source: name.to_owned(),
        sha256: digits.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn archive(entries: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, PackageError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default())?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNet;

    #[test]
    fn a_doi_is_found_in_what_is_cited() {
        let text = "Caicedo et al., Nature Methods 2019, doi:10.1038/s41592-019-0612-7. CC0";
        for text in [
            text,
            "(doi:10.1038/s41592-019-0612-7).",
            "\"doi: 10.1038/s41592-019-0612-7\"\nCC0",
            "doi:10.1038/s41592-019-0612-7,doi:10.1/2",
            "doi:10.1038/s41592-019-0612-7;doi:10.1/2",
        ] {
            assert_eq!(doi(text).as_deref(), Some("10.1038/s41592-019-0612-7"));
        }
        let old = "10.1002/(SICI)1097-0258(19980815)17:15<1661::AID-SIM968>3.0.CO;2-2";
        assert_eq!(doi(&format!("doi:{old}.")).as_deref(), Some(old));
        assert_eq!(doi("no doi: at all"), None);
    }

    #[test]
    fn a_test_picture_has_a_size_that_the_package_declares() {
        let size = |depth| {
            let unet = UNet {
                channels: 1,
                classes: 2,
                width: 1,
                depth,
                padded: true,
            };
            let Size { width, height } = test_size(&unet.geometry());
            (width, height)
        };
        assert_eq!(size(3), (320, 256));
        // Its halo is 192 pixels, and sides are multiples of 32.
        assert_eq!(size(5), (416, 416));
    }
}
