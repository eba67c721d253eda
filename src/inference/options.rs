//! Options for opening models.

use std::path::PathBuf;

use super::error::ModelError;
use super::library::Search;
use super::provider::Provider;
use super::stopping::Canceller;

/// How convolutions with 3 x 3 kernels are computed on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConvolutionMethod {
    /// By ONNX Runtime, as sums of products. The result does not depend on where a tile begins.
    #[default]
    Direct,
    /// By this project, by Winograd's method, where the processor has AVX2. Probabilities of models in 32-bit floating
    /// point agree to four digits with the others; those in 8-bit integers have other rounding errors of the same size.
    /// Both also depend on where a tile begins.
    Winograd,
}

/// Options for opening a model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where ONNX Runtime is.
    pub library: Search,
    /// The execution provider.
    pub provider: Provider,
    /// Number of the device of that provider.
    pub device: i32,
    /// Threads for one run on the CPU; 0: one for each core.
    pub threads: usize,
    /// How convolutions are computed on the CPU.
    pub convolutions: ConvolutionMethod,
    /// Library of a plug-in execution provider, to be used instead.
    pub ep_library: Option<PathBuf>,
    /// Options of the provider, by its own names; they override those of this project.
    pub provider_options: Vec<(String, String)>,
    /// Whether weights may be stored in files next to the model.
    pub allow_external_data: bool,
    /// Folder in which a provider caches what it compiles, so that the next start is fast.
    pub cache: Option<PathBuf>,
    /// Cancels the opening from another thread.
    pub canceller: Canceller,
}

/// Options with which providers record a run and replay it.
const GRAPH_CAPTURE: [&str; 3] = [
    "enable_cuda_graph",
    "trt_cuda_graph_enable",
    "enableGraphCapture",
];

impl Options {
    /// Threads for one run on the CPU.
    pub fn threads_of_run(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// An error if they contradict each other; creates the cache folder.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let invalid = |reason: &str| ModelError::Options {
            reason: reason.into(),
        };
        if self.ep_library.is_some() && self.provider != Provider::Auto {
            return Err(invalid(&format!(
                "ep-library brings its own provider, but execution-provider={} asks for another: leave execution-provider at auto",
                self.provider
            )));
        }
        let takes_options = match self.provider {
            Provider::Auto => self.ep_library.is_some(),
            named => named.takes_options(),
        };
        if !takes_options && !self.provider_options.is_empty() {
            return Err(invalid(&format!(
                "execution-provider={} takes no provider-options: set execution-provider to the one that they are for",
                self.provider
            )));
        }
        let is_off = |value: &str| ["0", "false"].contains(&value.to_ascii_lowercase().as_str());
        let mut own = self.provider_options.iter();
        if let Some((name, _)) =
            own.find(|(name, value)| GRAPH_CAPTURE.contains(&name.as_str()) && !is_off(value))
        {
            return Err(invalid(&format!(
                "{name} replays one run at fixed addresses, which the element does not keep, so masks would belong to another frame: remove it from provider-options"
            )));
        }
        let Some(cache) = &self.cache else {
            return Ok(());
        };
        std::fs::create_dir_all(cache).map_err(|error| {
            invalid(&format!(
                "the folder of cache-directory, {}, can't be created: {error}",
                cache.display()
            ))
        })
    }
}
