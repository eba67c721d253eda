//! The options of a run from several places: the command line, a file, a preset.
//!
//! The options of `unet-train train` are the only list of options. A file sets them by their long names, and its values
//! are read by the same parsers, with the same limits.

mod expand;

use std::any::TypeId;
use std::collections::BTreeSet;
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

/// Where the options of a run come from that are not typed.
#[derive(Args, Clone, Debug, Default)]
pub struct OptionSources {
    /// TOML file that holds options, each by its long name; paths in it are relative to its folder
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Values of options that are given nowhere else
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
}

/// Options that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// For small data and small machines
    #[default]
    Default,
    /// Network, weights, deformation and optimizer of the paper (2015); needs a large machine
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
        /// The value.
        value: Value,
        /// The values that are possible.
        why: String,
    },
    /// An option that was typed, but has no effect beside others.
    #[error("--{option} has no effect {why}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// Beside which others.
        why: String,
    },
    /// A value that can't be written into a file of options.
    #[error("{} is not valid UTF-8, as all options of a run have to be: rename it", .0.display())]
    NotUtf8(PathBuf),
    /// The model that the run is to start from can't be used.
    #[error(transparent)]
    StartFrom(#[from] StartError),
    /// Options that another version of the program wrote, or that were changed since.
    #[error("can't use the options of this run: {0}")]
    Options(#[from] clap::Error),
}

/// The options of `unet-train train`.
fn options() -> Command {
    Train::augment_args(Command::new("unet-train train")).no_binary_name(true)
}

/// The options that a file may hold, with their long names.
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

/// Options as they are typed, without empty lists, which can't be.
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

/// All options of a run: those that were typed, those of a file and a preset, and the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(Table);

/// An option that is not the same in two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The option.
    pub key: String,
    /// Its values in both, as they are in a file.
    pub values: [Option<String>; 2],
}

/// Paths of data and results, which may change between the parts of a run if its checkpoint has a
/// [fingerprint](super::dataset::fingerprint): files may be moved, and it tells whether images and masks are the same.
const MOVABLE: [&str; 5] = [
    "images",
    "masks",
    "output",
    "validation-list",
    "validation-masks",
];

impl Config {
    /// The options of a command line with [`expanded`] arguments. Paths become absolute, so that the file of
    /// options can be anywhere.
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

    /// Reads the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text).map(Config)
    }

    /// The options as they are parsed from a command line.
    pub fn options(&self) -> Result<Train, ConfigError> {
        let matches = options().try_get_matches_from(flags(&self.0))?;
        Ok(Train::from_arg_matches(&matches)?)
    }

    /// The options that are not the same in `other`, apart from the paths of data and results if these may be moved.
    pub fn differences(&self, other: &Self, may_be_moved: bool) -> Vec<Difference> {
        let both = [self, other].map(Self::completed);
        let keys: BTreeSet<_> = both.iter().flat_map(|table| table.keys()).collect();
        let is_fixed = |key: &&String| !(may_be_moved && MOVABLE.contains(&&key[..]));
        keys.into_iter()
            .filter(is_fixed)
            .map(|key| Difference {
                key: key.clone(),
                values: both
                    .each_ref()
                    .map(|table| table.get(key).map(Value::to_string)),
            })
            .filter(|difference| difference.values[0] != difference.values[1])
            .collect()
    }

    /// The options with the defaults of those that are missing, as in a file of an earlier version.
    fn completed(&self) -> Table {
        let matches = options().try_get_matches_from(flags(&self.0)).ok();
        let completed = matches.and_then(|matches| Config::of(&matches).ok());
        completed.map_or_else(|| self.0.clone(), |completed| completed.0)
    }

    /// Keys and values in the order of the options.
    pub fn entries(&self) -> Vec<(String, String)> {
        let value = |key: &str| Some((key.to_owned(), self.0.get(key)?.to_string()));
        keys(&options()).filter_map(|(key, _)| value(key)).collect()
    }
}

/// A typed value as one of the type that its option has.
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
