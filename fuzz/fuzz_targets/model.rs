//! The bytes of a model: parsed, scanned, and surveyed as before it is loaded.
#![no_main]

use gstunetsegment::onnx::{Model, scan, survey};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::decode(bytes) else {
        return;
    };
    if scan::scan(&model).is_ok()
        && let Some(graph) = &model.graph
    {
        let survey = survey::survey(graph, 1);
        assert!(survey.stride > 0);
    }
});
