//! The options of a run from several places: the command line, a file, a preset.
//!
//! The options of `unet-train train` are the one list of what can be said. A file says the same by their
//! long names, and what it says is read by the same parsers, with the same limits.

use std::any::TypeId;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::ValueHint;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::dataset::Source;
use super::options::Train;
use super::start_from::{self, StartError};

/// What the other options of a run begin with.
#[derive(Args, Clone, Debug, Default)]
pub struct Base {
    /// TOML file that holds options, each by its long name; paths in it are relative to its folder
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// What options are that nothing else is said of
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
}

/// Options that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// For small data and small machines
    #[default]
    Default,
    /// Network, weights and optimizer of the paper (2015); needs a large machine
    Paper2015,
    /// The paper's network with the weights of Freiburg's plugin (2019); needs a large machine
    Freiburg2019,
}

impl Preset {
    /// Its options as a file holds them.
    fn text(self) -> &'static str {
        match self {
            Preset::Default => "",
            Preset::Paper2015 => include_str!("presets/paper2015.toml"),
            Preset::Freiburg2019 => include_str!("presets/freiburg2019.toml"),
        }
    }
}

/// What is wrong with a file of options.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("can't read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no TOML.
    #[error("{} is no TOML file: {error}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Why, and where.
        error: Box<toml::de::Error>,
    },
    /// It has a key that is no option.
    #[error("{}: there is no option {key}; there are {}", file.display(), known.join(", "))]
    Unknown {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// All keys that there could be.
        known: Vec<String>,
    },
    /// An option has a value that it can't have.
    #[error("{}: {key} = {value}: {why}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The option.
        key: String,
        /// What it was to be.
        value: Value,
        /// What it may be.
        why: String,
    },
    /// What can't be written into a file of options.
    #[error("{} is not valid UTF-8, as all that a run is told has to be: rename it", .0.display())]
    NotUtf8(PathBuf),
    /// The model that the run is to begin with can't be used.
    #[error(transparent)]
    StartFrom(#[from] StartError),
    /// Options that were written by another version of the program, or changed since.
    #[error("can't use the options of this run: {0}")]
    Options(#[from] clap::Error),
}

/// The options of `unet-train train`.
fn options() -> Command {
    Train::augment_args(Command::new("unet-train train")).no_binary_name(true)
}

/// Those that a file may hold, with their long names.
fn keys(options: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = options
        .get_arguments()
        .filter_map(|option| Some((option.get_long()?, option)));
    named.filter(|(key, _)| !["config", "resume", "overwrite", "help"].contains(key))
}

/// The arguments of `program` with those that --config and --preset stand for: all that they say to
/// `train`, and to the other commands that have them as much as each has options for; what excludes a typed
/// option is left out. Arguments of the other commands stay as they are.
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
    // Whatever is wrong with the arguments is said when all of them are read.
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
    let said = table.get("start-from").and_then(Value::as_str);
    if let Some(model) = model.or(said.map(Path::new)) {
        let is_said = |key: &str| is_typed(key) || table.contains_key(key);
        all.extend(shape_of(model, is_said)?);
    }
    all.extend(table);
    leave_out(&mut all, &options, command, is_typed);
    arguments.splice(2..2, flags(&all));
    let known = lenient.try_get_matches_from(&arguments[2..]);
    let source = known.and_then(|known| Source::from_arg_matches(&known));
    if source.is_ok_and(|source| source.names_membranes()) {
        // Said, so that the names of the classes and the options of the run are those of membranes, too.
        arguments.insert(2, "--kind=membranes".into());
    }
    Ok(arguments)
}

/// Leaves out of `table` what `command` has no option for, what was typed, and what excludes that.
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
    for (key, option) in keys(options) {
        let counts_more =
            |typed: &&Arg| *typed == option || excludes(typed, option) || excludes(option, typed);
        // What a run writes is a model; what the other commands write into a folder are pictures.
        let is_foreign = !has(command, key) || key == "output" && command.get_name() != "train";
        if is_foreign || typed.iter().any(counts_more) {
            table.remove(key);
        }
    }
}

/// The options that give a network the shape of that in `model`, unless all that differ from model to model
/// are said already: a run goes on without the model that it began with.
fn shape_of(model: &Path, is_said: impl Fn(&str) -> bool) -> Result<Table, StartError> {
    if ["width", "depth", "padded", "channels"]
        .into_iter()
        .all(is_said)
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

/// The options of a file, each of which is one that its option can have.
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

/// A path as text.
fn utf8(path: PathBuf) -> Result<String, ConfigError> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| ConfigError::NotUtf8(path.into()))
}

/// Whether an option can have this value; if not, why.
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
        Err(error) => Err(why(&error)),
    }
}

/// What a value may be, of an error about it.
fn why(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("it must be one of {}", values.join(", "))
        }
        (_, Some(source)) => source.to_string(),
        _ => error.kind().to_string(),
    }
}

/// Options as they are typed. Lists that are empty are not.
fn flags(table: &Table) -> impl Iterator<Item = OsString> {
    let typed = table.iter();
    let typed = typed.filter(|(_, value)| !matches!(value, Value::Array(list) if list.is_empty()));
    typed.map(|(key, value)| flag(key, value).into())
}

fn flag(key: &str, value: &Value) -> String {
    format!("--{key}={}", text(value))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// The options of a run, complete: what was typed, what a file and a preset say, and the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(Table);

/// An option that two runs don't have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The option.
    pub key: String,
    /// What it is in both, as a file has it.
    pub values: [Option<String>; 2],
}

impl Config {
    /// What was read from the command line with [`expanded`] arguments. Paths become absolute, so that it
    /// can be written anywhere.
    pub fn of(matches: &ArgMatches) -> Result<Self, ConfigError> {
        let options = options();
        let mut table = Table::new();
        for (key, option) in keys(&options).filter(|(key, _)| *key != "preset") {
            let values = matches.try_get_raw(option.get_id().as_str());
            let values = values.ok().flatten().into_iter().flatten();
            let values = values.map(|typed| value(typed, option));
            let mut values = values.collect::<Result<Vec<_>, _>>()?;
            if option.get_value_delimiter().is_some() {
                table.insert(key.into(), Value::Array(values));
            } else if let Some(value) = values.pop() {
                table.insert(key.into(), value);
            }
        }
        Ok(Config(table))
    }

    /// What [`fmt::Display`] has written.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text).map(Config)
    }

    /// The options as the command line gives them.
    pub fn options(&self) -> Result<Train, ConfigError> {
        let matches = options().try_get_matches_from(flags(&self.0))?;
        Ok(Train::from_arg_matches(&matches)?)
    }

    /// The options that are not the same in `other`.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let both = [&self.0, &other.0];
        let mut keys: Vec<_> = both.iter().flat_map(|table| table.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let differs = |key: &&String| self.0.get(*key) != other.0.get(*key);
        keys.into_iter()
            .filter(differs)
            .map(|key| Difference {
                key: key.clone(),
                values: both.map(|table| table.get(key).map(Value::to_string)),
            })
            .collect()
    }

    /// Keys and values in the order of the options.
    pub fn entries(&self) -> Vec<(String, String)> {
        let value = |key: &str| Some((key.to_owned(), self.0.get(key)?.to_string()));
        keys(&options()).filter_map(|(key, _)| value(key)).collect()
    }
}

/// What was typed as a value of the type that its option has.
fn value(typed: &OsStr, option: &Arg) -> Result<Value, ConfigError> {
    let path = match option.get_value_hint() {
        ValueHint::AnyPath => std::path::absolute(typed).ok(),
        _ => None,
    };
    let text = utf8(path.unwrap_or_else(|| typed.into()))?;
    let kind = option.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|id| kind == *id);
    let number = match () {
        () if is(&[TypeId::of::<bool>()]) => text.parse().ok().map(Value::Boolean),
        () if is(&[TypeId::of::<f64>(), TypeId::of::<f32>()]) => {
            text.parse().ok().map(Value::Float)
        }
        () if is(&[TypeId::of::<usize>(), TypeId::of::<u32>()]) => {
            text.parse().ok().map(Value::Integer)
        }
        () => None,
    };
    Ok(number.unwrap_or(Value::String(text)))
}

/// A TOML file, in the order of the options.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in self.entries() {
            writeln!(f, "{key} = {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [was, is] = &self.values;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not given".into());
        write!(f, "{} was {}, now {}", self.key, text(was), text(is))
    }
}

#[cfg(test)]
mod tests;
