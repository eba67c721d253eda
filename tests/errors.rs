//! Every kind of bad input has its own message, which says what was wrong and what to do.

mod common;

use std::path::PathBuf;

use common::process::child;
use common::watch::bus_of;
use common::{Files, SMALL, element, refusal};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::onnx;
use gstunetsegment::unet::UNet;
use prost::Message;

fn refusal_of(bytes: &[u8]) -> String {
    let files = Files::new();
    refusal(&element(&files.write("bad.onnx", bytes), &[]))
}

#[test]
fn a_model_file_is_required() {
    common::init();
    let element = gst::ElementFactory::make("unetsegment").build().unwrap();
    assert!(refusal(&element).contains("set the property model-file"));
}

#[test]
fn a_missing_file_is_named() {
    let files = Files::new();
    let text = refusal(&element(&files.path("nowhere.onnx"), &[]));
    assert!(
        text.contains("nowhere.onnx") && text.contains("No such file"),
        "{text}"
    );
}

#[test]
fn a_directory_is_no_model() {
    let files = Files::new();
    let text = refusal(&element(files.path("").as_path(), &[]));
    assert!(text.contains("no rdf.yaml in it"), "{text}");
}

#[test]
#[cfg(unix)]
fn a_pipe_is_no_model_and_holds_nothing_up() {
    let files = Files::new();
    let path = files.path("pipe.onnx");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let text = refusal(&element(&path, &[]));
    assert!(text.contains("a pipe, socket or device"), "{text}");
}

#[test]
fn an_empty_file_is_no_model() {
    assert!(refusal_of(b"").contains("is empty"));
}

#[test]
fn other_files_are_no_models() {
    for bytes in [
        b"GIF89a, or so".as_slice(),
        b"\x89PNG\r\n\x1a\n",
        b"#!/bin/sh\nexit\n",
    ] {
        let text = refusal_of(bytes);
        assert!(text.contains("is not an ONNX file"), "{text}");
    }
}

#[test]
fn a_truncated_model_is_reported_as_such() {
    let bytes = common::model(&SMALL);
    for length in [bytes.len() / 2, bytes.len() - 1] {
        let text = refusal_of(&bytes[..length]);
        assert!(text.contains("damaged or truncated"), "{text}");
    }
}

#[test]
fn a_wrong_number_of_channels_is_reported() {
    let unet = UNet {
        channels: 5,
        ..SMALL
    };
    let text = refusal_of(&common::model(&unet));
    assert!(
        text.contains("5 channels") && text.contains("1 (grey) or 3"),
        "{text}"
    );
}

#[test]
fn a_wrong_rank_is_reported() {
    let mut model = onnx::Model::decode(common::model(&SMALL).as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let dimension = |name: &str| onnx::Dimension {
        extent: Some(onnx::Extent::Name(name.into())),
    };
    // A network that passes a list through: a valid file, but not for pictures.
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let tensor = value.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        tensor.shape.as_mut().unwrap().dim = vec![dimension("batch"), dimension("length")];
    }
    graph.node = vec![onnx::Node {
        input: vec![graph.input[0].name.clone()],
        output: vec![graph.output[0].name.clone()],
        name: "relu".into(),
        op_type: "Relu".into(),
        attribute: Vec::new(),
        ..Default::default()
    }];
    graph.initializer.clear();
    let text = refusal_of(&model.encode_to_vec());
    assert!(
        text.contains("has 2 dimensions, but 4 are needed"),
        "{text}"
    );
}

#[test]
fn a_contract_of_a_newer_version_is_refused() {
    let mut contract = SMALL.contract("future");
    contract.version += 1;
    let text = refusal_of(&common::described(&SMALL, &contract));
    assert!(text.contains("use a newer one"), "{text}");
}

#[test]
fn a_provider_that_is_not_there_is_refused() {
    let files = Files::new();
    let text = refusal(&element(
        &files.model(&SMALL),
        &[("execution-provider", "directml")],
    ));
    assert!(
        text.contains("directml") && text.contains("without it"),
        "{text}"
    );
}

#[test]
fn a_missing_runtime_is_reported() {
    // A process loads ONNX Runtime once, so this needs a process of its own.
    let files = Files::new();
    let model = files.model(&SMALL);
    let with = |library: PathBuf| {
        let output = child("child_without_runtime")
            .arg("--nocapture")
            .env("CHILD_MODEL", &model)
            .env("ORT_DYLIB_PATH", library)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = with(files.path("libonnxruntime.so"));
    assert!(
        text.contains("ORT_DYLIB_PATH names") && text.contains("which is not a file"),
        "{text}"
    );
    let text = with(files.write("garbage.so", b"not a library"));
    assert!(
        text.contains("can't be loaded from") && text.contains("make setup"),
        "{text}"
    );
}

#[test]
#[ignore = "runs as a child of a_missing_runtime_is_reported, with an environment of its own"]
fn child_without_runtime() {
    let Some(model) = std::env::var_os("CHILD_MODEL") else {
        return;
    };
    println!("{}", refusal(&element(model.as_ref(), &[])));
}

#[test]
fn a_buffer_smaller_than_its_caps_is_an_error() {
    let files = Files::new();
    for output in ["overlay", "none", "mask"] {
        let element = element(&files.model(&SMALL), &[("output", output)]);
        let mut harness = common::harness(&element, "GRAY16_LE", 64, 48);
        let bus = bus_of(&element);
        let pushed = harness.push(gst::Buffer::with_size(64 * 48).unwrap());
        assert_eq!(pushed, Err(gst::FlowError::Error));
        let text = common::error_on(&bus);
        assert!(
            text.contains("needs 6144 bytes") && text.contains("3072"),
            "{text}"
        );
    }
}

#[test]
fn an_invalid_range_leaves_the_old_one() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("display-range", "100,4000")]);
    for wrong in ["", "4000,100", "bright", "1,2,3", "nan,5"] {
        element.set_property("display-range", wrong);
        let range: String = element.property("display-range");
        assert_eq!(range, "100,4000", "{wrong}");
    }
    element.set_property("display-range", "auto");
    assert_eq!(element.property::<String>("display-range"), "auto");
}

#[test]
fn an_invalid_range_is_reported_at_the_start() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for name in ["display-range", "value-range"] {
        // As from `gst-launch-1.0`: when it is set, there is no bus yet.
        let text = format!("unetsegment model-file={} {name}=bright", model.display());
        common::init();
        let element = gst::parse::launch(&text).unwrap();
        let text = common::refusal(&element);
        assert!(text.contains(name) && text.contains("bright"), "{text}");
        element.set_property(name, "1,2");
        element.set_state(gst::State::Paused).unwrap();
        element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn weights_that_are_not_finite_are_reported_once() {
    let files = Files::new();
    let mut model = onnx::Model::decode(common::model(&SMALL).as_slice()).unwrap();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        if tensor.name.contains("last") {
            let count = tensor.floats().len();
            tensor.float_data = vec![f32::NAN; count];
            tensor.raw_data = Default::default();
        }
    }
    let path = files.write("broken.onnx", &model.encode_to_vec());
    let element = element(&path, &[]);
    let bus = bus_of(&element);
    let mut harness = common::harness(&element, "GRAY8", 64, 48);
    assert!(harness.push(common::gray8(&[0; 64 * 48], 64, 48)).is_err());
    let text = common::error_on(&bus);
    assert!(
        text.contains("broken.onnx") && text.contains("finite"),
        "{text}"
    );
    let more = bus.pop_filtered(&[gst::MessageType::Error]);
    assert!(more.is_none(), "reported twice: {more:?}");
}

/// File names are bytes on Unix, and a program in C may put any bytes into a property.
#[cfg(unix)]
#[test]
fn invalid_utf_8_may_name_files_and_nothing_else() {
    use std::os::unix::ffi::OsStringExt;

    let bytes = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
    let files = Files::new();
    let path = files.path("x").with_file_name(bytes(b"na\xffme.onnx"));
    std::fs::rename(files.model(&SMALL), &path).unwrap();
    let element = element(&files.model(&SMALL), &[]);
    let bus = bus_of(&element);
    element.set_property("model-file", &path);
    assert_eq!(element.property::<PathBuf>("model-file"), path);
    common::segment(&element, &[0; 64 * 48], 64, 48);
    element.set_bus(Some(&bus));
    for name in [
        "value-range",
        "display-range",
        "trigger",
        "palette",
        "show-classes",
    ] {
        let before: String = element.property(name);
        element.set_property(name, bytes(b"0,\xff"));
        assert_eq!(element.property::<String>(name), before);
        let warning = bus.pop_filtered(&[gst::MessageType::Warning]).unwrap();
        let gst::MessageView::Warning(warning) = warning.view() else {
            unreachable!()
        };
        let text = warning.error().to_string();
        assert!(
            text.contains(name) && text.contains("not valid UTF-8"),
            "{text}"
        );
    }
    assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
}
