//! Making a session: on the provider that was asked for, with its options, or on the first that takes the model.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::error::ModelError;
use super::file::ModelFile;
use super::library;
use super::options::Options;
use super::provider::Provider;
use super::stopping::process_exit;
use super::stopping::time_limit::{self, Watchdog};
use crate::lock::lock;

/// A session with what it runs on.
pub(super) struct Started {
    /// What ONNX Runtime has made.
    pub session: Session,
    /// What it runs on; never [`Provider::Auto`].
    pub provider: Provider,
    /// The device that was asked for, by its number.
    pub device: i32,
    /// The provider's own name, where it comes from a library of its own.
    pub plugin: Option<String>,
    /// Those that were tried before and refused the model, each with its reason.
    pub refused: Vec<ModelError>,
}

/// Loads the model on the provider that was asked for, or the first that takes it.
pub(super) fn start(
    path: &Path,
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
) -> Result<Started, ModelError> {
    if let Some(library) = &options.ep_library {
        return on_plugin(library, file, environment, options);
    }
    let only = [options.provider];
    let candidates: &[Provider] = match options.provider {
        Provider::Auto => &Provider::AUTO,
        _ => &only,
    };
    let mut refused = Vec::new();
    for &provider in candidates {
        if !provider.is_built_in() {
            if options.provider == provider {
                return Err(not_built_in(provider));
            }
            continue;
        }
        match on_provider(file, environment, options, provider) {
            Ok(session) => {
                if provider != Provider::Cpu {
                    // Its library has only now been loaded.
                    process_exit::watch();
                }
                return Ok(Started {
                    session,
                    provider,
                    device: options.device,
                    plugin: None,
                    refused,
                });
            }
            Err(error) if provider == Provider::Cpu => {
                return Err(ModelError::Load {
                    path: path.to_owned(),
                    reason: error.to_string(),
                });
            }
            Err(error) => {
                let error = ModelError::Provider {
                    provider: provider.to_string(),
                    reason: with_hint(&error, options),
                };
                if options.provider == provider {
                    return Err(error);
                }
                refused.push(error);
            }
        }
    }
    Err(ModelError::Load {
        path: path.to_owned(),
        reason: "no execution provider takes it".into(),
    })
}

/// What the runtime says, which does not always tell that it was an option.
fn with_hint(error: &ort::Error, options: &Options) -> String {
    let names: Vec<&str> = options
        .provider_options
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    match names.is_empty() {
        true => error.to_string(),
        false => format!(
            "{error} (does it know the provider-options {}?)",
            names.join(", ")
        ),
    }
}

fn not_built_in(provider: Provider) -> ModelError {
    let library = library::loaded().unwrap_or_default();
    ModelError::Provider {
        provider: provider.to_string(),
        reason: format!(
            "the ONNX Runtime in {} was built without it. Name the library of a build that has it, or choose cpu or auto",
            library.display()
        ),
    }
}

/// What all sessions have in common.
fn builder(environment: &Environment, options: &Options) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_no_environment_execution_providers()?
        // Spinning threads would keep a core busy between the frames of a camera.
        .with_intra_op_spinning(false)?
        // A file may be ONNX for the scan, and in ONNX Runtime's own format for ONNX Runtime, unless it is told.
        .with_config_entry("session.load_model_format", "ONNX")?
        .with_inter_op_spinning(false)?;
    if !multiplies_8_bits() {
        // Without such instructions sums of two products are cut off at 16 bits, and masks are worse.
        builder = builder.with_config_entry("session.x64quantprecision", "1")?;
    }
    if options.threads > 0 {
        builder = builder.with_intra_threads(options.threads)?;
    }
    Ok(builder)
}

/// Whether the processor adds up products of 8 bits in 32, which models in integers of 8 bits are made for.
pub fn multiplies_8_bits() -> bool {
    #[cfg(target_arch = "x86_64")]
    let does = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let does = true;
    does
}

fn on_provider(
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
    provider: Provider,
) -> ort::Result<Session> {
    let mut builder = builder(environment, options)?;
    if let Some(dispatch) = provider.dispatch(options) {
        builder = builder
            .with_execution_providers([dispatch])?
            .with_disable_cpu_fallback()?;
    }
    commit(builder, file, options, provider)
}

/// Loads the model, for as long as that may take.
fn commit(
    mut builder: SessionBuilder,
    file: &ModelFile,
    options: &Options,
    provider: Provider,
) -> ort::Result<Session> {
    for beside in &file.beside {
        builder =
            builder.with_external_initializer_file_in_memory(&beside.name, beside.bytes.clone())?;
    }
    let limit = time_limit::limit(provider);
    let (end, canceler) = (builder.canceler(), builder.canceler());
    let watchdog = Watchdog::new(limit, move || {
        // It fails when the model is loaded, after all.
        let _ = canceler.cancel();
    });
    let end = move || drop(end.cancel());
    let load = || builder.commit_from_memory(&file.bytes);
    let loaded = options.canceller.during(end, load);
    loaded.map_err(|error| match watchdog.end() {
        true => ort::Error::new(format!("it took longer than {} s to load", limit.as_secs())),
        false => error,
    })
}

/// Libraries of execution providers that this process has registered, which can be done once for each, and the
/// names of what they brought.
static REGISTERED: Mutex<Vec<(PathBuf, Vec<String>)>> = Mutex::new(Vec::new());

/// Loads the model on a device of the provider in the file `library`.
fn on_plugin(
    library: &Path,
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
) -> Result<Started, ModelError> {
    let failed = |reason: String| ModelError::Provider {
        provider: library.display().to_string(),
        reason,
    };
    let names = register(library, environment).map_err(failed)?;
    let wanted = usize::try_from(options.device).unwrap_or(usize::MAX);
    let of_library = || {
        let devices = environment.devices();
        devices.filter(|device| {
            device
                .ep()
                .is_ok_and(|name| names.iter().any(|n| n == name))
        })
    };
    let Some(device) = of_library().nth(wanted) else {
        return Err(failed(match of_library().count() {
            0 => "it finds no device of its kind on this machine: is the driver there?".into(),
            count => format!("it has {count} device(s), and device={wanted} counts from 0"),
        }));
    };
    let provider_name = device.ep().unwrap_or_default().to_owned();
    let own = options.provider_options.iter();
    let own: Vec<(String, String)> = own
        .map(|(key, value)| (format!("{provider_name}.{key}"), value.clone()))
        .collect();
    let session = builder(environment, options)
        .and_then(|builder| Ok(builder.with_devices([device], Some(&own))?))
        .and_then(|builder| Ok(builder.with_disable_cpu_fallback()?))
        .and_then(|builder| commit(builder, file, options, Provider::Plugin))
        .map_err(|error| failed(error.to_string()))?;
    process_exit::watch();
    Ok(Started {
        session,
        provider: Provider::Plugin,
        device: options.device,
        plugin: Some(provider_name),
        refused: Vec::new(),
    })
}

/// Makes the providers in `library` known, once; the names of those that found a device.
fn register(library: &Path, environment: &Environment) -> Result<Vec<String>, String> {
    let file = library
        .canonicalize()
        .ok()
        .filter(|file| file.is_file())
        .ok_or("there is no such file. Name the library of an execution provider, such as libonnxruntime_providers_webgpu.so")?;
    let mut registered = lock(&REGISTERED);
    if let Some((_, names)) = registered.iter().find(|(other, _)| *other == file) {
        return Ok(names.clone());
    }
    let before = providers(environment);
    environment
        .register_ep_library(file.display().to_string(), &file)
        .map_err(|error| error.to_string())?;
    let mut names = providers(environment);
    names.retain(|name| !before.contains(name));
    names.dedup();
    registered.push((file, names.clone()));
    Ok(names)
}

/// The provider of each device that the runtime knows.
fn providers(environment: &Environment) -> Vec<String> {
    let devices = environment.devices();
    devices
        .filter_map(|device| device.ep().ok().map(str::to_owned))
        .collect()
}
