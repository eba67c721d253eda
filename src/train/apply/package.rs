//! Making a package of BioImage.IO out of a model, with a picture to test it by.

use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use clap::Args;
use npyz::WriterBuilder;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::options::RuntimeOptions;
use super::picture::Picture;
use super::png::{self, DrawError};
use super::predictor::{PredictError, Predictor, Use};
use crate::bioimageio::write::{About, Source, Sources, describe};
use crate::contract::{Activation, Channels, Contract};
use crate::inference::{Model, ModelError};
use crate::onnx;
use crate::picture::{Color, DisplayRange, Format, FrameError, Normalizer, Scaling};
use crate::tiling::Size;
use crate::train::dataset::{DatasetError, Page, Reader};
use crate::train::plane::Plane;
use crate::train::replace::replace;
use crate::train::run_folder::WriteError;

/// The picture to test by has sides of at least this many pixels.
const TESTED: usize = 256;

/// What a package says that a model does not.
#[derive(Args, Debug)]
#[command(next_help_heading = "Packages of BioImage.IO")]
pub struct PackageOptions {
    /// Write a package of --model: a folder, or a zip archive where --output ends in .zip
    #[arg(long, requires = "model", conflicts_with = "checkpoint")]
    bioimageio: bool,
    /// The model: an ONNX file of this program or of another
    #[arg(long, value_name = "FILE.onnx", requires = "bioimageio")]
    pub(super) model: Option<PathBuf>,
    /// What the package is called [default: the model's name]
    #[arg(long, requires = "bioimageio")]
    name: Option<String>,
    /// What the model does, in a sentence
    #[arg(long, value_name = "TEXT", requires = "bioimageio")]
    description: Option<String>,
    /// Who made it; once for each
    #[arg(long, value_name = "NAME", requires = "bioimageio")]
    author: Vec<String>,
    /// Licence of the weights, an identifier of SPDX such as CC-BY-4.0
    #[arg(long, value_name = "SPDX", requires = "bioimageio")]
    license: Option<String>,
    /// What to cite besides the U-Net's paper, with "doi:10..." in it [default: the training data]
    #[arg(long, value_name = "TEXT", requires = "bioimageio")]
    cite: Vec<String>,
    /// Picture to test the package by and to show on its cover, one that may be passed on [default: a drawn one]
    #[arg(long, value_name = "FILE", requires = "bioimageio")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It is a package already, or can't be read again.
    #[error("{} is no ONNX file", .0.display())]
    NotOnnx(PathBuf),
    /// The picture can't be read.
    #[error(transparent)]
    Picture(#[from] DatasetError),
    /// There is no such picture.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It can't be segmented.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The cover can't be drawn.
    #[error("can't draw the cover: {0}")]
    Draw(#[from] DrawError),
    /// The cover can't be made a PNG file.
    #[error("can't encode the cover: {0}")]
    Encode(#[from] image::ImageError),
    /// The name is none that the format allows.
    #[error(
        "{0:?} can't be the name of a package: it takes 5 to 128 letters, digits, spaces, _, +, - and brackets. Set --name"
    )]
    Name(String),
    /// A citation lacks what the format asks for.
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

/// A file of the package: its name, and what is in it.
type Entry = (&'static str, Vec<u8>);

/// Names of the files of a package.
const FILES: [&str; 6] = [
    "weights.onnx",
    "test_input.npy",
    "test_output.npy",
    "cover.png",
    "README.md",
    "rdf.yaml",
];

fn is_archive(output: &Path) -> bool {
    let ending = output.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// The files that a package is written into.
pub fn files(output: &Path) -> Vec<PathBuf> {
    match is_archive(output) {
        true => vec![output.to_owned()],
        false => FILES.iter().map(|name| output.join(name)).collect(),
    }
}

impl PackageOptions {
    /// Writes the package of `model` to `output`.
    pub fn write(&self, model: &Path, output: &Path) -> Result<(), PackageError> {
        let not_onnx = || PackageError::NotOnnx(model.to_owned());
        let mut opened = Model::open(model, &self.runtime.options())?;
        let weights = fs::read(model).map_err(|_| not_onnx())?;
        let file = onnx::Model::decode(&weights[..]).map_err(|_| not_onnx())?;
        let opset = file.opset_import.iter().find(|set| set.domain.is_empty());
        let opset = opset.ok_or_else(not_onnx)?.version;
        let contract = opened.contract().clone();
        let about = self.about(&contract)?;
        let picture = self.picture(&contract)?;
        let (input, output_tensor) = tested(&mut opened, &picture)?;
        let cover = self.cover(model, &picture, &contract)?;
        let [
            weights_name,
            input_name,
            output_name,
            cover_name,
            readme_name,
            description_name,
        ] = FILES;
        let mut entries: Vec<Entry> = vec![
            (weights_name, weights),
            (input_name, input),
            (output_name, output_tensor),
            (cover_name, cover),
            (
                readme_name,
                Readme {
                    contract: &contract,
                    about: &about,
                }
                .to_string()
                .into(),
            ),
        ];
        let source = |at: usize| {
            let (name, bytes): &Entry = &entries[at];
            let digits = Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Source {
                source: (*name).to_owned(),
                sha256: digits,
            }
        };
        let sources = Sources {
            weights: source(0),
            opset,
            test_input: source(1),
            test_output: source(2),
            cover: entries[3].0.to_owned(),
            documentation: entries[4].0.to_owned(),
        };
        let description = describe(&contract, &about, &sources).map_err(PackageError::Describe)?;
        // The last, so that half a package is none.
        entries.push((description_name, description.into_bytes()));
        match is_archive(output) {
            true => write(output, &archive(&entries)?)?,
            false => {
                let made = fs::create_dir_all(output);
                made.map_err(|error| WriteError {
                    file: output.to_owned(),
                    error,
                })?;
                for (name, bytes) in &entries {
                    write(&output.join(name), bytes)?;
                }
            }
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
            // The format takes no citation without one; the page for people has its text anyway.
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

    /// The picture to test by, of a size that the network takes.
    fn picture(&self, contract: &Contract) -> Result<Picture, PackageError> {
        let (height, width) = match contract.geometry.legal(TESTED, TESTED + TESTED / 4) {
            Some(legal) => legal,
            // Smaller ones are fixed.
            None => contract.geometry.legal(1, 1).unwrap_or((TESTED, TESTED)),
        };
        let size = Size { width, height };
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

    /// The picture, and beside it what the model finds there.
    fn cover(
        &self,
        model: &Path,
        picture: &Picture,
        contract: &Contract,
    ) -> Result<Vec<u8>, PackageError> {
        let picture = picture.part(Size {
            width: TESTED,
            height: TESTED,
        });
        let mut predictor = Predictor::open(model, &self.runtime.options(), Use::default())?;
        let found = predictor.predict(&picture)?;
        let colors: Vec<Color> = contract.classes.iter().map(|class| class.color).collect();
        let nothing = Plane::filled(TESTED, TESTED, 0);
        let draw = |mask| png::overlay(&picture, mask, &colors, 0.35, DisplayRange::default());
        Ok(draw(&nothing)?.beside(&draw(&found.mask)?).encode()?)
    }
}

/// What comes behind `doi:` in a text.
fn doi(text: &str) -> Option<String> {
    let (_, behind) = text.split_once("doi:")?;
    let doi = behind.trim_start().split([' ', ';', ',']).next()?;
    let doi = doi.trim_end_matches('.');
    doi.starts_with("10.").then(|| doi.to_owned())
}

/// Bright discs and rings on a dark, noisy ground.
fn drawn(size: Size, channels: Channels) -> Result<Picture, FrameError> {
    let mut random = StdRng::seed_from_u64(1);
    let discs: Vec<[f64; 3]> = (0..size.area() / 2500)
        .map(|_| {
            [
                random.random_range(0.0..size.height as f64),
                random.random_range(0.0..size.width as f64),
                random.random_range(5.0..14.0),
            ]
        })
        .collect();
    let mut values = Vec::with_capacity(size.area() * channels.count());
    for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
        let inside =
            |[row, column, radius]: &[f64; 3]| (y as f64 - row).hypot(x as f64 - column) < *radius;
        let bright = if discs.iter().any(inside) { 130 } else { 30 };
        let value: u8 = bright + random.random_range(0..25);
        values.extend((0..channels.count()).map(|_| value));
    }
    let format = match channels {
        Channels::Gray => Format::Gray8,
        Channels::Rgb => Format::Rgb,
    };
    Picture::new(format, size, values)
}

/// The picture as it is and what the network makes of it, as files of NumPy: float32, \[1, channels, height, width\].
fn tested(model: &mut Model, picture: &Picture) -> Result<(Vec<u8>, Vec<u8>), PackageError> {
    let contract = model.contract().clone();
    let channels = contract.channels;
    let Size { width, height } = picture.size();
    let raw = picture.shown(channels, Scaling::IDENTITY)?;
    let scaling = Normalizer::new(contract.normalization).scaling(&picture.frame()?, channels);
    model.shape(height, width)?;
    model
        .input()
        .copy_from_slice(&picture.shown(channels, scaling)?);
    let outputs = model.outputs();
    let scores = probabilities(model.run()?, outputs, contract.activation);
    let margin = 2 * contract.geometry.margin;
    let shape = [1, outputs, height - margin, width - margin];
    Ok((
        npy(&raw, [1, channels.count(), height, width])?,
        npy(&scores, shape)?,
    ))
}

/// What the steps behind the network make of its scores, \[outputs\]\[pixels\].
fn probabilities(scores: &[f32], outputs: usize, activation: Activation) -> Vec<f32> {
    match activation {
        Activation::None => scores.to_vec(),
        Activation::Sigmoid => scores.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect(),
        Activation::Softmax => {
            let pixels = scores.len() / outputs.max(1);
            let share = |at: usize| {
                let others =
                    (0..outputs).map(|other| scores[other * pixels + at % pixels] - scores[at]);
                1.0 / others.map(f32::exp).sum::<f32>()
            };
            (0..scores.len()).map(share).collect()
        }
    }
}

fn npy(values: &[f32], shape: [usize; 4]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape.map(|length| length as u64))
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

fn archive(entries: &[Entry]) -> Result<Vec<u8>, PackageError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default())?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(file, bytes).map_err(|error| WriteError {
        file: file.to_owned(),
        error,
    })
}

/// The page of a package for people.
struct Readme<'a> {
    contract: &'a Contract,
    about: &'a About,
}

impl fmt::Display for Readme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Readme { contract, about } = self;
        let geometry = &contract.geometry;
        writeln!(
            f,
            "# {}\n\n{}.\n",
            about.name,
            about.description.trim_end_matches('.')
        )?;
        writeln!(
            f,
            "Input: {} channel(s), {} over the whole picture.",
            contract.channels.count(),
            contract.normalization
        )?;
        match geometry.margin {
            0 => writeln!(f, "The output is as large as the input.")?,
            margin => writeln!(
                f,
                "Convolutions are not padded: {margin} pixels of each border are lost, so mirror the picture outwards first."
            )?,
        }
        writeln!(
            f,
            "What a pixel is depends on pixels up to {} away.\n",
            geometry.halo
        )?;
        if contract.classes.len() == 2 {
            writeln!(
                f,
                "A pixel is foreground above a probability of {}.\n",
                contract.threshold
            )?;
        }
        if let Some(training) = &contract.training {
            writeln!(
                f,
                "## Training\n\n{}\n\n{} images, {} steps, seed {}:\n\n```sh\n{}\n```\n",
                training.data, training.images, training.steps, training.seed, training.command
            )?;
        }
        writeln!(f, "## Validation\n")?;
        if contract.scores.is_empty() {
            return writeln!(f, "No scores are known.");
        }
        writeln!(
            f,
            "On images held back from training:\n\n| measure | score |\n| --- | --- |"
        )?;
        for (measure, score) in &contract.scores {
            writeln!(f, "| {measure} | {score} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doi_is_found_in_what_is_cited() {
        let text = "Caicedo et al., Nature Methods 2019, doi:10.1038/s41592-019-0612-7. CC0";
        assert_eq!(doi(text).as_deref(), Some("10.1038/s41592-019-0612-7"));
        assert_eq!(doi("no doi: at all"), None);
    }

    #[test]
    fn probabilities_are_those_of_the_definition() {
        let scores = [0.0, 1.0, 2.0, -1.0];
        let found = probabilities(&scores, 2, Activation::Softmax);
        let expected = 1.0 / (1.0 + 2.0_f32.exp());
        assert!((found[0] - expected).abs() < 1e-6, "{found:?}");
        assert!(
            (found[0] + found[2] - 1.0).abs() < 1e-6 && (found[1] + found[3] - 1.0).abs() < 1e-6
        );
    }
}
