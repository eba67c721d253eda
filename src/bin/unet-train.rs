//! `unet-train`: trains a U-Net for the GStreamer element `unetsegment`, scores it, and uses it on files.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use gstunetsegment::train::apply::evaluate::Evaluate;
use gstunetsegment::train::apply::export::Export;
use gstunetsegment::train::apply::info::Info;
use gstunetsegment::train::apply::quantize::Quantize;
use gstunetsegment::train::apply::segment::Segment;
use gstunetsegment::train::apply::tune::Tune;
use gstunetsegment::train::arguments::quoted;
use gstunetsegment::train::config::{Config, ConfigError, expanded};
use gstunetsegment::train::options::Train;
use gstunetsegment::train::run::run;
use gstunetsegment::train::run_folder::RunFolder;
use gstunetsegment::train::show::{ShowTiles, ShowWeightMaps};
use gstunetsegment::train::terminal::{Terminal, best, say};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Trains a U-Net that segments cells.
///
/// Give it images and masks in which the cells are painted, and it writes one .onnx file, which the
/// GStreamer element `unetsegment` uses as it is.
#[derive(Parser)]
#[command(name = "unet-train", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<Train>),
    Evaluate(Box<Evaluate>),
    Segment(Box<Segment>),
    Export(Box<Export>),
    Quantize(Box<Quantize>),
    Tune(Box<Tune>),
    Info(Box<Info>),
    WeightMap(Box<ShowWeightMaps>),
    Augment(Box<ShowTiles>),
}

fn main() -> ExitCode {
    let Err(error) = obey() else {
        return ExitCode::SUCCESS;
    };
    // Not `{error:?}`: where RUST_BACKTRACE is set it shows the stack, and every message holds its causes already.
    eprintln!("Error: {error}");
    ExitCode::FAILURE
}

/// Does what the command line says.
fn obey() -> Result<()> {
    let arguments = expanded(&Program::command(), std::env::args_os().collect())?;
    let matches = Program::command().get_matches_from(arguments);
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match program.command {
        Command::Train(options) => train(*options, &matches),
        Command::Evaluate(options) => Ok(options.run()?),
        Command::Segment(options) => Ok(options.run()?),
        Command::Export(options) => Ok(options.run()?),
        Command::Quantize(options) => Ok(options.run()?),
        Command::Tune(options) => Ok(options.run()?),
        Command::Info(options) => Ok(options.run()?),
        Command::WeightMap(options) => Ok(options.run(say)?),
        Command::Augment(options) => Ok(options.run(say)?),
    }
}

/// Trains with the options that `matches` hold.
fn train(options: Train, matches: &ArgMatches) -> Result<()> {
    let config = matches.subcommand_matches("train").map(Config::of);
    let config = config.transpose()?.unwrap_or_default();
    let settings = options.settings(config, words()?);
    let stop = stop_on_signal()?;
    let mut terminal = Terminal::new();
    let outcome = run(&settings, &stop, &mut terminal);
    terminal.finish();
    let outcome = outcome?;
    let minutes = outcome.time.as_secs_f64() / 60.0;
    say(&format!("{} steps in {minutes:.1} min", outcome.steps));
    if let Some(judged) = &outcome.best {
        say(&best(judged, settings.unet.classes));
    }
    if outcome.steps > 0 || outcome.best.is_some() {
        say(&settings.output.display().to_string());
    }
    if !outcome.finished {
        let config = RunFolder::beside(&settings.output).config();
        say(&format!(
            "stopped; to go on: unet-train train --config {} --resume",
            quoted(&config.to_string_lossy())
        ));
    }
    Ok(())
}

/// What was typed, which is kept with the run as text; of the program its name alone.
fn words() -> Result<Vec<String>> {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let mut all = vec![program.to_string_lossy().into_owned()];
    for word in words {
        let word = word.into_string();
        all.push(word.map_err(|word| ConfigError::NotUtf8(word.into()))?);
    }
    Ok(all)
}

/// What Ctrl-C sets, and a request of the system to end. A second one ends the program at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    /// What shells report of a program that Ctrl-C has ended.
    const INTERRUPTED: i32 = 130;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal only sets what lets the second one end the program.
        flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}
