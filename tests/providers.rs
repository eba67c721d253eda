//! Execution providers, other than that of the processor.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Once;

use common::skips::skip;
use common::{Files, SMALL, cells, element, refusal, segment};
use gst::prelude::*;
use gstreamer as gst;

const WIDTH: usize = 60;
const HEIGHT: usize = 44;

/// The WebGPU provider that `make` has fetched, with a software graphics adapter, or `None` where the test is
/// [skipped](skip).
fn webgpu() -> Option<PathBuf> {
    static ONCE: Once = Once::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/webgpu");
    if !folder.join("complete").exists() {
        skip(
            "webgpu",
            "scripts/software-adapter.sh has not fetched WebGPU's provider and SwiftShader",
        );
        return None;
    }
    common::init();
    ONCE.call_once(|| {
        // SAFETY: what reads them is loaded by the tests that have come by here.
        unsafe {
            std::env::set_var("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1");
            std::env::set_var("VK_ICD_FILENAMES", folder.join("vk_swiftshader_icd.json"));
        }
    });
    Some(folder.join("libonnxruntime_providers_webgpu.so"))
}

/// The mask of `picture`, which must come from `provider`.
fn found_by(
    element: &gst::Element,
    picture: &[u8],
    size: (usize, usize),
    provider: &str,
) -> Vec<u8> {
    let (width, height) = size;
    let mut harness = common::harness(element, "GRAY8", width, height);
    let out = harness
        .push_and_pull(common::gray8(picture, width, height))
        .unwrap();
    assert_eq!(element.property::<String>("active-provider"), provider);
    common::mask_of(&out).0
}

fn share_of_differing(one: &[u8], other: &[u8]) -> f64 {
    let differing = one.iter().zip(other).filter(|(a, b)| a != b).count();
    differing as f64 / one.len() as f64
}

#[test]
fn a_provider_from_a_library_finds_the_same_mask() {
    let Some(library) = webgpu() else {
        return;
    };
    let files = Files::new();
    let model = files.model(&SMALL);
    let library = library.to_str().unwrap();
    let picture = cells(WIDTH, HEIGHT, 3);
    let expected = segment(&element(&model, &[]), &picture, WIDTH, HEIGHT);
    // Two of them, because a library is registered once.
    for _ in 0..2 {
        let element = element(&model, &[("ep-library", library), ("tile-size", "32")]);
        let found = found_by(
            &element,
            &picture,
            (WIDTH, HEIGHT),
            "WebGpuExecutionProvider",
        );
        assert_eq!(share_of_differing(&found, &expected), 0.0);
    }
    let batches = [
        ("ep-library", library),
        ("tile-size", "32"),
        ("batch-size", "3"),
    ];
    let batched = element(&model, &batches);
    let found = found_by(
        &batched,
        &picture,
        (WIDTH, HEIGHT),
        "WebGpuExecutionProvider",
    );
    assert_eq!(share_of_differing(&found, &expected), 0.0);
    let far = element(&model, &[("ep-library", library), ("device", "7")]);
    assert!(refusal(&far).contains("device=7"), "{}", refusal(&far));
}

#[test]
fn invalid_libraries_are_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let text = files.write("text.so", b"no library");
    for (library, expected) in [
        ("/nowhere/lib.so", "no such file"),
        (text.to_str().unwrap(), "text.so"),
    ] {
        let text = refusal(&element(&model, &[("ep-library", library)]));
        assert!(text.contains(library) && text.contains(expected), "{text}");
    }
    let properties = [
        ("ep-library", "/nowhere/lib.so"),
        ("execution-provider", "cuda"),
    ];
    let text = refusal(&element(&model, &properties));
    assert!(text.contains("cuda") && text.contains("auto"), "{text}");
}

#[test]
fn options_that_no_provider_takes_are_refused() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for provider in ["auto", "cpu"] {
        let properties = [
            ("execution-provider", provider),
            ("provider-options", "options,fast=true"),
        ];
        let text = refusal(&element(&model, &properties));
        assert!(
            text.contains("provider-options") && text.contains(provider),
            "{text}"
        );
    }
    // With these, masks would be those of another frame.
    for (provider, option) in [
        ("cuda", "enable_cuda_graph=1"),
        ("tensorrt", "trt_cuda_graph_enable=true"),
        ("webgpu", "enableGraphCapture=1"),
    ] {
        let options = format!("options,{option}");
        let properties = [
            ("execution-provider", provider),
            ("provider-options", options.as_str()),
        ];
        let text = refusal(&element(&model, &properties));
        assert!(text.contains("replays one run"), "{text}");
    }
    // An option without a name before it is the name.
    let text = refusal(&element(&model, &[("provider-options", "abc")]));
    assert!(
        text.contains("abc has no options") && text.contains("options,NAME=VALUE"),
        "{text}"
    );
    let file = files.write("file", b"");
    let text = refusal(&element(
        &model,
        &[("cache-directory", file.join("cache").to_str().unwrap())],
    ));
    assert!(text.contains("cache-directory"), "{text}");
    if let Some(library) = webgpu() {
        let library = library.to_str().unwrap().to_owned();
        let properties = [
            ("ep-library", library.as_str()),
            ("provider-options", "options,validationMode=nonsense"),
        ];
        let text = refusal(&element(&model, &properties));
        assert!(text.contains("nonsense"), "{text}");
    }
}

/// With the ONNX Runtime of `make setup ORT=openvino`, by `make check-openvino`.
#[test]
#[ignore = "a process has one ONNX Runtime, and this needs that of OpenVINO"]
fn openvino_finds_the_same_mask() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let (width, height) = (300, 200);
    let picture = cells(width, height, 3);
    let expected = segment(
        &element(&model, &[("execution-provider", "cpu")]),
        &picture,
        width,
        height,
    );
    for (precision, limit) in [("FP32", 0.0005), ("ACCURACY", 0.0005)] {
        let options = format!("options,precision={precision}");
        let properties = [
            ("execution-provider", "openvino"),
            ("provider-options", &options),
        ];
        let element = element(&model, &properties);
        let found = found_by(&element, &picture, (width, height), "openvino");
        let differing = share_of_differing(&found, &expected);
        assert!(differing <= limit, "{precision}: {differing}");
    }
    let properties = [
        ("execution-provider", "openvino"),
        ("provider-options", "options,nonsense=1"),
    ];
    let text = refusal(&element(&model, &properties));
    assert!(text.contains("nonsense"), "{text}");
}
