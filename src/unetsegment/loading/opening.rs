//! Opening one model with the settings, and reporting on it.

use std::path::PathBuf;

use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::inference::library::{Log, LogLevel, Search};
use crate::inference::{Canceller, ModelError, Options};
use crate::segmenter::{Segmenter, TileOptions};
use crate::unetsegment::imp::{CAT, UNetSegment};
use crate::unetsegment::settings::ModelSettings;
use crate::unetsegment::{Blend, Reuse};

/// Why settings are refused.
type Refusal = (gst::ResourceError, String);

/// Everything needed to open a model, any number of times and on any thread.
#[derive(Clone, Debug)]
pub struct Opening {
    pub path: PathBuf,
    options: Options,
    tiles: TileOptions,
}

impl Opening {
    /// An opening with `settings`, for `element`.
    pub fn new(element: &UNetSegment, settings: &ModelSettings) -> Result<Self, Refusal> {
        if settings.reuse != Reuse::Off && settings.blend != Blend::Crop {
            let reason = "reuse needs blend=crop: what tiles average with their neighbours can't be kept for one of them alone";
            return Err((gst::ResourceError::Settings, reason.into()));
        }
        let Some(path) = settings.model_file.clone() else {
            let reason = "No model: set the property model-file to an ONNX file";
            return Err((gst::ResourceError::NotFound, reason.into()));
        };
        // A plugin that is part of the program has no file of its own.
        let plugin = ElementExt::factory(&*element.obj())
            .and_then(|factory| factory.plugin())
            .and_then(|plugin| plugin.filename())
            .or_else(|| std::env::current_exe().ok());
        let library = Search {
            explicit: settings.runtime_library.clone(),
            beside: plugin.and_then(|file| file.parent().map(PathBuf::from)),
            log: Some(Log {
                level: log_level(),
                sink: log,
            }),
        };
        let provider_options = settings
            .provider_options()
            .map_err(|reason| (gst::ResourceError::Settings, reason))?;
        Ok(Opening {
            path,
            options: Options {
                library,
                provider: settings.execution_provider.into(),
                device: settings.device,
                threads: settings.threads as usize,
                convolutions: settings.convolution.into(),
                ep_library: settings.ep_library.clone(),
                provider_options,
                allow_external_data: settings.allow_external_data,
                cache: settings.cache_directory.clone(),
                canceller: element.loader.canceller(),
            },
            tiles: settings.tiles(),
        })
    }

    /// Cancels this, and everything else that is opened for the same start.
    pub fn canceller(&self) -> &Canceller {
        &self.options.canceller
    }

    /// Opens the model, with `canceller` instead of that of the start.
    pub fn open_until(&self, canceller: Canceller) -> Result<Segmenter, ModelError> {
        let options = Options {
            canceller,
            ..self.options.clone()
        };
        Segmenter::open(&self.path, &options, self.tiles)
    }

    /// Opens the model.
    pub fn open(&self) -> Result<Segmenter, ModelError> {
        Segmenter::open(&self.path, &self.options, self.tiles)
    }
}

/// Logs what was loaded, and warns of providers that were refused.
pub fn announce(element: &UNetSegment, segmenter: &Segmenter) {
    let model = segmenter.model();
    for refusal in model.refused() {
        gst::element_imp_warning!(
            element,
            gst::ResourceError::Settings,
            ("{} is used instead: {refusal}", model.provider_name())
        );
    }
    let origin = if model.carries_contract() {
        "carried by the model"
    } else {
        "found by probing"
    };
    gst::info!(
        CAT,
        imp = element,
        "model on {}, contract {origin}: {}; {:?}",
        model.provider_name(),
        model.contract().to_json(),
        model.survey()
    );
}

/// ONNX Runtime's log, in the element's category.
fn log(level: LogLevel, message: &str) {
    match level {
        LogLevel::Verbose => gst::trace!(CAT, "ONNX Runtime: {message}"),
        LogLevel::Info => gst::debug!(CAT, "ONNX Runtime: {message}"),
        LogLevel::Warning => gst::info!(CAT, "ONNX Runtime: {message}"),
        LogLevel::Error | LogLevel::Fatal => gst::warning!(CAT, "ONNX Runtime: {message}"),
    }
}

/// The least serious messages of ONNX Runtime that the category lets through.
fn log_level() -> LogLevel {
    match CAT.threshold() {
        gst::DebugLevel::Trace | gst::DebugLevel::Memdump => LogLevel::Verbose,
        gst::DebugLevel::Debug | gst::DebugLevel::Log => LogLevel::Info,
        gst::DebugLevel::Info | gst::DebugLevel::Fixme => LogLevel::Warning,
        _ => LogLevel::Error,
    }
}
