//! Which objects count, and the labels that go out.

mod common;

use common::discs::{HEIGHT, WIDTH, finder, frame, labels_of};
use common::watch::{bus_of, messages};
use common::{BRIGHTNESS, Files, bright, brightness, element, error_on, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::contract::{Contract, Geometry, METADATA_KEY, Sizes};
use gstunetsegment::labels::{Connectivity, Labeller, ObjectRules, Split};
use gstunetsegment::unet::UNet;
use gstunetsegment::{mask_meta, onnx};
use prost::Message;

#[test]
fn labels_go_out_and_ride_on_the_frame() {
    let rules = ObjectRules {
        connectivity: Connectivity::Corners,
        fill_holes: true,
        split: Split::Distance,
        min_area: 20,
        exclude_border: true,
        ..ObjectRules::default()
    };
    let properties = [
        ("output", "labels"),
        ("connectivity", "corners"),
        ("fill-holes", "true"),
        ("split", "distance"),
        ("min-area", "20"),
        ("exclude-border", "true"),
    ];
    let (_element, mut harness, _) = finder(&properties);
    let discs = [
        (20.0, 20.0, 9.0),
        (35.0, 20.0, 9.0),
        (70.0, 40.0, 12.0),
        (0.0, 60.0, 8.0),
        (60.0, 10.0, 2.0),
    ];
    let out = harness.push_and_pull(frame(0, &discs)).unwrap();
    let caps = harness.sinkpad().unwrap().current_caps().unwrap();
    assert_eq!(caps.structure(0).unwrap().get("format"), Ok("GRAY16_LE"));
    let labels = labels_of(&out);
    let mut labeller = Labeller::default();
    labeller
        .label(&mask_of(&out).0, None, WIDTH, &rules)
        .unwrap();
    let expected: Vec<u16> = labeller.labels().to_vec();
    assert_eq!(labels, expected);
    // Two that touch and one alone; not the one at the edge, nor the speck.
    assert_eq!(labels.iter().max(), Some(&3));
    let mask = mask_meta::of(&out).unwrap();
    let (on_frame, caps) = mask.labels.unwrap();
    assert_eq!(labels_of(&on_frame), labels);
    assert_eq!(caps.structure(0).unwrap().get("width"), Ok(WIDTH as i32));
}

/// The model of [`brightness`] with a contract that has the threshold of cores.
fn with_cores(core_threshold: Option<f32>) -> Vec<u8> {
    let unet = UNet {
        channels: 1,
        classes: 2,
        width: 1,
        depth: 1,
        padded: true,
    };
    let contract = Contract {
        geometry: Geometry {
            margin: 0,
            halo: 0,
            edge: 0,
            stride: 1,
            sizes: Sizes::Steps { min: 1, step: 1 },
        },
        core_threshold,
        ..unet.contract("brightness")
    };
    let mut model = onnx::Model::decode(brightness().as_slice()).unwrap();
    model.metadata_props = vec![onnx::Entry {
        key: METADATA_KEY.to_owned(),
        value: contract.to_json(),
    }];
    model.encode_to_vec()
}

#[test]
fn objects_grow_from_the_cores_that_model_or_user_ask_for() {
    // Four discs in a row: two with a paler seam between them, and two that are all as pale.
    let picture: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| {
            let (x, y) = ((at % WIDTH) as f64, (at / WIDTH) as f64);
            let is_in = |cx: f64| (x - cx).hypot(y - 30.0) <= 9.0;
            match (is_in(20.0) || is_in(34.0), is_in(56.0) || is_in(80.0)) {
                (true, _) if (x - 27.0).abs() < 1.0 => 135,
                (true, _) => 200,
                (_, true) => 135,
                _ => 20,
            }
        })
        .collect();
    let count = |core_threshold: Option<f32>, properties: &[(&str, &str)]| {
        let files = Files::new();
        let model = files.write("cores.onnx", &with_cores(core_threshold));
        let all = BRIGHTNESS.iter().chain(properties).copied();
        let all: Vec<_> = [("output", "labels")].into_iter().chain(all).collect();
        let mut harness = harness(&element(&model, &all), "GRAY8", WIDTH, HEIGHT);
        let out = harness
            .push_and_pull(gray8(&picture, WIDTH, HEIGHT))
            .unwrap();
        labels_of(&out).into_iter().max().unwrap()
    };
    // The network finds 135 of 255 with a probability of 0.64.
    assert_eq!(count(None, &[]), 3);
    assert_eq!(count(Some(0.8), &[]), 2);
    assert_eq!(count(Some(0.8), &[("split", "off")]), 3);
    assert_eq!(count(None, &[("split", "cores")]), 2);
    let low = ("core-threshold", "0.6");
    assert_eq!(count(None, &[("split", "cores"), low]), 3);
}

/// More objects than 16 bits have numbers for: an error where labels go out, a count where they do not.
#[test]
fn too_many_objects_give_no_wrong_labels() {
    let side = 512;
    let checkered: Vec<u8> = (0..side * side)
        .map(|at| {
            if (at % side + at / side) % 2 == 0 {
                255
            } else {
                0
            }
        })
        .collect();
    let files = Files::new();
    for (output, track, fails) in [
        ("labels", "false", true),
        ("labels", "true", true),
        ("none", "false", false),
        ("none", "true", false),
    ] {
        let properties = [
            ("output", output),
            ("track", track),
            ("post-messages", "true"),
            ("frames-in-flight", "1"),
        ];
        let element = bright(&files, &properties);
        let mut harness = harness(&element, "GRAY8", side, side);
        let bus = bus_of(&element);
        let pushed = harness.push(gray8(&checkered, side, side));
        assert_eq!(pushed.is_err(), fails, "{output} {track}");
        if fails {
            let text = error_on(&bus);
            assert!(
                text.contains("131072 objects") && text.contains("min-area"),
                "{text}"
            );
        } else {
            let posted = messages(&bus, "unetsegment");
            assert_eq!(posted[0].get("objects"), Ok(131_072_u32));
        }
    }
}

/// Frames that are to carry labels pass without them; the stream of labels ends with an error.
#[test]
fn too_many_objects_end_the_stream_of_labels_alone() {
    let side = 512;
    let files = Files::new();
    let properties = [("output", "none"), ("find-objects", "true")];
    let element = bright(&files, &properties);
    let mut frames = harness(&element, "GRAY8", side, side);
    let unetmask = gst::ElementFactory::make("unetmask")
        .property_from_str("what", "labels")
        .build()
        .unwrap();
    let mut labels = harness(&unetmask, "GRAY8", side, side);
    let bus = bus_of(&unetmask);
    let frame = |dots: bool| {
        let dot = |at| dots && (at % side + at / side) % 2 == 0;
        let picture: Vec<u8> = (0..side * side)
            .map(|at| if dot(at) { 255 } else { 0 })
            .collect();
        gray8(&picture, side, side)
    };
    let plain = frames.push_and_pull(frame(false)).unwrap();
    assert_eq!(mask_meta::of(&plain).unwrap().objects, Some(0));
    labels.push(plain).unwrap();
    let full = frames.push_and_pull(frame(true)).unwrap();
    let mask = mask_meta::of(&full).unwrap();
    assert_eq!((mask.objects, mask.labels), (Some(131_072), None));
    assert!(labels.push(full).is_err());
    let text = error_on(&bus);
    assert!(
        text.contains("131072 objects")
            && text.contains("min-area")
            && !text.contains("find-objects"),
        "{text}"
    );
    // The stream of frames continues.
    assert!(frames.push_and_pull(frame(false)).is_ok());
}
