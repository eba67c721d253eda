//! What a package says to people.

use std::fmt;

use crate::bioimageio::write::About;
use crate::contract::Contract;

/// The page of a package for people.
pub struct Readme<'a> {
    /// What the model promises.
    pub contract: &'a Contract,
    /// What the package says besides.
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
        // Images held back from training, or others that the model was tuned by.
        writeln!(
            f,
            "On the images by which it was chosen what counts as an object:\n\n| measure | score |\n| --- | --- |"
        )?;
        for (measure, score) in &contract.scores {
            writeln!(f, "| {measure} | {score} |")?;
        }
        Ok(())
    }
}
