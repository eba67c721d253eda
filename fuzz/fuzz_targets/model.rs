//! The bytes of a model: looked at, parsed, scanned, and surveyed as before it is loaded.
#![no_main]

use gstunetsegment::onnx::{read, scan, survey};
use libfuzzer_sys::fuzz_target;
use prost::bytes::Bytes;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = read::parse(&Bytes::copy_from_slice(bytes)) else {
        return;
    };
    if scan::scan(&model).is_ok()
        && let Some(graph) = &model.graph
    {
        let survey = survey::survey(graph, 1);
        assert!(survey.stride > 0);
    }
});
