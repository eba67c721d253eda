//! Finding and loading ONNX Runtime. It is loaded when the first model is opened, so that one build
//! of the plugin serves every build of the runtime, and a missing one is an error message.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ort::environment::Environment;
pub use ort::logging::LogLevel;

use super::stopping::process_exit;
use crate::lock::lock;

/// Oldest ONNX Runtime that works.
const OLDEST: &str = "1.22";

/// Environment variable that names the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where to look for the library, relative to the folder of the plugin or the program: next to it; in the folder that
/// `make` fills, for what `make` builds; and where packages put it, for an installed plugin and an installed program.
const FOLDERS: [&str; 5] = [
    "",
    "../../.cache/onnxruntime",
    "../unetsegment",
    "../lib/unetsegment",
    DEBIAN,
];

/// The folder in Debian's package, relative to that of its programs.
const DEBIAN: &str = if cfg!(target_arch = "aarch64") {
    "../lib/aarch64-linux-gnu/unetsegment"
} else {
    "../lib/x86_64-linux-gnu/unetsegment"
};

/// The receiver of the runtime's own log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Less severe messages are not created.
    pub level: LogLevel,
    /// Receives the severity and the text of a message.
    pub sink: fn(LogLevel, &str),
}

/// Where to look for the library, and the receiver of its log.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The library itself, if the user named one.
    pub explicit: Option<PathBuf>,
    /// Folder of the program or plugin.
    pub beside: Option<PathBuf>,
    /// Receives the runtime's log; without it nothing is logged.
    pub log: Option<Log>,
}

/// Why ONNX Runtime can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The user named something that is not a file.
    #[error(
        "ONNX Runtime: {source_of_path} names {path}, which is not a file. Name the library itself (libonnxruntime.so, .dylib or onnxruntime.dll), or leave it unset to search for it"
    )]
    NotAFile {
        /// The property or variable that names it.
        source_of_path: &'static str,
        /// The path that it names.
        path: PathBuf,
    },
    /// The dynamic loader found no library, or one that it can't use.
    #[error(
        "ONNX Runtime {OLDEST} or newer can't be loaded from {path}: {reason}. Set {VARIABLE} to the library (libonnxruntime.so, .dylib or onnxruntime.dll); `make setup` fetches one"
    )]
    Load { path: PathBuf, reason: String },
    /// The library was loaded, but can't be started.
    #[error(
        "ONNX Runtime from {path} can't be started: {reason}. Set {VARIABLE} to another one; `make setup` fetches one"
    )]
    Start { path: PathBuf, reason: String },
    /// Another runtime was loaded before, and a process has only one.
    #[error(
        "ONNX Runtime is already loaded from {loaded}, and a process can have only one: {asked} can't be loaded as well. Set runtime-library to the same file in all elements, or leave it unset"
    )]
    AlreadyLoaded { loaded: PathBuf, asked: PathBuf },
}

/// The runtime of this process, and where it was loaded from. It is never torn down: the library doesn't
/// survive that while the process exits.
static RUNTIME: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// The environment of this process: loads the runtime on the first call.
pub fn environment(search: &Search) -> Result<Environment, LibraryError> {
    let mut runtime = lock(&RUNTIME);
    if let Some((environment, loaded)) = runtime.as_ref() {
        return match &search.explicit {
            Some(asked) if !same_file(asked, loaded) => Err(LibraryError::AlreadyLoaded {
                loaded: loaded.clone(),
                asked: asked.clone(),
            }),
            _ => Ok(environment.clone()),
        };
    }
    let path = find(search)?;
    let environment = start(&path, search.log)?;
    process_exit::register_handler();
    *runtime = Some((environment.clone(), path));
    Ok(environment)
}

/// Where the runtime of this process was loaded from.
pub fn loaded() -> Option<PathBuf> {
    let runtime = lock(&RUNTIME);
    runtime.as_ref().map(|(_, path)| path.clone())
}

/// The library to load: the one that the user named, else the first that exists.
fn find(search: &Search) -> Result<PathBuf, LibraryError> {
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let named = [
        ("the property runtime-library", search.explicit.clone()),
        (VARIABLE, variable.map(PathBuf::from)),
    ];
    for (source_of_path, path) in named {
        if let Some(path) = path {
            // An absolute path, because a relative one is looked up beside the program first.
            return match path.canonicalize() {
                Ok(path) if path.is_file() => Ok(path),
                _ => Err(LibraryError::NotAFile {
                    source_of_path,
                    path,
                }),
            };
        }
    }
    let name = file_name();
    let beside = search.beside.as_deref().into_iter();
    let found = beside
        .flat_map(|folder| FOLDERS.map(|relative| folder.join(relative).join(&name)))
        .find_map(|path| path.canonicalize().ok().filter(|path| path.is_file()));
    // With a bare name the system's loader searches for it.
    Ok(found.unwrap_or_else(|| PathBuf::from(name)))
}

/// `libonnxruntime.so`, `libonnxruntime.dylib` or `onnxruntime.dll`.
fn file_name() -> String {
    format!(
        "{}onnxruntime{}",
        env::consts::DLL_PREFIX,
        env::consts::DLL_SUFFIX
    )
}

fn start(path: &Path, log: Option<Log>) -> Result<Environment, LibraryError> {
    let builder = ort::init_from(path).map_err(|error| LibraryError::Load {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let environment = builder
        .with_name("unetsegment")
        .with_telemetry(false)
        .with_logger(Arc::new(
            move |level, _category, _id, _location, message| {
                if let Some(log) = log {
                    (log.sink)(level, message);
                }
            },
        ))
        .build()
        .map_err(|error| LibraryError::Start {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    environment.set_log_level(log.map_or(LogLevel::Fatal, |log| log.level));
    Ok(environment)
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_next_to_the_plugin_comes_before_the_one_that_make_fetched() {
        let root = tempfile::tempdir().unwrap();
        let beside = root.path().join("target/release");
        let filled = root.path().join(".cache/onnxruntime");
        for folder in [&beside, &filled] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let search = Search {
            beside: Some(beside.clone()),
            ..Default::default()
        };
        let name = file_name();
        let find = || find_without_variable(&search);
        assert_eq!(find(), PathBuf::from(&name));
        std::fs::write(filled.join(&name), "").unwrap();
        assert_eq!(find(), filled.join(&name).canonicalize().unwrap());
        std::fs::write(beside.join(&name), "").unwrap();
        assert_eq!(find(), beside.join(&name).canonicalize().unwrap());
    }

    /// The result of [`find`], without the environment variable of the machine that runs the test.
    fn find_without_variable(search: &Search) -> PathBuf {
        if env::var_os(VARIABLE).is_some() {
            // SAFETY: no other test of this binary reads or writes the environment.
            unsafe { env::remove_var(VARIABLE) };
        }
        find(search).unwrap()
    }

    #[test]
    fn a_missing_library_is_named() {
        let search = Search {
            explicit: Some("/nowhere/libonnxruntime.so".into()),
            ..Default::default()
        };
        let error = find(&search).unwrap_err().to_string();
        assert!(
            error.contains("the property runtime-library names /nowhere/lib"),
            "{error}"
        );
    }
}
