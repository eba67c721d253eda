//! Opening the model when the element starts.

use std::path::PathBuf;

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::errors;
use super::imp::{CAT, UNetSegment};
use super::settings::Settings;
use super::{Blend, Reuse};
use crate::inference::Options;
use crate::inference::library::{Log, LogLevel, Search};
use crate::segmenter::Segmenter;

/// Opens the model that `settings` name, for `element`.
pub fn open(element: &UNetSegment, settings: &Settings) -> Result<Segmenter, gst::ErrorMessage> {
    // Where the element was made by a line of text, nobody heard of it when it was set.
    if let Some(reason) = settings.refusal() {
        return Err(gst::error_msg!(gst::ResourceError::Settings, ("{reason}")));
    }
    let settings = &settings.model;
    if settings.reuse != Reuse::Off && settings.blend != Blend::Crop {
        return Err(gst::error_msg!(
            gst::ResourceError::Settings,
            ("reuse needs blend=crop: what tiles average with their neighbours can't be kept for one of them alone")
        ));
    }
    let Some(path) = &settings.model_file else {
        return Err(gst::error_msg!(
            gst::ResourceError::NotFound,
            ("No model: set the property model-file to an ONNX file")
        ));
    };
    // A plugin that is part of the program has no file of its own.
    let plugin = ElementExt::factory(&*element.obj())
        .and_then(|factory| factory.plugin())
        .and_then(|plugin| plugin.filename())
        .or_else(|| std::env::current_exe().ok());
    let options = Options {
        library: Search {
            explicit: settings.runtime_library.clone(),
            beside: plugin.and_then(|file| file.parent().map(PathBuf::from)),
            log: Some(Log {
                level: log_level(),
                sink: log,
            }),
        },
        provider: settings.execution_provider.into(),
        device: settings.device,
        threads: settings.threads as usize,
    };
    let segmenter = Segmenter::open(path, &options, settings.tiles());
    let segmenter = segmenter.map_err(|error| errors::start(&error))?;
    announce(element, &segmenter);
    Ok(segmenter)
}

/// Says what was loaded, and loudly what was not.
fn announce(element: &UNetSegment, segmenter: &Segmenter) {
    let model = segmenter.model();
    for refusal in model.refused() {
        gst::element_imp_warning!(
            element,
            gst::ResourceError::Settings,
            ("{refusal}; {} is used instead", model.provider())
        );
    }
    let origin = match model.is_described() {
        true => "carried by the model",
        false => "found out by probing",
    };
    gst::info!(
        CAT,
        imp = element,
        "model on {}, contract {origin}: {}; {:?}",
        model.provider(),
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
