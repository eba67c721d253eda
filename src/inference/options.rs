//! How models are opened.

use std::path::PathBuf;

use super::error::ModelError;
use super::library::Search;
use super::provider::Provider;
use super::stopping::Canceller;

/// How to open a model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where ONNX Runtime is.
    pub library: Search,
    /// What to compute on.
    pub provider: Provider,
    /// Number of the device of that provider.
    pub device: i32,
    /// Threads that compute one run on the CPU; 0: one for each core.
    pub threads: usize,
    /// Library of an execution provider that the runtime was not built with, to be used instead.
    pub ep_library: Option<PathBuf>,
    /// Options for the provider, by its own names; they override those of this project.
    pub provider_options: Vec<(String, String)>,
    /// Whether weights may lie in files beside the model.
    pub allow_external_data: bool,
    /// Folder for what a provider compiles, so that the next start need not.
    pub cache: Option<PathBuf>,
    /// Ends the opening from another thread.
    pub canceller: Canceller,
}

/// Options by which providers record a run and replay it.
const GRAPHS: [&str; 3] = [
    "enable_cuda_graph",
    "trt_cuda_graph_enable",
    "enableGraphCapture",
];

impl Options {
    /// Whether they contradict each other; makes the folder of the cache.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let wrong = |reason: &str| ModelError::Options {
            reason: reason.into(),
        };
        if self.ep_library.is_some() && self.provider != Provider::Auto {
            return Err(wrong(&format!(
                "the library of ep-library brings a provider of its own, and execution-provider={} asks for another: leave it at auto",
                self.provider
            )));
        }
        let are_for_none = match self.provider {
            Provider::Auto => self.ep_library.is_none(),
            named => !named.takes_options(),
        };
        if are_for_none && !self.provider_options.is_empty() {
            return Err(wrong(&format!(
                "execution provider {} takes no provider-options: name the one they are for",
                self.provider
            )));
        }
        let is_off = |value: &str| ["0", "false"].contains(&value.to_ascii_lowercase().as_str());
        let mut own = self.provider_options.iter();
        if let Some((name, _)) =
            own.find(|(name, value)| GRAPHS.contains(&name.as_str()) && !is_off(value))
        {
            return Err(wrong(&format!(
                "{name} replays one run at fixed addresses, which the element does not keep, so that masks would be those of another frame: leave it out"
            )));
        }
        let Some(cache) = &self.cache else {
            return Ok(());
        };
        std::fs::create_dir_all(cache).map_err(|error| {
            wrong(&format!(
                "can't make the folder of cache-directory, {}: {error}",
                cache.display()
            ))
        })
    }
}
