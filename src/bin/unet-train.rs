//! `unet-train`: trains a U-Net for the GStreamer element `unetsegment`, scores it, and uses it on files.

use std::io::Write;
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
/// From images and masks of their cells it writes one .onnx file, which the GStreamer element
/// `unetsegment` uses as it is.
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

/// Exit code that shells expect of a program ended by Ctrl-C: a run that was stopped is no run that has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let error = match run_command() {
        Ok(code) => return code,
        Err(error) => error,
    };
    // Not `eprintln!`, which panics if the terminal is closed; nor `{error:?}`, which prints a backtrace if
    // RUST_BACKTRACE is set: messages already contain their causes.
    let _ = writeln!(std::io::stderr(), "Error: {error}");
    ExitCode::FAILURE
}

/// Runs the command of the command line.
fn run_command() -> Result<ExitCode> {
    let arguments = expanded(&Program::command(), std::env::args_os().collect())?;
    let matches = Program::command().get_matches_from(arguments);
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match program.command {
        Command::Train(options) => return train(*options, &matches),
        Command::Evaluate(options) => options.run()?,
        Command::Segment(options) => options.run()?,
        Command::Export(options) => options.run()?,
        Command::Quantize(options) => options.run()?,
        Command::Tune(options) => options.run()?,
        Command::Info(options) => options.run()?,
        Command::WeightMap(options) => options.run(say)?,
        Command::Augment(options) => options.run(say)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains with the options that `matches` hold.
fn train(options: Train, matches: &ArgMatches) -> Result<ExitCode> {
    let config = matches.subcommand_matches("train").map(Config::of);
    let config = config.transpose()?.unwrap_or_default();
    let settings = options.settings(config, typed_arguments()?);
    let stop = stop_on_signal()?;
    let mut terminal = Terminal::new();
    let outcome = run(&settings, &stop, &mut terminal);
    terminal.finish();
    let outcome = outcome?;
    let minutes = outcome.time.as_secs_f64() / 60.0;
    say(&format!("{} steps in {minutes:.1} min", outcome.steps));
    if let Some(network) = &outcome.best {
        say(&best(network, settings.unet.classes));
    }
    if outcome.steps > 0 || outcome.best.is_some() {
        say(&settings.output.display().to_string());
    }
    if outcome.finished {
        return Ok(ExitCode::SUCCESS);
    }
    let command = RunFolder::beside(&settings.output).resume_command();
    say(&format!("stopped; to continue: {command}"));
    Ok(INTERRUPTED.into())
}

/// The command line as it was typed, which is stored with the run as text.
fn typed_arguments() -> Result<Vec<String>> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let mut all = vec![program.to_string_lossy().into_owned()];
    for argument in arguments {
        let argument = argument.into_string();
        all.push(argument.map_err(|argument| ConfigError::NotUtf8(argument.into()))?);
    }
    Ok(all)
}

/// A flag that Ctrl-C, SIGTERM and closing the terminal set. A second Ctrl-C or SIGTERM ends the program at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    // Not set when the terminal is closed: at the end of a session, SIGTERM may follow at once.
    let is_asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that the first signal only sets the flag and the second one finds it set.
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), is_asked.clone())?;
        flag::register(signal, is_asked.clone())?;
        flag::register(signal, stop.clone())?;
    }
    #[cfg(unix)]
    stop_on_hangup(&stop)?;
    Ok(stop)
}

/// Lets SIGHUP set the flag, any number of times: both the terminal and the shell may send it. Where it is ignored, as
/// by `nohup`, it stays so.
#[cfg(unix)]
fn stop_on_hangup(stop: &Arc<AtomicBool>) -> Result<()> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing is changed; the present one is initialized if the call returns 0.
    let is_ignored = unsafe {
        libc::sigaction(libc::SIGHUP, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    };
    if !is_ignored {
        flag::register(libc::SIGHUP, stop.clone())?;
    }
    Ok(())
}
