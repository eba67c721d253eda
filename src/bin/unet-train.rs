//! `unet-train`: trains a U-Net for the GStreamer element `unetsegment`, scores it, and uses it on files.

use std::io::Write;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use gstunetsegment::train::apply::evaluate::Evaluate;
use gstunetsegment::train::apply::info::Info;
use gstunetsegment::train::apply::segment::Segment;
use gstunetsegment::train::config::{Config, expanded};
use gstunetsegment::train::options::Train;
use gstunetsegment::train::run::run;
use gstunetsegment::train::show::{ShowTiles, ShowWeightMaps};
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
    Evaluate(Box<Evaluate>),
    Segment(Box<Segment>),
    Info(Box<Info>),
    WeightMap(Box<ShowWeightMaps>),
    Augment(Box<ShowTiles>),
}

fn main() -> Result<()> {
    let arguments = expanded(std::env::args_os().collect())?;
    let matches = Program::command().get_matches_from(arguments);
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match program.command {
        Command::Train(options) => train(*options, &matches),
        Command::Evaluate(options) => Ok(options.run()?),
        Command::Segment(options) => Ok(options.run()?),
        Command::Info(options) => Ok(options.run()?),
        Command::WeightMap(options) => Ok(options.run(say)?),
        Command::Augment(options) => Ok(options.run(say)?),
    }
}

/// Writes a line. Nobody has to read it: a closed pipe is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Trains with the options that `matches` hold.
fn train(options: Train, matches: &ArgMatches) -> Result<()> {
    let config = matches
        .subcommand_matches("train")
        .map(Config::of)
        .unwrap_or_default();
    let settings = options.settings(config, std::env::args());
    let mut terminal = Terminal::new();
    let outcome = run(&settings, &mut terminal);
    terminal.finish();
    let outcome = outcome?;
    println!(
        "{} steps in {:.1} min; best after {}, with {}: {}\n{}",
        outcome.steps,
        outcome.time.as_secs_f64() / 60.0,
        outcome.best_step,
        outcome.verdict.limits,
        outcome.verdict.scores,
        settings.output.display()
    );
    Ok(())
}
