//! `unet-train quantize` on networks with random weights, through the real program and ONNX Runtime.
#![cfg(feature = "train")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gstunetsegment::contract::Precision;
use gstunetsegment::onnx::DataType;
use gstunetsegment::onnx::export::Parameters;
use gstunetsegment::onnx::saturation::sums_fit_16_bits;
use gstunetsegment::onnx::survey::survey;
use gstunetsegment::unet::UNet;
use image::{GrayImage, ImageBuffer, Luma};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

mod trainer;

use trainer::{Bench, SMALL, opened, random_weights};

const PADDED: UNet = UNet {
    padded: true,
    width: 6,
    ..SMALL
};

const VALID: UNet = UNet {
    padded: false,
    ..PADDED
};

/// A model of random weights, and pictures of smooth noise.
fn bench(unet: &UNet) -> Bench {
    bench_of(unet, &random_weights(unet))
}

fn bench_of(unet: &UNet, parameters: &BTreeMap<String, Parameters>) -> Bench {
    let bench = Bench::new();
    bench.described(unet, parameters, |_| ());
    let mut random = StdRng::seed_from_u64(3);
    for index in 0..3 {
        let coarse = GrayImage::from_fn(20, 16, |_, _| Luma([random.random()]));
        let image =
            image::imageops::resize(&coarse, 120, 96, image::imageops::FilterType::CatmullRom);
        image
            .save(bench.path(&format!("images/{index}.png")))
            .unwrap();
    }
    bench
}

fn probabilities(bench: &Bench, model: &str) -> Vec<f64> {
    bench.says(&format!(
        "segment --model {model} --images images --what probability --output {model}.found"
    ));
    let values = (0..3).flat_map(|index| {
        let file = bench.path(&format!("{model}.found/{index}.png"));
        let picture: ImageBuffer<Luma<u16>, Vec<u16>> = image::open(file).unwrap().into_luma16();
        picture.into_raw()
    });
    values.map(|value| f64::from(value) / 65_535.0).collect()
}

/// The mean difference, and the share of pixels on the same side of one half.
fn agreement(a: &[f64], b: &[f64]) -> (f64, f64) {
    let pairs = || a.iter().zip(b);
    let difference: f64 = pairs().map(|(a, b)| (a - b).abs()).sum();
    let same = pairs().filter(|(a, b)| (**a > 0.5) == (**b > 0.5)).count();
    let count = a.len() as f64;
    (difference / count, same as f64 / count)
}

#[test]
fn integers_of_8_bits_answer_as_floating_point() {
    for unet in [PADDED, VALID] {
        let bench = bench(&unet);
        let text = bench.says("quantize --model model.onnx --images images --tolerance 1");
        assert!(
            text.contains("bottom.conv1") && text.contains("model.int8.onnx"),
            "{text}"
        );
        let exact = probabilities(&bench, "model.onnx");
        let spread = exact.iter().filter(|p| **p > 0.5).count() as f64 / exact.len() as f64;
        assert!(
            (0.02..0.98).contains(&spread),
            "one class tells nothing: {spread}"
        );
        let (difference, same) = agreement(&exact, &probabilities(&bench, "model.int8.onnx"));
        assert!(
            difference < 0.01 && same > 0.98,
            "{unet:?}: {difference} {same}"
        );

        let (model, contract) = opened(&bench.path("model.int8.onnx"));
        assert_eq!(contract.precision, Precision::Int8);
        let graph = model.graph.unwrap();
        let floats = graph
            .initializer
            .iter()
            .filter(|tensor| tensor.data_type == DataType::Float as i32 && tensor.dims.len() == 4);
        assert_eq!(floats.count(), 0, "weights of 32 bits");
        // The planner gets the same geometry.
        let (exact, _) = opened(&bench.path("model.onnx"));
        let (exact, light) = (survey(&exact.graph.unwrap(), 1), survey(&graph, 1));
        assert_eq!((light.halo, light.stride), (exact.halo, exact.stride));
        assert!(light.bytes_per_pixel <= exact.bytes_per_pixel);
        assert!(light.sums_fit_16_bits);
    }
}

#[test]
fn models_of_integers_need_no_emulation() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for name in ["cells-phase-contrast", "membranes-em", "nuclei-fluo"] {
        let (model, _) = opened(&models.join(format!("{name}.int8.onnx")));
        assert!(sums_fit_16_bits(&model.graph.unwrap()), "{name}");
    }
}

#[test]
fn layers_that_change_too_much_stay_as_they_are() {
    let bench = bench(&PADDED);
    // The processor computes, whatever provider is named; no ONNX Runtime for tests has this one.
    let text = bench.says(
        "quantize --model model.onnx --images images --tolerance 0 --execution-provider tensorrt",
    );
    assert!(text.contains("stays in floating point"), "{text}");
    let (exact, light) = (
        probabilities(&bench, "model.onnx"),
        probabilities(&bench, "model.int8.onnx"),
    );
    assert!(agreement(&exact, &light).0 < 1e-4);
}

/// The last layer separates two classes by less than a step between two codes, and background by much more.
#[test]
fn classes_that_are_confused_are_noticed() {
    let unet = UNet {
        classes: 3,
        ..PADDED
    };
    let mut parameters = random_weights(&unet);
    let weights = [1270.0, 100.0, 200.0, 300.0, 50.0, 80.0];
    let mut other = weights.map(|weight| weight + 4.0);
    other[0] = weights[0];
    let last = Parameters {
        weight: [[0.0; 6], weights, other].concat(),
        bias: vec![-1e4, 0.0, 0.0],
    };
    parameters.insert("last".into(), last);
    let text = bench_of(&unet, &parameters).says("quantize --model model.onnx --images images");
    let line = text.lines().find(|line| line.starts_with("scores "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.ends_with("stays in floating point"), "{text}");
}

#[test]
fn floating_point_of_16_bits_takes_half_the_space() {
    let bench = bench(&VALID);
    let error = bench.refuses("quantize --model model.onnx --to fp16 --images nowhere");
    assert!(
        error.contains("--images has no effect with --to fp16"),
        "{error}"
    );
    bench.says("quantize --model model.onnx --to fp16 --output half.onnx");
    let (exact, light) = (
        probabilities(&bench, "model.onnx"),
        probabilities(&bench, "half.onnx"),
    );
    let (difference, same) = agreement(&exact, &light);
    assert!(difference < 1e-3 && same > 0.999, "{difference} {same}");
    assert_eq!(opened(&bench.path("half.onnx")).1.precision, Precision::F16);
    let size = |name: &str| fs::metadata(bench.path(name)).unwrap().len() as f64;
    assert!(size("half.onnx") < 0.7 * size("model.onnx"));
}

#[test]
fn models_that_it_would_spoil_are_refused() {
    let bench = bench(&PADDED);
    bench.says("quantize --model model.onnx --to fp16");
    let error = bench.refuses("quantize --model model.onnx --to fp16");
    assert!(
        error.contains("model.fp16.onnx is there already"),
        "{error}"
    );
    bench.says("quantize --model model.onnx --to fp16 --overwrite");
    let error = bench.refuses("quantize --model model.fp16.onnx --images images");
    assert!(error.contains("model.fp16.onnx is no model"), "{error}");
    let error = bench.refuses("quantize --model model.onnx");
    assert!(error.contains("--images"), "{error}");
    let error = bench.refuses("quantize --model model.onnx --to fp16 --output ./model.onnx");
    assert!(error.contains("is the model itself"), "{error}");
    for wrong in ["--tolerance nan", "--count 0"] {
        let error = bench.refuses(&format!(
            "quantize --model model.onnx --images images {wrong}"
        ));
        assert!(error.contains("invalid value"), "{error}");
    }
    let error = bench.refuses("quantize --model model.onnx --images nowhere");
    assert!(error.contains("nowhere"), "{error}");
    let mut foreign = opened(&bench.path("model.onnx")).0;
    foreign.producer_name = "pytorch".into();
    fs::write(bench.path("model.onnx"), foreign.encode_to_vec()).unwrap();
    let error = bench.refuses("quantize --model model.onnx --images images");
    assert!(error.contains("no model that unet-train wrote"), "{error}");
}
