//! `convolution=winograd` gives the same probabilities as ONNX Runtime's own convolutions, to four digits.

mod common;

use std::path::{Path, PathBuf};

use common::skips::skip;
use common::{Files, cells, data, element, foreign, gray8, harness, pictures, refusal};
use gstreamer::prelude::*;
use gstunetsegment::inference::{ConvolutionMethod, Options};
use gstunetsegment::onnx::Node;
use gstunetsegment::picture::{Format, Frame, Plane, YuvCoding};
use gstunetsegment::segmenter::{Segmenter, TileOptions};
use gstunetsegment::unet::UNet;

const VALID: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 8,
    depth: 3,
    padded: false,
};

const PADDED: UNet = UNet {
    padded: true,
    width: 12,
    ..VALID
};

const WINOGRAD: (&str, &str) = ("convolution", "winograd");

/// Whether this processor can do it; if not, the test is [skipped](skip).
fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    let supported = gstunetsegment::winograd::is_supported();
    #[cfg(not(target_arch = "x86_64"))]
    let supported = false;
    if !supported {
        skip("avx2", "this processor has no AVX2");
    }
    supported
}

/// A model of this project.
fn trained(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.onnx"))
}

/// The mask of a picture and its probabilities.
fn found(
    model: &Path,
    convolutions: ConvolutionMethod,
    tiles: TileOptions,
    (picture, width, height): &(Vec<u8>, usize, usize),
) -> (Vec<u8>, Vec<f32>) {
    common::init();
    let options = Options {
        convolutions,
        ..Options::default()
    };
    let mut segmenter = Segmenter::open(model, &options, tiles).unwrap();
    let plane = Plane {
        data: picture,
        stride: *width,
    };
    let coding = YuvCoding::default();
    let frame = Frame::new(Format::Gray8, *width, *height, &[plane], coding).unwrap();
    let normalization = segmenter.contract().normalization;
    let mut mask = vec![0; width * height];
    let mut probability = vec![0.0; width * height];
    segmenter
        .segment(&frame, normalization, &mut mask, Some(&mut probability))
        .unwrap();
    (mask, probability)
}

/// Checks that probabilities agree to four digits, and masks where these are not at the threshold.
fn assert_alike(one: &(Vec<u8>, Vec<f32>), other: &(Vec<u8>, Vec<f32>), what: &str) {
    let pairs = one.1.iter().zip(&other.1);
    let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off <= 1e-4, "{what}: probabilities differ by {off}");
    let differing = one.0.iter().zip(&other.0).filter(|(a, b)| a != b).count();
    assert!(
        differing <= one.0.len() / 10_000,
        "{what}: {differing} pixels of {} differ",
        one.0.len()
    );
}

#[test]
fn probabilities_are_those_of_onnx_runtime() {
    if !is_supported() {
        return;
    }
    let files = Files::new();
    let pictures = [(300, 200), (161, 97)].map(|(w, h)| (cells(w, h, 3), w, h));
    for unet in [VALID, PADDED] {
        let model = files.model(&unet);
        for picture in &pictures {
            let whole = TileOptions::default();
            let expected = found(&model, ConvolutionMethod::Direct, whole, picture);
            for (size, batch) in [(0, 1), (64, 1), (100, 3)] {
                let tiles = TileOptions {
                    size,
                    batch,
                    ..whole
                };
                let own = found(&model, ConvolutionMethod::Winograd, tiles, picture);
                assert_alike(&own, &expected, &format!("{unet:?}, tiles of {size}"));
            }
        }
    }
}

#[test]
fn masks_of_trained_models_are_those_of_onnx_runtime() {
    if !is_supported() {
        return;
    }
    let Some(folder) = data("u373_video/images") else {
        return;
    };
    let model = trained("cells-phase-contrast");
    for picture in pictures(&folder, 3) {
        let tiles = TileOptions::default();
        let methods = [ConvolutionMethod::Direct, ConvolutionMethod::Winograd];
        let [direct, own] = methods.map(|method| found(&model, method, tiles, &picture));
        assert_alike(&own, &direct, "cells-phase-contrast");
    }
}

/// Models of 8-bit integers: codes are rounded elsewhere, so that some differ by one.
#[test]
fn masks_of_integers_are_those_of_onnx_runtime() {
    if !is_supported() {
        return;
    }
    for (name, folder) in [
        ("cells-phase-contrast", "u373_video/images"),
        ("nuclei-fluo", "dsb2018_fluo/images"),
    ] {
        let Some(folder) = data(folder) else {
            return;
        };
        let model = trained(&format!("{name}.int8"));
        for picture in pictures(&folder, 3) {
            let tiles = TileOptions::default();
            let methods = [ConvolutionMethod::Direct, ConvolutionMethod::Winograd];
            let [direct, own] = methods.map(|method| found(&model, method, tiles, &picture));
            let differing = own.0.iter().zip(&direct.0).filter(|(a, b)| a != b).count();
            let share = differing as f64 / own.0.len() as f64;
            println!("{name}: {share}");
            assert!(share <= 0.005, "{name}: {share} of the mask differ");
        }
    }
}

#[test]
fn active_provider_tells_what_is_in_use() {
    if !is_supported() {
        return;
    }
    let files = Files::new();
    let picture = cells(160, 120, 1);
    let provider = |model: &Path, properties: &[(&str, &str)]| {
        let element = element(model, properties);
        let mut harness = harness(&element, "GRAY8", 160, 120);
        harness.push_and_pull(gray8(&picture, 160, 120)).unwrap();
        element.property::<String>("active-provider")
    };
    let model = files.model(&VALID);
    assert_eq!(provider(&model, &[]), "cpu");
    assert_eq!(provider(&model, &[WINOGRAD]), "cpu, winograd");
    assert_eq!(
        provider(&model, &[WINOGRAD, ("threads", "1")]),
        "cpu, winograd"
    );
    // Too few channels.
    let thin = files.model(&UNet {
        width: 2,
        depth: 1,
        ..VALID
    });
    assert_eq!(provider(&thin, &[WINOGRAD]), "cpu");
    let int8 = trained("nuclei-fluo.int8");
    assert_eq!(provider(&int8, &[WINOGRAD]), "cpu, winograd");
    let fp16 = trained("nuclei-fluo.fp16");
    assert_eq!(provider(&fp16, &[WINOGRAD]), "cpu");
}

/// ONNX Runtime derives the shape of an output that is not declared, but only from operators that it knows.
#[test]
fn an_output_without_a_shape_is_accepted() {
    let files = Files::new();
    let bytes = foreign(&VALID, |graph| {
        let declared = graph.output[0].r#type.as_mut().unwrap();
        declared.tensor_type.as_mut().unwrap().shape = None;
    });
    let model = files.write("undeclared.onnx", &bytes);
    let picture = (cells(160, 120, 1), 160, 120);
    let whole = TileOptions::default();
    let methods = [ConvolutionMethod::Direct, ConvolutionMethod::Winograd];
    let [direct, own] = methods.map(|method| found(&model, method, whole, &picture));
    assert_eq!(own.0, direct.0);
}

/// A file can't name the operator itself, with weights that would not fit.
#[test]
fn a_file_with_the_operator_is_refused() {
    let files = Files::new();
    let bytes = foreign(&VALID, |graph| {
        graph.node.push(Node {
            op_type: "WinogradConvolution".into(),
            domain: "unetsegment".into(),
            ..Node::new("Conv", &["x"], "unused", Vec::new())
        });
    });
    let error = refusal(&element(&files.write("own.onnx", &bytes), &[WINOGRAD]));
    assert!(error.contains("domain unetsegment"), "{error}");
}
