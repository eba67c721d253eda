//! `unet-train`: trains a U-Net for the GStreamer element `unetsegment`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use gstunetsegment::train::options::Train;
use gstunetsegment::train::run::run;
use gstunetsegment::train::terminal::Terminal;

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

fn main() -> Result<()> {
    match Program::parse().command {
        Command::Train(options) => train(*options),
    }
}

fn train(options: Train) -> Result<()> {
    let settings = options.settings(std::env::args());
    let mut terminal = Terminal::new();
    let outcome = run(&settings, &mut terminal);
    terminal.finish();
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
