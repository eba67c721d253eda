//! `unet-train`: trains a U-Net for the GStreamer element `unetsegment`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use gstunetsegment::train::augment::Augmentation;
use gstunetsegment::train::metrics::Scores;
use gstunetsegment::train::run::{Observer, Start, Step, run};
use gstunetsegment::train::schedule::Budget;
use gstunetsegment::train::settings::{ClassWeights, Settings};
use gstunetsegment::train::weight_map::WeightMap;
use gstunetsegment::unet::UNet;
use indicatif::{ProgressBar, ProgressStyle};

/// Trains a U-Net that segments cells.
///
/// Give it images and masks in which the cells are painted, and it writes one .onnx file, which the
/// GStreamer element `unetsegment` uses as it is.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<Train>),
}

/// Learn from images and instance masks.
///
/// IMAGES holds one picture a file, MASKS a file of the same name for each: 0 for the background and
/// one number for each cell, so that cells that touch are told apart. A mask of two values is taken as
/// foreground and background. PNG and TIFF, 8 or 16 bits; colour images become grey.
///
/// Part of the images is held back. After every few hundred steps the network segments them, and the
/// best network so far is written to OUTPUT: the run may be stopped at any time.
///
/// Thirty annotated images are enough for a start:
///
///   unet-train train --images images --masks masks --output cells.onnx --minutes 30
#[derive(Args)]
#[command(verbatim_doc_comment)]
struct Train {
    /// Folder of images
    #[arg(long, value_name = "FOLDER")]
    images: PathBuf,
    /// Folder of masks, with the same file names
    #[arg(long, value_name = "FOLDER")]
    masks: PathBuf,
    /// Model to write; an old file of this name is replaced
    #[arg(long, value_name = "FILE.onnx")]
    output: PathBuf,

    /// Stop after so many minutes [default: 30, if no --steps are given]
    #[arg(long)]
    minutes: Option<f64>,
    /// Stop after so many steps; unlike --minutes this makes a run repeatable
    #[arg(long)]
    steps: Option<usize>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    seed: u64,

    #[command(flatten, next_help_heading = "Network")]
    network: NetworkOptions,
    #[command(flatten, next_help_heading = "Learning")]
    learning: LearningOptions,
    #[command(flatten, next_help_heading = "Written into the model")]
    words: Words,
}

#[derive(Args)]
struct NetworkOptions {
    /// Channels of the first level, doubled at each level below (64 in the paper)
    #[arg(long, default_value_t = 16)]
    width: usize,
    /// How often the network halves its picture (4 in the paper); each more doubles how far it sees
    #[arg(long, default_value_t = 3)]
    depth: usize,
    /// Pad convolutions with zeros, so that input and output have one size (not in the paper)
    #[arg(long)]
    padded: bool,
    /// Share of values dropped at the end of the contracting path while learning
    #[arg(long, default_value_t = 0.2)]
    dropout: f64,
}

#[derive(Args)]
struct LearningOptions {
    /// Side of the tiles that the network sees in a step, in pixels; the next legal size is taken
    #[arg(long, default_value_t = 252, value_name = "PIXELS")]
    tile: usize,
    /// Tiles a step
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Largest learning rate of the AdamW optimizer; it rises for 2 % of the run, then falls to 0
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Decay of the weights, in units of the learning rate
    #[arg(long, default_value_t = 1e-4)]
    weight_decay: f32,
    /// Whether rare classes weigh more. `balanced` finds more cells, with outlines that are too wide
    #[arg(long, value_enum, default_value_t = ClassWeights::None)]
    class_weights: ClassWeights,
    /// How much more the narrowest gap between two cells weighs, w0 of the paper
    #[arg(long, default_value_t = WeightMap::BORDER)]
    border: f32,
    /// How wide a gap may be to weigh more, sigma of the paper
    #[arg(long, default_value_t = WeightMap::SIGMA, value_name = "PIXELS")]
    sigma: f32,
    /// Share of tiles that are centred on a cell; the others lie anywhere
    #[arg(long, default_value_t = Augmentation::default().on_cells, value_name = "SHARE")]
    on_cells: f64,
    /// Standard deviation of the elastic deformation; 0 for none
    #[arg(long, default_value_t = Augmentation::default().elastic, value_name = "PIXELS")]
    elastic: f32,
    /// Largest factor by which tiles are enlarged or made smaller
    #[arg(long, default_value_t = Augmentation::default().scale)]
    scale: f32,
    /// Leave grey values as they are: no change of gain, focus, lamp and noise
    #[arg(long)]
    keep_grey_values: bool,
    /// Share of the images held back for validation
    #[arg(long, default_value_t = 0.15)]
    validation: f64,
    /// Steps between two validations
    #[arg(long, default_value_t = 500, value_name = "STEPS")]
    validate_every: usize,
}

#[derive(Args)]
struct Words {
    /// Name of the model [default: that of the output file]
    #[arg(long)]
    name: Option<String>,
    /// The data: source, licence, citation
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "TEXT"
    )]
    data: String,
    /// Size of a pixel of the images
    #[arg(long, value_name = "MICROMETRES")]
    pixel_size: Option<f64>,
}

fn main() -> Result<()> {
    let Command::Train(train) = Program::parse().command;
    let settings = settings(*train)?;
    let mut observer = Terminal::new();
    let outcome = run(&settings, &mut observer);
    observer.bar.finish_and_clear();
    let outcome = outcome?;
    println!(
        "{} steps in {:.1} min; best after {}: {}\n{}",
        outcome.steps,
        outcome.time.as_secs_f64() / 60.0,
        outcome.best_step,
        outcome.scores,
        settings.output.display()
    );
    Ok(())
}

/// The settings of a run, or what is wrong with its options.
fn settings(train: Train) -> Result<Settings> {
    let Train {
        network, learning, ..
    } = train;
    let unet = UNet {
        channels: 1,
        classes: 2,
        width: network.width,
        depth: network.depth,
        padded: network.padded,
    };
    check(&unet, &network, &learning, train.minutes)?;
    let name = train.output.file_stem().context("--output names no file")?;
    let minutes = train.minutes.or(train.steps.is_none().then_some(30.0));
    let augmentation = Augmentation {
        on_cells: learning.on_cells,
        elastic: learning.elastic,
        scale: learning.scale,
        grey_values: Augmentation::default()
            .grey_values
            .filter(|_| !learning.keep_grey_values),
        ..Augmentation::default()
    };
    Ok(Settings {
        name: train
            .words
            .name
            .unwrap_or_else(|| name.to_string_lossy().into_owned()),
        images: train.images,
        masks: train.masks,
        output: train.output,
        unet,
        dropout: network.dropout,
        tile: learning.tile,
        batch: learning.batch,
        learning_rate: learning.learning_rate,
        weight_decay: learning.weight_decay,
        class_weights: learning.class_weights,
        border: learning.border,
        sigma: learning.sigma,
        augmentation,
        validation: learning.validation,
        validate_every: learning.validate_every,
        budget: Budget {
            steps: train.steps,
            time: minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        },
        seed: train.seed,
        data: train.words.data,
        pixel_size: train.words.pixel_size,
        command: command_line(),
    })
}

/// Refuses values that would end in a panic, or in a run that can't work.
fn check(
    unet: &UNet,
    network: &NetworkOptions,
    learning: &LearningOptions,
    minutes: Option<f64>,
) -> Result<()> {
    let not_negative = |value: f32| value.is_finite() && value >= 0.0;
    let rules = [
        ("--width", "1 to 1024", (1..=1024).contains(&unet.width)),
        ("--depth", "1 to 8", (1..=8).contains(&unet.depth)),
        (
            "--dropout",
            "in 0..1",
            (0.0..1.0).contains(&network.dropout),
        ),
        ("--batch", "1 or more", learning.batch > 0),
        ("--tile", "at most 8192", learning.tile <= 8192),
        ("--learning-rate", "above 0", learning.learning_rate > 0.0),
        (
            "--weight-decay",
            "0 or more",
            not_negative(learning.weight_decay),
        ),
        ("--border", "0 or more", not_negative(learning.border)),
        (
            "--sigma",
            "0.1 to 100",
            (0.1..=100.0).contains(&learning.sigma),
        ),
        (
            "--on-cells",
            "0 to 1",
            (0.0..=1.0).contains(&learning.on_cells),
        ),
        ("--elastic", "0 or more", not_negative(learning.elastic)),
        ("--scale", "1 to 10", (1.0..=10.0).contains(&learning.scale)),
        (
            "--validation",
            "between 0 and 1",
            learning.validation > 0.0 && learning.validation < 1.0,
        ),
        ("--validate-every", "1 or more", learning.validate_every > 0),
        (
            "--minutes",
            "above 0, up to a year",
            minutes.is_none_or(|m| m > 0.0 && m < 525_600.0),
        ),
    ];
    match rules.iter().find(|(_, _, holds)| !holds) {
        Some((option, expected, _)) => bail!("{option} must be {expected}"),
        None => Ok(()),
    }
}

/// The command line as it could be typed again.
fn command_line() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
    let quoted = arguments.map(|argument| match argument.chars().all(plain) {
        true => argument,
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    });
    std::iter::once(program.to_string_lossy().into_owned())
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Shows a run in the terminal.
struct Terminal {
    bar: ProgressBar,
    /// Loss averaged over the last hundred steps or so.
    loss: Option<f32>,
    best: Option<Scores>,
}

impl Terminal {
    /// Parts that the bar is divided into.
    const PARTS: u64 = 10_000;

    fn new() -> Self {
        let bar = ProgressBar::new(Self::PARTS);
        // A template that can't be read shows the default one.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} %  {wide_msg}") {
            bar.set_style(style);
        }
        Terminal {
            bar,
            loss: None,
            best: None,
        }
    }

    /// A line that stays, above the bar; also where there is no terminal to draw a bar in.
    fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }
}

impl Observer for Terminal {
    fn start(&mut self, start: &Start) {
        self.say(&format!(
            "{} images to learn from, {} held back ({})",
            start.training,
            start.validation.len(),
            start.validation.join(" ")
        ));
        self.say(&format!(
            "{} parameters, tiles of {} -> {} pixels, on {}",
            start.parameters, start.tile.input, start.tile.output, start.device
        ));
    }

    fn step(&mut self, step: &Step) {
        let average = self
            .loss
            .map_or(step.loss, |loss| loss + 0.02 * (step.loss - loss));
        self.loss = Some(average);
        let left = step
            .time
            .mul_f64((1.0 / step.used.max(1e-6) - 1.0).max(0.0));
        let best = self
            .best
            .map(|best| format!("best {best}  "))
            .unwrap_or_default();
        self.bar
            .set_position((step.used.min(1.0) * Self::PARTS as f64) as u64);
        self.bar.set_message(format!(
            "step {}  loss {average:.4}  {best}{} left",
            step.number,
            indicatif::HumanDuration(left)
        ));
    }

    fn validated(&mut self, step: usize, scores: &Scores, best: bool) {
        if best {
            self.best = Some(*scores);
        }
        let loss = self.loss.unwrap_or_default();
        let mark = if best { "  best so far, written" } else { "" };
        self.say(&format!("step {step:6}  loss {loss:.4}  {scores}{mark}"));
    }
}
