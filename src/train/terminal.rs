//! A run shown in a terminal.

use std::io::Write;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::average::Average;
use super::checkpoint::ValidatedNetwork;
use super::divergence::KeptModel;
use super::metrics::Scores;
use super::run::{Observer, StartReport, StepReport};
use super::trained_model::in_file;
use super::validate::ValidationResult;

/// Prints a line. A closed pipe is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line about the best network of a run, of so many classes, with the limits in its file.
pub fn best(network: &ValidatedNetwork, classes: usize) -> String {
    let ValidatedNetwork { steps, result } = network;
    let limits = in_file(result.limits).description(classes);
    format!("best after {steps}, with {limits}: {}", result.scores)
}

/// Shows loss, best scores and the remaining time in a progress bar, with a line above it for each validation.
pub struct Terminal {
    bar: ProgressBar,
    /// The loss, averaged over the last steps.
    loss: Average,
    best: Option<Scores>,
}

impl Terminal {
    /// Length of the bar.
    const PARTS: u64 = 10_000;

    /// An empty bar.
    pub fn new() -> Self {
        let bar = ProgressBar::new(Self::PARTS);
        // If the template is refused, the default style stays.
        if let Ok(style) = ProgressStyle::with_template("{bar:12} {percent:>3} %  {wide_msg}") {
            bar.set_style(style);
        }
        Terminal {
            bar,
            loss: Average::default(),
            best: None,
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the bar, also where there is no terminal to draw a bar in.
    fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Terminal {
    fn start(&mut self, start: &StartReport) {
        self.loss = start.loss;
        self.best = start.best;
        self.say(&start.data);
        self.say(&format!(
            "{} training images, {} held back ({})",
            start.training,
            start.validation.len(),
            start.validation.join(" ")
        ));
        if start.near_copies {
            self.say(
                "note: if these images follow each other in time or depth, neighbours are near copies, and scores on images held back at random are too good; use --split time or --validation-sequence",
            );
        }
        self.say(&format!(
            "{} parameters, tiles of {} -> {} pixels, on {}",
            start.parameters, start.tile.input, start.tile.output, start.device
        ));
        if start.steps > 0 {
            self.say(&format!("resumed after {} steps", start.steps));
        }
        for table in &start.lost {
            self.say(&format!(
                "note: {} is missing: it and its curves begin after step {}",
                table.display(),
                start.steps
            ));
        }
        if let Some(folder) = &start.unlocked {
            self.say(&format!(
                "note: the file system of {} has no locks: let no other unet-train use it meanwhile",
                folder.display()
            ));
        }
        if let KeptModel::Earlier(model) = &start.kept {
            self.say(&format!(
                "note: {} is not replaced until a network of this run is validated",
                model.display()
            ));
        }
    }

    fn step(&mut self, step: &StepReport) {
        let average = self.loss.add(f64::from(step.loss));
        let left = step
            .time
            .mul_f64((1.0 / step.used.max(1e-6) - 1.0).max(0.0));
        // What doesn't fit into the terminal is cut off at the end.
        let best = self
            .best
            .map(|best| format!("  best {best}"))
            .unwrap_or_default();
        self.bar
            .set_position((step.used.min(1.0) * Self::PARTS as f64) as u64);
        self.bar.set_message(format!(
            "step {}  {} left  loss {average:.4}{best}",
            step.number,
            HumanDuration(left)
        ));
    }

    fn validated(&mut self, step: usize, result: &ValidationResult, best: bool) {
        let scores = result.scores;
        if best {
            self.best = Some(scores);
        }
        let loss = self.loss.value();
        let loss = loss.map_or("     -".into(), |loss| format!("{loss:.4}"));
        let mark = if best { "  best so far, written" } else { "" };
        self.say(&format!("step {step:6}  loss {loss}  {scores}{mark}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::train::augment::TileSize;
    use crate::train::limits::Limits;
    use crate::train::metrics::cells;

    #[test]
    fn a_resumed_run_is_shown_as_one_that_goes_on() {
        let mut loss = Average::default();
        loss.add(1.0);
        let mut terminal = Terminal::new();
        terminal.start(&StartReport {
            data: String::new(),
            training: 3,
            validation: vec![],
            near_copies: false,
            parameters: 1,
            tile: TileSize {
                input: 32,
                output: 32,
            },
            device: String::new(),
            steps: 1,
            loss,
            best: Some(Scores::Cells(cells::Scores::default())),
            lost: vec![],
            kept: KeptModel::Best,
            unlocked: None,
        });
        terminal.step(&StepReport {
            number: 2,
            loss: 0.0,
            used: 0.5,
            time: Duration::from_secs(1),
        });
        let text = terminal.bar.message();
        let expected = "step 2  1 second left  loss 0.4872  best F1@0.5";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn the_best_network_is_reported_with_the_limits_of_its_file() {
        let limits = Limits {
            threshold: 0.2,
            min_area: Some(16),
            core_threshold: Some(0.5),
        };
        let scores = Scores::Cells(cells::Scores::default());
        let validated = |limits| ValidatedNetwork {
            steps: 300,
            result: ValidationResult { limits, scores },
        };
        let text = best(&validated(limits), 2);
        let expected = "best after 300, with threshold 0.5, objects of at least 16 pixels with cores above 0.8: F1@0.5";
        assert!(text.starts_with(expected), "{text}");
        let text = best(&validated(Limits::default()), 3);
        let expected = "best after 300, with objects of any size: F1@0.5";
        assert!(text.starts_with(expected), "{text}");
    }
}
