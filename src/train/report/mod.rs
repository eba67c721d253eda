//! The report of a run: curves, and a page with scores, settings and the outlines that the network finds in images that
//! it was not trained on.

mod curves;
mod html;
mod plot_canvas;

use image::{ImageError, RgbImage};

use self::curves::PlotError;
use self::html::{Page, png};
use super::checkpoint::{State, ValidatedNetwork};
use super::log::Log;
use super::replace::{WriteError, replace};
use super::run_folder::RunFolder;
use super::trained_model::in_file;

/// Why the report can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The curves can't be drawn.
    #[error("can't draw the curves: {0}")]
    Plot(#[from] PlotError),
    /// A picture can't be turned into a PNG.
    #[error("can't write a picture: {0}")]
    Image(#[from] ImageError),
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The objects that the best network finds in an image.
pub struct Sample {
    /// Name of the image.
    pub name: String,
    /// The image, plain, with the true outlines and with those found.
    pub picture: RgbImage,
}

/// Writes the curves, samples and page of the model `name`, which has so many classes.
pub fn write(
    folder: &RunFolder,
    (name, classes): (&str, usize),
    state: &State,
    log: &Log,
    samples: &[Sample],
) -> Result<(), ReportError> {
    let curves = curves::draw(log)?;
    let curves = png(&curves)?;
    replace(&folder.curves(), &curves)?;
    let mut page = Page::new(name);
    page.paragraph(&summary(state));
    if let Some(ValidatedNetwork { result, .. }) = &state.best {
        page.heading("Scores of the best network on the images held back");
        let scores = result.scores.named().into_iter();
        page.table(scores.map(|(name, score)| (name, format!("{score:.4}"))));
        let limits = in_file(result.limits).description(classes);
        page.paragraph(&format!("With {limits}."));
    }
    page.heading("Curves");
    page.image(&curves, "Over the steps of the run");
    if !samples.is_empty() {
        page.heading("Images held back");
        page.paragraph(
            "Each plain, with the true outlines (green), and with those that the best network finds (orange).",
        );
        for (number, Sample { name, picture }) in samples.iter().enumerate() {
            let picture = png(picture)?;
            replace(&folder.sample(number, name), &picture)?;
            page.image(&picture, name);
        }
    }
    page.heading("Settings");
    page.paragraph(&state.command);
    page.table(state.config.entries());
    replace(&folder.report(), page.text().as_bytes())?;
    Ok(())
}

/// The progress of the run, in words.
fn summary(state: &State) -> String {
    let minutes = state.time.as_secs_f64() / 60.0;
    let status = if state.finished {
        "finished"
    } else {
        "not finished"
    };
    let best = state.best.map_or(String::new(), |best| {
        format!(" The best network is that after {} steps.", best.steps)
    });
    format!(
        "{} steps in {minutes:.1} minutes, learned from {} images; the run is {status}.{best}",
        state.steps, state.images
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::train::limits::Limits;
    use crate::train::metrics::{Scores, cells};
    use crate::train::validate::ValidationResult;

    #[test]
    fn the_limits_are_those_of_the_models_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::at(folder.path());
        let limits = Limits {
            threshold: 0.2,
            min_area: Some(16),
            core_threshold: Some(0.5),
        };
        let scores = Scores::Cells(cells::Scores::default());
        let state = State {
            best: Some(ValidatedNetwork {
                steps: 300,
                result: ValidationResult { limits, scores },
            }),
            ..State::default()
        };
        let page = |classes| {
            write(&run, ("cells", classes), &state, &Log::default(), &[]).unwrap();
            fs::read_to_string(run.report()).unwrap()
        };
        let cells = "objects of at least 16 pixels with cores above 0.8.</p>";
        assert!(page(2).contains(&format!("<p>With threshold 0.5, {cells}")));
        assert!(page(3).contains(&format!("<p>With {cells}")));
    }
}
