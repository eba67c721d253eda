//! Models that are made to do harm are refused before ONNX Runtime sees them, at once and each with its own reason.

#[path = "../common/mod.rs"]
mod common;

mod arithmetic;
mod expanding;
mod faults;
mod models;
mod shapes;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::process::alone;
use common::{Files, SMALL, element, refusal};
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::onnx::{self, Attribute, Tensor};
use gstunetsegment::segmenter::{Segmenter, TileOptions};
use gstunetsegment::tiling::Size;
use prost::Message;

use models::{file, node};

/// Most memory that this process ever took, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> f64 {
    common::process::memory("VmHWM") as f64 / 1024.0
}

#[cfg(not(target_os = "linux"))]
fn peak() -> f64 {
    0.0
}

/// Makes [`peak`] start from the current memory.
#[cfg(target_os = "linux")]
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[cfg(not(target_os = "linux"))]
fn forget_peak() {}

#[test]
fn hostile_models_are_refused_at_once() {
    let _alone = alone();
    common::init();
    let files = Files::new();
    let models = models::hostile();
    // The memory of ONNX Runtime itself, and of the first model, does not count.
    drop(Model::open(&files.model(&SMALL), &Options::default()).unwrap());
    forget_peak();
    let before = peak();
    for (name, words, model) in models {
        let path = files.write(&format!("{name}.onnx"), &model.encode_to_vec());
        refused(&path, words);
    }
    #[cfg(unix)]
    {
        refused(&PathBuf::from("/dev/zero"), "not a regular file");
        let pipe = files.path("pipe.onnx");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        refused(&pipe, "not a regular file");
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(b"na\xffme.onnx".to_vec());
        let path = files.path("x").with_file_name(name);
        std::fs::write(&path, b"nothing").unwrap();
        refused(&path, "not an ONNX file");
        // Another name for a model is that model.
        let linked = files.path("linked.onnx");
        std::fs::hard_link(files.model(&SMALL), &linked).unwrap();
        Model::open(&linked, &Options::default()).unwrap();
    }
    let more = peak() - before;
    assert!(more < 64.0, "{more:.0} MiB");
}

fn refused(path: &Path, words: &str) {
    let start = Instant::now();
    let error = Model::open(path, &Options::default()).err();
    let took = start.elapsed();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains(words), "{}: {text}", path.display());
    assert!(
        took < Duration::from_secs(1),
        "{}: {took:?}",
        path.display()
    );
}

/// An operator can't be interrupted while it computes.
#[test]
fn one_operator_that_computes_long_is_refused() {
    let _alone = alone();
    let convolution = |name: &str, input: &str, weight: &str, output: &str, side: i64| {
        let mut node = node("Conv", &[input, weight], output);
        node.name = name.into();
        node.attribute = vec![
            Attribute::ints("kernel_shape", &[side; 2]),
            Attribute::ints("pads", &[side / 2; 4]),
        ];
        node
    };
    let weights = |name: &str, outputs: i64, inputs: i64, side: i64| {
        let count = outputs * inputs * side * side;
        let dims = [outputs, inputs, side, side];
        Tensor::of_floats(name.into(), &dims, &vec![0.01; count as usize])
    };
    let wide = |channels: i64| {
        file(
            vec![
                convolution("first", "image", "a", "x", 1),
                convolution("wide", "x", "b", "y", 3),
                convolution("last", "y", "c", "scores", 1),
            ],
            vec![
                weights("a", channels, 1, 1),
                weights("b", channels, channels, 3),
                weights("c", 2, channels, 1),
            ],
        )
    };
    common::init();
    let files = Files::new();
    let path = files.write("wide.onnx", &wide(512).encode_to_vec());
    refused(&path, "wide (Conv) alone multiplies");
    let text = refusal(&element(&path, &[]));
    assert!(text.contains("alone multiplies"), "{text}");
    // One that is just allowed gets tiles that do not take long.
    let path = files.write("less.onnx", &wide(448).encode_to_vec());
    let (options, tiles) = (Options::default(), TileOptions::default());
    let mut segmenter = Segmenter::open(&path, &options, tiles).unwrap();
    let frame = Size {
        width: 1024,
        height: 1024,
    };
    let plan = segmenter.prepare(frame).unwrap();
    let work = (448 * 448 * 9) as f64 * plan.outer.area() as f64;
    assert!(
        work <= f64::from(1 << 16) * f64::from(1 << 20),
        "{:?}",
        plan.outer
    );
}

/// A file that has, from its fifth byte on, the mark of ONNX Runtime's own format is loaded as ONNX all the same, which
/// is what was scanned.
#[test]
fn a_file_of_two_formats_is_onnx() {
    let _alone = alone();
    common::init();
    let files = Files::new();
    let mut model = onnx::Model::decode(common::model(&SMALL).as_slice()).unwrap();
    model.producer_name = "ORTM, or so it says".into();
    let bytes = model.encode_to_vec();
    assert_eq!(&bytes[4..8], b"ORTM");
    let path = files.write("model.onnx", &bytes);
    Model::open(&path, &Options::default()).unwrap();
}
