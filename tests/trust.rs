//! How far a mask can be trusted: where the network is uncertain, whether tiles have left seams, and whether frames are
//! like the training pictures.

mod common;

use common::watch::{bus_of, messages};
use common::{
    BRIGHTNESS, Files, SMALL, append, brightness, cells, data, described, element, foreign, gray8,
    harness, pictures, pixels,
};
use gstreamer as gst;
use gstunetsegment::contract::{Channels, Contract, FeatureRanges, Normalization};
use gstunetsegment::picture::{FeatureExtractor, Format, Frame, Normalizer, Plane, YuvCoding};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// The output of the element for a frame, and the fields of the first message of this name.
fn seen(
    model: &std::path::Path,
    properties: &[(&str, &str)],
    name: &str,
) -> (Vec<u8>, Option<gst::Structure>) {
    let element = element(model, properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let frame = || gray8(&cells(WIDTH, HEIGHT, 3), WIDTH, HEIGHT);
    let out = harness.push_and_pull(frame()).unwrap();
    let bytes = pixels(&harness, &out).0;
    // For the second frame, no seams are reported.
    harness.push_and_pull(frame()).unwrap();
    let mut named = messages(&bus, name).into_iter();
    let first = named.next();
    if name == "unetsegment-seams" {
        assert!(named.next().is_none(), "seams are reported twice");
    }
    (bytes, first)
}

/// It is white where both classes are equally likely, and the message has the mean.
#[test]
fn uncertainty_is_the_entropy_of_the_probability() {
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let with = |more: &[(&str, &str)]| -> (Vec<u8>, Option<gst::Structure>) {
        let all: Vec<_> = BRIGHTNESS.iter().chain(more).copied().collect();
        seen(&model, &all, "unetsegment")
    };
    let (probability, _) = with(&[("output", "probability")]);
    let (uncertainty, message) = with(&[
        ("output", "uncertainty"),
        ("measure-uncertainty", "true"),
        ("post-messages", "true"),
    ]);
    let entropy = |p: f64| {
        if p > 0.0 && p < 1.0 {
            -(p * p.log2() + (1.0 - p) * (1.0 - p).log2())
        } else {
            0.0
        }
    };
    let mut largest = 0;
    for (p, found) in probability.iter().zip(&uncertainty) {
        // Between what half a step up and down of the probability make of it.
        let bounds =
            [-0.5, 0.5].map(|half| entropy(((f64::from(*p) + half) / 255.0).clamp(0.0, 1.0)));
        let (low, high) = (bounds[0].min(bounds[1]), bounds[0].max(bounds[1]));
        let found = f64::from(*found) / 255.0;
        let around = if (126..=129).contains(p) { 1.0 } else { high };
        assert!(
            (low - 0.003..=around + 0.003).contains(&found),
            "{p}: {found}"
        );
        largest = largest.max((found * 255.0) as u8);
    }
    assert!(largest > 100, "nothing is uncertain: {largest}");
    let mean = uncertainty
        .iter()
        .map(|bits| f64::from(*bits) / 255.0)
        .sum::<f64>();
    let mean = mean / uncertainty.len() as f64;
    let reported: f64 = message.unwrap().get("uncertainty").unwrap();
    assert!((reported - mean).abs() < 0.002, "{reported}, {mean}");
    let (_, message) = with(&[("post-messages", "true")]);
    assert!(!message.unwrap().has_field("uncertainty"));
}

/// Sizes that come again are remembered.
#[test]
fn seams_are_reported_once_for_each_size() {
    let files = Files::new();
    let properties = [("check-seams", "true"), ("output", "none")];
    let element = element(&files.model(&SMALL), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    for width in [WIDTH, 64, WIDTH, 64, 80] {
        harness.set_src_caps(common::caps("GRAY8", width, HEIGHT));
        let frame = gray8(&cells(width, HEIGHT, 3), width, HEIGHT);
        harness.push_and_pull(frame).unwrap();
    }
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]));
    let names = messages.map(|message| message.structure().unwrap().name().to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["unetsegment-seams"; 3]);
}

/// Those of a convolutional network do not; those of one that normalises over the whole picture do.
#[test]
fn check_seams_reports_how_many_pixels_differ() {
    let files = Files::new();
    let tiles = [
        ("tile-size", "40"),
        ("check-seams", "true"),
        ("output", "mask"),
    ];
    let report = |model: &std::path::Path| seen(model, &tiles, "unetsegment-seams").1.unwrap();
    let none = report(&files.model(&SMALL));
    assert!(none.get::<u32>("tiles").unwrap() > 1);
    assert_eq!(none.get::<u64>("differing").unwrap(), 0);
    assert_eq!(none.get::<f64>("share").unwrap(), 0.0);
    let normalising = foreign(&SMALL, |graph| append(graph, "InstanceNormalization"));
    let some = report(&files.write("normalising.onnx", &normalising));
    let (differing, share) = (
        some.get::<u64>("differing").unwrap(),
        some.get::<f64>("share").unwrap(),
    );
    assert!(differing > 0);
    assert_eq!(share, differing as f64 / (WIDTH * HEIGHT) as f64);
}

/// The features of grey pictures, as a contract has them.
fn like(shown: &[(Vec<u8>, usize, usize)]) -> FeatureRanges {
    let mut pictures = FeatureRanges::default();
    for (bytes, width, height) in shown {
        let plane = Plane {
            data: bytes,
            stride: *width,
        };
        let frame = Frame::new(
            Format::Gray8,
            *width,
            *height,
            &[plane],
            YuvCoding::default(),
        )
        .unwrap();
        let scaling = Normalizer::new(Normalization::ZScore).scaling(&frame, Channels::Gray);
        let features = FeatureExtractor::default().of_frame(&frame, Channels::Gray, scaling);
        pictures.add(&features.unwrap());
    }
    pictures
}

/// The messages `unetsegment-pictures` about frames, and warnings.
fn reports(
    model: &std::path::Path,
    properties: &[(&str, &str)],
    frames: &[(Vec<u8>, usize, usize)],
) -> (Vec<gst::Structure>, Vec<String>) {
    let element = element(model, properties);
    let bus = bus_of(&element);
    let (_, width, height) = frames[0];
    let mut harness = harness(&element, "GRAY8", width, height);
    for (bytes, ..) in frames {
        harness.push_and_pull(gray8(bytes, width, height)).unwrap();
    }
    let (mut structures, mut warnings) = (Vec::new(), Vec::new());
    for message in std::iter::from_fn(|| bus.pop()) {
        match message.view() {
            gst::MessageView::Element(message) => {
                structures.extend(message.structure().map(|fields| fields.to_owned()));
            }
            gst::MessageView::Warning(warning) => warnings.push(warning.error().to_string()),
            _ => (),
        }
    }
    structures.retain(|fields| fields.name() == "unetsegment-pictures");
    (structures, warnings)
}

fn inverted(picture: &[u8]) -> Vec<u8> {
    picture.iter().map(|value| 255 - value).collect()
}

/// Once, and again when they are alike.
#[test]
fn frames_unlike_the_training_pictures_are_reported() {
    let files = Files::new();
    let seen = |seed| (cells(WIDTH, HEIGHT, seed), WIDTH, HEIGHT);
    let contract = Contract {
        pictures: like(&[1, 2, 3].map(seen)),
        ..SMALL.contract("cells-of-mine")
    };
    let model = files.write("known.onnx", &described(&SMALL, &contract));
    let alike = seen(4);
    let unlike = (inverted(&alike.0), WIDTH, HEIGHT);

    let (structures, warnings) = reports(&model, &[], &vec![alike.clone(); 70]);
    assert!(structures.is_empty() && warnings.is_empty(), "{warnings:?}");

    // For longer than the element waits between two checks.
    let frames = [vec![unlike.clone(); 80], vec![alike; 80]].concat();
    let (structures, warnings) = reports(&model, &[], &frames);
    let alike = structures.iter().map(|fields| fields.get("alike").unwrap());
    assert_eq!(alike.collect::<Vec<bool>>(), [false, true]);
    let fields = &structures[0];
    let median = fields.get::<gst::Array>("middle").unwrap();
    let [value, low, high] = [0, 1, 2].map(|at| median[at].get::<f64>().unwrap());
    assert!(low <= high && !(low..=high).contains(&value), "{fields}");
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(
        warning.contains("cells-of-mine") && warning.contains("median"),
        "{warning}"
    );

    for (model, properties) in [
        (&model, &[("check-pictures", "false")][..]),
        (&files.model(&SMALL), &[]),
    ] {
        let (structures, warnings) = reports(model, properties, &frames[..3]);
        assert!(structures.is_empty() && warnings.is_empty(), "{warnings:?}");
    }
}

/// The pictures that were held back from training are alike, those of another kind are not.
#[test]
fn models_know_pictures_of_their_kind() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let kinds = [
        ("nuclei-fluo.int8.onnx", "dsb2018_fluo/images"),
        ("cells-phase-contrast.int8.onnx", "u373_seq01/images"),
        ("membranes-em.int8.onnx", "isbi2012_em/images"),
    ];
    for (name, own) in kinds {
        for (_, folder) in kinds {
            let Some(folder) = data(folder) else { return };
            // The last pictures of a sequence were held back.
            let shown = pictures(&folder, 22).pop().unwrap();
            let (structures, _) = reports(&root.join("models").join(name), &[], &[shown]);
            let alike = structures.is_empty();
            assert_eq!(alike, folder.ends_with(own), "{name}, {}", folder.display());
        }
    }
}
