//! Elements with one model share its session. If it fails for one of them, it makes no masks for the others either.

mod common;

use std::path::PathBuf;

use common::frames::{HEIGHT, WIDTH};
use common::watch::{bus_of, has_failed, warnings};
use common::{BRIGHTNESS, Files, SMALL, brightness, element, gray8, harness};
use gstreamer as gst;
use gstunetsegment::inference::{Model, ModelError, Options};
use gstunetsegment::mask_meta;
use gstunetsegment::onnx;
use prost::Message;

/// A model whose scores are infinite where a pixel has more than 204 of 255 counts. To be used with the properties
/// [`BRIGHTNESS`].
fn overflowing(files: &Files) -> PathBuf {
    let mut model = onnx::Model::decode(brightness().as_slice()).unwrap();
    let tensor = |name: &str, dims: &[i64], values: &[f32]| {
        onnx::Tensor::of_floats(name.into(), dims, values)
    };
    model.graph.as_mut().unwrap().initializer = vec![
        tensor("weight", &[2, 1, 1, 1], &[0.0, 3e38]),
        tensor("bias", &[2], &[0.0, 1e38]),
    ];
    files.write("overflowing.onnx", &model.encode_to_vec())
}

/// A picture of one value.
fn even(value: u8) -> gst::Buffer {
    gray8(&[value; WIDTH * HEIGHT], WIDTH, HEIGHT)
}

#[test]
fn a_session_that_has_failed_for_one_model_runs_for_no_other() {
    common::init();
    let files = Files::new();
    let path = files.model(&SMALL);
    let open = || Model::open(&path, &Options::default()).unwrap();
    let (mut one, mut other) = (open(), open());
    assert!(one.shares_session_with(&other));
    let (height, width) = SMALL.geometry().legal(64, 64).unwrap();
    for model in [&mut one, &mut other] {
        model.shape(height, width).unwrap();
        model.run().unwrap();
    }
    one.input().fill(f32::NAN);
    assert!(matches!(one.run(), Err(ModelError::NotFinite { .. })));
    assert!(matches!(other.run(), Err(ModelError::SharedFault { .. })));
    // It was not another model that has failed.
    one.input().fill(0.0);
    assert!(matches!(one.run(), Err(ModelError::Run { .. })));
    let mut again = open();
    assert!(!again.shares_session_with(&other));
    again.shape(height, width).unwrap();
    again.run().unwrap();
}

#[test]
fn an_element_gets_another_session_when_its_own_fails_for_another_element() {
    let files = Files::new();
    let model = overflowing(&files);
    let more = [("frames-in-flight", "1"), ("on-error", "passthrough")];
    let start = || {
        let element = element(&model, &[&BRIGHTNESS[..], &more].concat());
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let dark = harness.push_and_pull(even(100)).unwrap();
        assert!(mask_meta::of(&dark).is_some());
        (element, harness, bus)
    };
    let (_failing, mut failing, bus_of_failing) = start();
    let (_sound, mut sound, bus_of_sound) = start();
    let bright = failing.push_and_pull(even(255)).unwrap();
    assert!(mask_meta::of(&bright).is_none());
    let posted = warnings(&bus_of_failing);
    assert!(
        posted.len() == 1 && posted[0].contains("no masks from now on"),
        "{posted:?}"
    );
    for _ in 0..3 {
        let dark = sound.push_and_pull(even(100)).unwrap();
        assert!(mask_meta::of(&dark).is_some());
    }
    let posted = warnings(&bus_of_sound);
    assert!(
        posted.len() == 1 && posted[0].contains("reloaded") && posted[0].contains("another user"),
        "{posted:?}"
    );
    assert!(!has_failed(&bus_of_failing) && !has_failed(&bus_of_sound));
}

/// Smaller tiles are tried in the session that there is: a second one would take more memory still.
#[test]
#[cfg(target_os = "linux")]
fn a_session_that_lacked_memory_is_shared_as_before() {
    // Its limit is not to be used up by what the allocator has for each thread.
    let variables = [("MALLOC_ARENA_MAX", "1")];
    common::process::run_child("child_that_lacks_memory", &variables);
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "a part of a_session_that_lacked_memory_is_shared_as_before, which runs it in a process of its own"]
fn child_that_lacks_memory() {
    if !common::process::is_child() {
        return;
    }
    common::init();
    let files = Files::new();
    let unet = gstunetsegment::unet::UNet { width: 16, ..SMALL };
    let path = files.model(&unet);
    let open = || Model::open(&path, &Options::default()).unwrap();
    let mut model = open();
    let taken = common::process::memory("VmSize") << 10;
    // Too little for the first layer's answer for the large tile, 244 MiB, and far more than the small one needs.
    common::process::limit_address_space(taken + (224 << 20));
    let (height, width) = unet.geometry().legal(2000, 2000).unwrap();
    let error = model.shape(height, width).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert!(model.shares_session_with(&open()));
    let (height, width) = unet.geometry().legal(64, 64).unwrap();
    model.shape(height, width).unwrap();
    model.run().unwrap();
}
