//! Creating a session: on the requested provider, with its options, or on the first that accepts the model.

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
use super::stopping::time_limit::{self, Watchdog};
use super::stopping::{no_thread, process_exit};
#[cfg(target_arch = "x86_64")]
use super::{ConvolutionMethod, winograd_operator};
use crate::lock::lock;

/// A new session and its provider.
pub(super) struct NewSession {
    /// The session of ONNX Runtime.
    pub session: Session,
    /// The provider that it runs on; never [`Provider::Auto`].
    pub provider: Provider,
    /// The number of the requested device.
    pub device: i32,
    /// Whether convolutions are computed by [Winograd's method](super::ConvolutionMethod::Winograd).
    pub winograd: bool,
    /// The name of a plug-in provider.
    pub plugin: Option<String>,
    /// The providers that were tried before and rejected the model, each with the reason.
    pub refused: Vec<ModelError>,
}

/// Loads the model on the requested provider, or the first that accepts it.
pub(super) fn start(
    path: &Path,
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
) -> Result<NewSession, ModelError> {
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
            Ok((session, winograd)) => {
                if provider != Provider::Cpu {
                    // Its library was loaded only now.
                    process_exit::register_handler();
                }
                return Ok(NewSession {
                    session,
                    provider,
                    device: options.device,
                    winograd,
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
        reason: "no execution provider accepts it".into(),
    })
}

/// The error text of the runtime, which does not always say that an option was the reason.
fn with_hint(error: &ort::Error, options: &Options) -> String {
    let names: Vec<&str> = options
        .provider_options
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if names.is_empty() {
        return error.to_string();
    }
    format!(
        "{error} (check whether it knows the provider-options {})",
        names.join(", ")
    )
}

fn not_built_in(provider: Provider) -> ModelError {
    let library = library::loaded().unwrap_or_default();
    ModelError::Provider {
        provider: provider.to_string(),
        reason: format!(
            "the ONNX Runtime in {} was built without it. Name the library of a build that has it in {}, or choose cpu or auto",
            library.display(),
            library::VARIABLE
        ),
    }
}

/// The options that all sessions have in common.
fn builder(environment: &Environment, options: &Options) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_no_environment_execution_providers()?
        // Spinning threads would keep a core busy between the frames of a camera.
        .with_intra_op_spinning(false)?
        // Otherwise ONNX Runtime could read the file in its own format, though the scan has read it as ONNX.
        .with_config_entry("session.load_model_format", "ONNX")?
        .with_inter_op_spinning(false)?;
    if !has_int8_dot_product() {
        // Without such instructions sums of two products saturate at 16 bits, and masks are worse. ONNX Runtime emulates
        // them if weights are beyond 64.
        builder = builder.with_config_entry("session.x64quantprecision", "1")?;
    }
    if options.threads > 0 {
        builder = builder.with_intra_threads(options.threads)?;
    }
    Ok(builder)
}

/// Whether the processor sums 8-bit products in 32 bits.
pub fn has_int8_dot_product() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let has = true;
    has
}

/// Loads the model on a provider. Returns whether convolutions are computed by Winograd's method.
fn on_provider(
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
    provider: Provider,
) -> ort::Result<(Session, bool)> {
    #[cfg(target_arch = "x86_64")]
    if provider == Provider::Cpu
        && options.convolutions == ConvolutionMethod::Winograd
        && let Some(bytes) = winograd_operator::replaced(&file.model, options)?
    {
        let domain = winograd_operator::domain(options)?;
        let builder = builder(environment, options)?.with_operators(domain)?;
        match commit(builder, (&bytes, file), options, provider) {
            Ok(session) => return Ok((session, true)),
            Err(error) if options.canceller.is_cancelled() => return Err(error),
            // As it is in the file it may fit in memory, or suit ONNX Runtime better.
            Err(_) => (),
        }
    }
    let mut builder = builder(environment, options)?;
    if let Some(dispatch) = provider.dispatch(options) {
        builder = builder
            .with_execution_providers([dispatch])?
            .with_disable_cpu_fallback()?;
    }
    let session = commit(builder, (&file.bytes, file), options, provider)?;
    Ok((session, false))
}

/// Loads the model from its `bytes`, within the time limit of its provider.
fn commit(
    mut builder: SessionBuilder,
    (bytes, file): (&[u8], &ModelFile),
    options: &Options,
    provider: Provider,
) -> ort::Result<Session> {
    for external in &file.external {
        builder = builder
            .with_external_initializer_file_in_memory(&external.name, external.bytes.clone())?;
    }
    let limit = time_limit::limit(provider);
    let (canceler, on_timeout) = (builder.canceler(), builder.canceler());
    let watchdog = Watchdog::new(limit, move || {
        // It fails only if the model is already loaded.
        let _ = on_timeout.cancel();
    })
    .map_err(|error| ort::Error::new(no_thread(&error)))?;
    let end = move || drop(canceler.cancel());
    let load = || builder.commit_from_memory(bytes);
    let loaded = options.canceller.during(end, load);
    loaded.map_err(|error| {
        if watchdog.dismiss() {
            ort::Error::new(format!(
                "it took longer than {} s to load. Use a smaller network",
                limit.as_secs()
            ))
        } else {
            error
        }
    })
}

/// Libraries of plug-in providers that this process has registered, which can be done only once for each, and the
/// names of their providers.
static REGISTERED: Mutex<Vec<(PathBuf, Vec<String>)>> = Mutex::new(Vec::new());

/// Loads the model on a device of the plug-in provider in the file `library`.
fn on_plugin(
    library: &Path,
    file: &ModelFile,
    environment: &Environment,
    options: &Options,
) -> Result<NewSession, ModelError> {
    let failed = |reason: String| ModelError::Provider {
        provider: library.display().to_string(),
        reason,
    };
    let names = register(library, environment).map_err(failed)?;
    let wanted = usize::try_from(options.device).unwrap_or(usize::MAX);
    let own_devices = || {
        let devices = environment.devices();
        devices.filter(|device| {
            device
                .ep()
                .is_ok_and(|name| names.iter().any(|n| n == name))
        })
    };
    let Some(device) = own_devices().nth(wanted) else {
        return Err(failed(match own_devices().count() {
            0 => "it finds no device on this machine: check that its driver is installed".into(),
            count => format!("there is no device={wanted}: it has {count}, numbered from 0"),
        }));
    };
    let provider_name = device.ep().unwrap_or_default().to_owned();
    let own_options = options.provider_options.iter();
    let own_options: Vec<(String, String)> = own_options
        .map(|(key, value)| (format!("{provider_name}.{key}"), value.clone()))
        .collect();
    let session = builder(environment, options)
        .and_then(|builder| Ok(builder.with_devices([device], Some(&own_options))?))
        .and_then(|builder| Ok(builder.with_disable_cpu_fallback()?))
        .and_then(|builder| commit(builder, (&file.bytes, file), options, Provider::Plugin))
        .map_err(|error| failed(error.to_string()))?;
    process_exit::register_handler();
    Ok(NewSession {
        session,
        provider: Provider::Plugin,
        device: options.device,
        winograd: false,
        plugin: Some(provider_name),
        refused: Vec::new(),
    })
}

/// Registers the providers in `library`, once; returns the names of those that found a device.
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
