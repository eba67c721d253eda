//! Weights in files beside the model: refused unless they are allowed, and then taken from real files only.

mod common;

use std::path::{Path, PathBuf};

use common::{Files, SMALL, element, foreign, refusal};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::onnx::{self, DataType, Entry, Tensor};
use prost::Message;

/// Where in another file a tensor lies.
fn place(tensor: &mut Tensor, location: &str, offset: usize, length: usize) {
    let entry = |key: &str, value: String| Entry {
        key: key.into(),
        value,
    };
    tensor.raw_data = Default::default();
    tensor.data_location = 1;
    tensor.external_data = vec![
        entry("location", location.into()),
        entry("offset", offset.to_string()),
        entry("length", length.to_string()),
    ];
}

/// A model with all of its weights in a file that it calls `location`, and the bytes of that.
fn split(location: &str) -> (Vec<u8>, Vec<u8>) {
    let mut weights = Vec::new();
    let model = foreign(&SMALL, |graph| {
        // ONNX Runtime wants the numbers of shapes in the model itself, as every exporter leaves them there.
        let weights_alone = |tensor: &&mut Tensor| tensor.data_type == DataType::Float as i32;
        for tensor in graph.initializer.iter_mut().filter(weights_alone) {
            let bytes = tensor.raw_data.clone();
            place(tensor, location, weights.len(), bytes.len());
            weights.extend_from_slice(&bytes);
        }
    });
    (model, weights)
}

fn allowed() -> Options {
    common::init();
    Options {
        allow_external_data: true,
        ..Default::default()
    }
}

fn reason(path: &Path) -> String {
    let error = Model::open(path, &allowed()).err();
    error.expect("it was taken").to_string()
}

/// A model whose weights lie in `location`, in a folder where `lay` has laid something there.
fn refused(location: &str, lay: impl FnOnce(&Files, &[u8])) -> String {
    let files = Files::new();
    let (model, weights) = split(location);
    lay(&files, &weights);
    reason(&files.write("model.onnx", &model))
}

#[test]
fn allowed_weights_beside_the_model_are_those_of_one_file() {
    let files = Files::new();
    let (model, weights) = split("weights.bin");
    let path = files.write("model.onnx", &model);
    files.write("weights.bin", &weights);
    let whole = files.write("whole.onnx", &foreign(&SMALL, |_| ()));
    let run = |path: &PathBuf| {
        let mut model = Model::open(path, &allowed()).unwrap();
        model.shape(60, 60).unwrap();
        let input = model.input().iter_mut().enumerate();
        input.for_each(|(index, value)| *value = (index % 7) as f32);
        model.run().unwrap().to_vec()
    };
    assert_eq!(run(&path), run(&whole));
    // Other weights beside the same model are another model, also while the first is in use.
    let first = Model::open(&path, &allowed()).unwrap();
    let before = run(&path);
    let halved = weights.as_chunks().0.iter();
    let halved: Vec<u8> = halved
        .flat_map(|bytes| (f32::from_le_bytes(*bytes) / 2.0).to_le_bytes())
        .collect();
    files.write("weights.bin", &halved);
    assert_ne!(run(&path), before);
    drop(first);
}

#[test]
fn external_weights_are_refused_unless_allowed() {
    let files = Files::new();
    let (model, weights) = split("weights.bin");
    let path = files.write("model.onnx", &model);
    files.write("weights.bin", &weights);
    let text = refusal(&element(&path, &[]));
    assert!(text.contains("allow-external-data=true"), "{text}");
    let element = element(&path, &[("allow-external-data", "true")]);
    element.set_state(gst::State::Paused).unwrap();
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../weights.bin",
        "/etc/passwd",
        "folder/weights.bin",
        "./weights.bin",
        "..",
        ".",
        "",
        "folder\\weights.bin",
        "C:weights.bin",
    ] {
        let text = refused(name, |files, weights| {
            std::fs::create_dir(files.path("folder")).unwrap();
            for name in ["weights.bin", "folder/weights.bin"] {
                files.write(name, weights);
            }
        });
        assert!(text.contains("plain name"), "{name}: {text}");
    }
}

#[test]
#[cfg(unix)]
fn links_pipes_and_devices_are_refused() {
    let text = refused("weights.bin", |files, weights| {
        let target = files.write("other", weights);
        std::os::unix::fs::symlink(target, files.path("weights.bin")).unwrap();
    });
    assert!(text.contains("weights.bin is a link"), "{text}");
    let text = refused("weights.bin", |files, weights| {
        let target = files.write("other", weights);
        std::fs::hard_link(target, files.path("weights.bin")).unwrap();
    });
    assert!(text.contains("hard links"), "{text}");
    let text = refused("weights.bin", |files, _| {
        let made = std::process::Command::new("mkfifo")
            .arg(files.path("weights.bin"))
            .status();
        assert!(made.unwrap().success());
    });
    assert!(text.contains("a pipe"), "{text}");
    let text = refused("weights.bin", |files, _| {
        std::fs::create_dir(files.path("weights.bin")).unwrap();
    });
    assert!(text.contains("a directory"), "{text}");
    let text = refused("weights.bin", |_, _| ());
    assert!(
        text.contains("weights.bin") && text.contains("No such file"),
        "{text}"
    );
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let text = refused("weights.bin", |files, weights| {
        files.write("weights.bin", &weights[..weights.len() - 1]);
    });
    assert!(text.contains("from byte"), "{text}");
    let with = |change: fn(&mut Tensor)| {
        let files = Files::new();
        let (model, weights) = split("weights.bin");
        files.write("weights.bin", &weights);
        let mut model = onnx::Model::decode(model.as_slice()).unwrap();
        change(&mut model.graph.as_mut().unwrap().initializer[0]);
        reason(&files.write("model.onnx", &model.encode_to_vec()))
    };
    let text = with(|tensor| tensor.external_data[2].value = "3".into());
    assert!(text.contains("length is 3"), "{text}");
    let text = with(|tensor| tensor.external_data[1].value = "-4".into());
    assert!(text.contains("not a number of bytes"), "{text}");
    let text = with(|tensor| tensor.external_data[1].value = u64::MAX.to_string());
    assert!(text.contains("from byte"), "{text}");
    let text = with(|tensor| tensor.dims[0] = 1 << 40);
    assert!(text.contains("need"), "{text}");
    let text = with(|tensor| tensor.external_data.clear());
    assert!(text.contains("which file"), "{text}");
    let text = with(|tensor| tensor.data_location = 2);
    assert!(text.contains("data location is 2"), "{text}");
}

/// A name that is no text: `location` is one in the format, so that the whole file is damaged.
#[test]
fn a_name_that_is_not_utf_8_is_refused() {
    let files = Files::new();
    let (mut model, _) = split("weights.bin");
    let at = model.windows(7).position(|bytes| bytes == b"weights");
    model[at.unwrap()] = 0xff;
    let text = reason(&files.write("model.onnx", &model));
    assert!(text.contains("damaged") && text.contains("UTF-8"), "{text}");
}
