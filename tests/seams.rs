//! Tiles leave no seams: the mask is that of one run over the whole frame, pixel for pixel.

mod common;

use std::path::Path;

use common::schedulings::SCHEDULINGS;
use common::watch::{bus_of, model_hash, stats, wait, warnings};
use common::{Files, SMALL, append, data, element, foreign, gray8, pictures, segment};
use gstreamer::prelude::*;
use gstunetsegment::onnx;
use gstunetsegment::unet::UNet;

const VALID: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 2,
    depth: 4,
    padded: false,
};

const PADDED: UNet = UNet {
    padded: true,
    ..VALID
};

/// The masks of `frames` by tiles of `size` pixels; 0: by one tile for the whole frame.
fn masks(model: &Path, size: usize, frames: &[(Vec<u8>, usize, usize)]) -> Vec<Vec<u8>> {
    let size = size.to_string();
    let properties = [
        ("tile-size", size.as_str()),
        ("tile-memory", "100000"),
        ("output", "none"),
    ];
    let element = element(model, &properties);
    frames
        .iter()
        .map(|(picture, width, height)| segment(&element, picture, *width, *height))
        .collect()
}

fn no_pixel_differs(frames: &[(Vec<u8>, usize, usize)], sizes: &[usize]) {
    let files = Files::new();
    for unet in [VALID, PADDED] {
        let model = files.model(&unet);
        let whole = masks(&model, 0, frames);
        for mask in &whole {
            let foreground = mask.iter().filter(|class| **class == 1).count();
            let share = foreground as f64 / mask.len() as f64;
            assert!(
                (0.02..0.98).contains(&share),
                "a mask of one class shows no seam: {share}"
            );
        }
        for &size in sizes {
            for (index, (tiled, whole)) in
                masks(&model, size, frames).iter().zip(&whole).enumerate()
            {
                let differing = tiled.iter().zip(whole).filter(|(a, b)| a != b).count();
                assert_eq!(differing, 0, "frame {index}, tiles of {size}, {unet:?}");
            }
        }
    }
}

#[test]
fn generated_pictures_have_no_seams() {
    let frames = [(300, 200), (161, 97), (64, 230)]
        .map(|(width, height)| (common::cells(width, height, 3), width, height));
    no_pixel_differs(&frames, &[16, 64, 100, 128]);
}

/// The last of them has room for more tiles than there are.
#[test]
fn batches_of_tiles_leave_no_seams() {
    let files = Files::new();
    let (width, height) = (300, 200);
    let picture = common::cells(width, height, 3);
    for unet in [VALID, PADDED] {
        let model = files.model(&unet);
        let found = |properties: &[(&str, &str)]| {
            let element = element(&model, properties);
            let mask = segment(&element, &picture, width, height);
            (mask, stats(&element, "runs"))
        };
        let (expected, tiles) = found(&[("tile-size", "64")]);
        assert!(tiles > 4, "{tiles} tiles");
        for batch in [2, 4, 256] {
            let size = batch.to_string();
            let batched = found(&[("tile-size", "64"), ("batch-size", &size)]);
            let runs = tiles.div_ceil(batch);
            assert_eq!(batched, (expected.clone(), runs), "{batch}, {unet:?}");
        }
    }
}

#[test]
fn real_frames_have_no_seams() {
    let Some(folder) = data("u373_video/images") else {
        return;
    };
    no_pixel_differs(&pictures(&folder, 20), &[128, 256, 388]);
}

/// The text of the warning about a model with tiles of `size` on a picture of 200 x 140 pixels.
fn warning(bytes: &[u8], size: &str) -> Option<String> {
    let files = Files::new();
    let element = element(&files.write("model.onnx", bytes), &[("tile-size", size)]);
    let bus = bus_of(&element);
    segment(&element, &common::cells(200, 140, 1), 200, 140);
    warnings(&bus).into_iter().next()
}

#[test]
fn unavoidable_seams_are_reported() {
    let normalising = foreign(&SMALL, |graph| append(graph, "InstanceNormalization"));
    assert_eq!(warning(&normalising, "0"), None);
    let text = warning(&normalising, "32").unwrap();
    assert!(text.contains("InstanceNormalization"), "{text}");
    // A fixed size without room for the halo of a tile.
    let fixed = |size| {
        foreign(&PADDED, |graph| {
            for axis in [2, 3] {
                let tensor = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut();
                let shape = tensor.unwrap().shape.as_mut().unwrap();
                shape.dim[axis].extent = Some(onnx::Extent::Value(size));
            }
        })
    };
    let text = warning(&fixed(128), "0").unwrap();
    assert!(text.contains("one fixed size"), "{text}");
    assert_eq!(warning(&fixed(512), "0"), None);
}

#[test]
fn tiles_that_are_far_too_small_are_reported() {
    let model = foreign(&PADDED, |_| ());
    assert_eq!(warning(&model, "64"), None);
    let text = warning(&model, "4").unwrap();
    assert!(text.contains("raise tile-size"), "{text}");
    let (width, height) = (333, 217);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cells-phase-contrast.int8.onnx");
    for (memory, expected) in [("64", None), ("1", Some("raise tile-memory"))] {
        let element = element(&model, &[("tile-memory", memory)]);
        let bus = bus_of(&element);
        segment(&element, &common::cells(width, height, 1), width, height);
        let warnings = warnings(&bus);
        let found = warnings
            .iter()
            .find(|text| text.contains("tiles are so small"));
        assert_eq!(found.is_some(), expected.is_some(), "{warnings:?}");
        assert!(
            found.is_none_or(|text| text.contains(expected.unwrap())),
            "{found:?}"
        );
    }
}

/// Once, when it replaces one without seams.
#[test]
fn seams_of_another_model_are_reported() {
    let files = Files::new();
    let first = files.model(&SMALL);
    let normalising = foreign(&SMALL, |graph| append(graph, "InstanceNormalization"));
    let second = files.write("normalising.onnx", &normalising);
    let (width, height) = (200, 140);
    let picture = common::cells(width, height, 1);
    let properties = [("tile-size", "32"), ("output", "none")];
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) = scheduling.start(&first, &properties, (width, height));
        let mut push = || {
            drop(
                harness
                    .push_and_pull(gray8(&picture, width, height))
                    .unwrap(),
            )
        };
        let inferred = |push: &mut dyn FnMut(), frames: u64| {
            let before = stats(&element, "frames");
            wait("the network", || {
                push();
                stats(&element, "frames") >= before + frames
            });
        };
        inferred(&mut push, 2);
        assert!(warnings(&bus).is_empty(), "{scheduling}");
        let before = model_hash(&element);
        element.set_property("model-file", second.to_str().unwrap());
        wait("the other model", || {
            push();
            model_hash(&element) != before
        });
        inferred(&mut push, 3);
        let posted = warnings(&bus);
        assert_eq!(posted.len(), 1, "{scheduling}: {posted:?}");
        assert!(posted[0].contains("InstanceNormalization"), "{posted:?}");
    }
}
