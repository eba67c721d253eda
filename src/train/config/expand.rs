//! Expands --config and --preset: adds the options of a file and of a preset to those that are typed.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::ValueHint;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches, ValueEnum};
use toml::{Table, Value};

use super::{ConfigError, Preset, flag, flags, keys, options, text, utf8};
use crate::train::dataset::{Source, without_effect};
use crate::train::settings::OptimizerKind;
use crate::train::start_from::{self, StartError};

/// The arguments of `program` with the options of --config and --preset: all of them for `train`, and for other
/// commands that have --config those that they have, too; without options that exclude a typed one. Arguments of other
/// commands stay as they are.
pub fn expanded(
    program: &Command,
    mut arguments: Vec<OsString>,
) -> Result<Vec<OsString>, ConfigError> {
    let name = arguments.get(1).and_then(|name| name.to_str());
    let command = name.and_then(|name| program.find_subcommand(name));
    let Some(command) = command.filter(|command| has(command, "config")) else {
        return Ok(arguments);
    };
    let options = options();
    // Errors in the arguments are reported when all of them are parsed.
    let lenient = command.clone().no_binary_name(true).ignore_errors(true);
    let Ok(typed) = lenient.clone().try_get_matches_from(&arguments[2..]) else {
        return Ok(arguments);
    };
    let is_typed = |id: &str| {
        let source = typed
            .try_contains_id(id)
            .is_ok()
            .then(|| typed.value_source(id));
        source.flatten() == Some(ValueSource::CommandLine)
    };
    let mut table = match typed.get_one::<PathBuf>("config") {
        Some(file) => read(file, &options)?,
        None => Table::new(),
    };
    let preset = match (table.remove("preset"), typed.get_one::<Preset>("preset")) {
        (Some(Value::String(name)), _) if !is_typed("preset") => Preset::from_str(&name, false),
        (_, typed) => Ok(typed.copied().unwrap_or_default()),
    };
    let preset = preset.unwrap_or_default().text();
    let mut all: Table = toml::from_str(preset).expect("presets are part of the program");
    let model = typed.try_get_one("start_from").ok().flatten();
    let model: Option<&PathBuf> = model.filter(|_| is_typed("start_from"));
    let model = model.map(|model| model.as_path());
    let in_file = table.get("start-from").and_then(Value::as_str);
    if let Some(model) = model.or(in_file.map(Path::new)) {
        let is_given = |key: &str| is_typed(key) || table.contains_key(key);
        all.extend(shape_of(model, is_given)?);
    }
    all.extend(table);
    leave_out(&mut all, &options, command, is_typed);
    arguments.splice(2..2, flags(&all));
    // If some arguments are wrong, the values of the others may be, too.
    let strict = command.clone().no_binary_name(true);
    if let Ok(known) = strict.try_get_matches_from(&arguments[2..]) {
        check_effects(&known, is_typed)?;
    }
    let known = lenient.try_get_matches_from(&arguments[2..]);
    let source = known.and_then(|known| Source::from_arg_matches(&known));
    if source.is_ok_and(|source| source.names_membranes()) {
        // So that the names of the classes and the options of the run are those of membranes, too.
        arguments.insert(2, "--kind=membranes".into());
    }
    Ok(arguments)
}

/// Options that hold back images by name, beside which a share and its order have no effect.
const NAMED: [&str; 2] = ["validation_list", "validation_sequence"];

/// Refuses options that were typed, but have no effect beside the options in `all`. A file may hold such options: that
/// of a run holds all.
fn check_effects(all: &ArgMatches, is_typed: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
    let refuse = |option, why: &str| {
        let why = why.into();
        Err(ConfigError::NoEffect { option, why })
    };
    let optimizer = all.try_get_one::<OptimizerKind>("optimizer").ok().flatten();
    if is_typed("momentum") && optimizer.is_some_and(|kind| *kind != OptimizerKind::Sgd) {
        return refuse("momentum", "without --optimizer sgd");
    }
    let number = |id: &str| all.try_get_one::<f32>(id).ok().flatten();
    if number("border") == Some(&0.0) {
        for option in ["sigma", "border-on-cells"] {
            if is_typed(&option.replace('-', "_")) {
                return refuse(option, "with --border 0");
            }
        }
    }
    if is_typed("background_sigma") && number("background") == Some(&1.0) {
        return refuse("background-sigma", "without a --background below 1");
    }
    let is_there = |id: &str| all.try_contains_id(id).unwrap_or(false);
    for option in ["validation", "split"] {
        if let Some(other) = NAMED.into_iter().find(|other| is_there(other))
            && is_typed(option)
        {
            return refuse(option, &format!("beside --{}", other.replace('_', "-")));
        }
    }
    let source = Source::from_arg_matches(all).ok();
    match source.and_then(|source| without_effect(&source, is_typed)) {
        Some((option, why)) => refuse(option, why),
        None => Ok(()),
    }
}

/// Removes from `table` the options that `command` lacks, those that were typed, and those that exclude these or take
/// their effect.
fn leave_out(
    table: &mut Table,
    options: &Command,
    command: &Command,
    is_typed: impl Fn(&str) -> bool,
) {
    let typed = keys(options).map(|(_, option)| option);
    let typed: Vec<&Arg> = typed
        .filter(|option| is_typed(option.get_id().as_str()))
        .collect();
    let excludes = |one: &Arg, other: &Arg| options.get_arg_conflicts_with(one).contains(&other);
    let takes_effect = |option: &Arg| {
        let share = is_typed("validation") || is_typed("split");
        share && NAMED.contains(&option.get_id().as_str())
    };
    for (key, option) in keys(options) {
        let counts_more =
            |typed: &&Arg| *typed == option || excludes(typed, option) || excludes(option, typed);
        // The output of a run is a model; that of the other commands is a folder of pictures.
        let is_foreign = !has(command, key) || key == "output" && command.get_name() != "train";
        if is_foreign || takes_effect(option) || typed.iter().any(counts_more) {
            table.remove(key);
        }
    }
}

/// The options that give a network the shape of that in `model`, unless all of them are given already: a run can be
/// resumed without the model that it started from.
fn shape_of(model: &Path, is_given: impl Fn(&str) -> bool) -> Result<Table, StartError> {
    if ["width", "depth", "padded", "channels"]
        .into_iter()
        .all(is_given)
    {
        return Ok(Table::new());
    }
    let unet = start_from::shape(model)?;
    let number = |number: usize| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let channels = if unet.channels == 3 { "rgb" } else { "gray" };
    Ok(Table::from_iter([
        ("width".to_owned(), number(unet.width)),
        ("depth".to_owned(), number(unet.depth)),
        ("padded".to_owned(), Value::Boolean(unet.padded)),
        ("channels".to_owned(), Value::String(channels.into())),
    ]))
}

/// Whether `command` has an option of this long name.
fn has(command: &Command, key: &str) -> bool {
    let mut names = command.get_arguments().filter_map(Arg::get_long);
    names.any(|name| name == key)
}

/// The options of a file, each with a value that the option accepts.
fn read(file: &Path, options: &Command) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Read {
        file: file.into(),
        error,
    })?;
    let mut table: Table = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
        file: file.into(),
        error: Box::new(error),
    })?;
    let one_by_one = options.clone().mut_args(|option| option.required(false));
    for (key, value) in &mut table {
        let Some((_, option)) = keys(options).find(|(name, _)| name == key) else {
            return Err(ConfigError::Unknown {
                file: file.into(),
                key: key.clone(),
                known: keys(options).map(|(key, _)| key.into()).collect(),
            });
        };
        check(key, value, option, &one_by_one).map_err(|why| ConfigError::Value {
            file: file.into(),
            key: key.clone(),
            value: value.clone(),
            why,
        })?;
        if let (ValueHint::AnyPath, Value::String(path)) = (option.get_value_hint(), value) {
            let folder = file.parent().unwrap_or(Path::new(""));
            *path = utf8(folder.join(&*path))?;
        }
    }
    Ok(table)
}

/// Refuses a value that the option does not accept, with the reason.
fn check(key: &str, value: &Value, option: &Arg, options: &Command) -> Result<(), String> {
    let is_list = option.get_value_delimiter().is_some();
    match value {
        Value::Table(_) | Value::Datetime(_) => return Err("it must be a plain value".into()),
        Value::Array(_) if !is_list => return Err("it must be one value".into()),
        Value::Array(values) => {
            let is_plain = |value: &Value| !matches!(value, Value::Array(_) | Value::Table(_));
            if !values
                .iter()
                .all(|value| is_plain(value) && !text(value).contains(','))
            {
                return Err("it must be a list of plain values without commas".into());
            }
        }
        _ => (),
    }
    match options.clone().try_get_matches_from([flag(key, value)]) {
        Ok(_) => Ok(()),
        Err(error) => Err(requirement(&error)),
    }
}

/// What an error says about the values that are possible.
fn requirement(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("it must be one of {}", values.join(", "))
        }
        (_, Some(source)) => source.to_string(),
        _ => error.kind().to_string(),
    }
}
