//! The options of a run from several places: the command line, a file, a preset.
//!
//! The options of `unet-train train` are the one list of what can be said. A file says the same by their
//! long names, and what it says is read by the same parsers, with the same limits.

mod expand;

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::options::Train;
use super::start_from::StartError;

pub use expand::expanded;

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
    /// An option that was typed, beside others by which it changes nothing.
    #[error("--{option} has no effect {why}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// Beside which others.
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

/// A path as text.
fn utf8(path: PathBuf) -> Result<String, ConfigError> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| ConfigError::NotUtf8(path.into()))
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
