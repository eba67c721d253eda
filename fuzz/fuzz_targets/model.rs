//! The bytes of a model: looked at, parsed, scanned, surveyed, and its convolutions replaced, as before it is loaded.
#![no_main]

use gstunetsegment::onnx::{self, read, scan, survey};
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
        #[cfg(target_arch = "x86_64")]
        if let Some(own) = onnx::winograd::with_winograd(&model, &|| false) {
            let nodes = own.graph.map_or(0, |graph| graph.node.len());
            assert!((1..=graph.node.len()).contains(&nodes));
        }
    }
});
