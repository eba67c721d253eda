//! The README of a package.

use std::fmt;

use crate::bioimageio::write::About;
use crate::contract::Contract;

/// The README of a package.
pub struct Readme<'a> {
    /// The contract of the model.
    pub contract: &'a Contract,
    /// The rest of the description.
    pub about: &'a About,
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
                "Convolutions are not padded: {margin} pixels are lost at each border, so mirror the picture outwards first."
            )?,
        }
        writeln!(
            f,
            "The class of a pixel depends on pixels up to {} away.\n",
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
        // Images held back from training, or others that the model was tuned on.
        writeln!(
            f,
            "On the images that were used to choose the limits of an object:\n\n| measure | score |\n| --- | --- |"
        )?;
        for (measure, score) in &contract.scores {
            writeln!(f, "| {measure} | {score} |")?;
        }
        Ok(())
    }
}
