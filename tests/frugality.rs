//! Many elements in one process: they share what they can, and take nothing while nothing happens.

mod common;

use std::thread;
use std::time::Duration;

use common::process::alone;
use common::{Files, SMALL, cells, element, segment};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::unet::UNet;

const ELEMENTS: u64 = 16;

/// Resident memory of this process in MiB.
#[cfg(target_os = "linux")]
fn resident() -> f64 {
    common::process::memory("VmRSS") as f64 / 1024.0
}

/// Processor time of this process in seconds.
#[cfg(target_os = "linux")]
fn worked() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.map(|task| {
        // A thread that has just ended has no times any more.
        let times = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
        let times = times.unwrap_or_default();
        let first = times.split_whitespace().next();
        first.map_or(0.0, |time| time.parse().unwrap())
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// One model's weights are held once, however many use them.
#[cfg(target_os = "linux")]
#[test]
fn models_of_one_file_share_their_weights() {
    let wide = UNet {
        width: 64,
        depth: 3,
        ..SMALL
    };
    let _alone = alone();
    let files = Files::new();
    common::init();
    let path = files.model(&wide);
    let weights = path.metadata().unwrap().len() as f64 / 1024.0 / 1024.0;
    let open = || {
        let mut model = Model::open(&path, &Options::default()).unwrap();
        let (height, width) = wide.geometry().legal(120, 120).unwrap();
        model.shape(height, width).unwrap();
        model
    };
    let first = open();
    let with_one = resident();
    let others: Vec<Model> = (1..ELEMENTS).map(|_| open()).collect();
    let more = resident() - with_one;
    assert!(
        more < 4.0 * weights,
        "{ELEMENTS} models of {weights:.0} MiB take {more:.0} MiB more than one"
    );
    drop((first, others));
}

/// Also where they run at the same time, they find what each finds alone.
#[test]
fn elements_that_share_a_session_find_the_same_masks() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    let expected: Vec<Vec<u8>> = (0..4)
        .map(|seed| {
            segment(
                &element(&model, &[("threads", "1")]),
                &cells(150, 120, seed),
                150,
                120,
            )
        })
        .collect();
    thread::scope(|scope| {
        for (seed, expected) in (0..).zip(&expected) {
            let model = &model;
            scope.spawn(move || {
                let element = element(model, &[]);
                let mut harness = common::harness(&element, "GRAY8", 150, 120);
                for _ in 0..10 {
                    let frame = common::gray8(&cells(150, 120, seed), 150, 120);
                    let out = harness.push_and_pull(frame).unwrap();
                    assert!(common::mask_of(&out).0 == *expected, "picture {seed}");
                }
            });
        }
    });
}

/// The element's threads and those of ONNX Runtime sleep while a pipeline is paused.
#[cfg(target_os = "linux")]
#[test]
fn paused_pipelines_use_no_processor() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    let pipelines: Vec<gst::Element> = (0..ELEMENTS)
        .map(|_| {
            let text = format!(
                "videotestsrc is-live=true ! video/x-raw,format=GRAY8,width=64,height=48,framerate=20/1 ! \
                 unetsegment model-file={} ! fakesink sync=false",
                model.display()
            );
            gst::parse::launch(&text).unwrap()
        })
        .collect();
    let to = |state| {
        for pipeline in &pipelines {
            pipeline.set_state(state).unwrap();
        }
    };
    to(gst::State::Playing);
    thread::sleep(Duration::from_millis(500));
    let before = worked();
    thread::sleep(Duration::from_millis(500));
    let playing = worked() - before;
    to(gst::State::Paused);
    thread::sleep(Duration::from_millis(500));
    let before = worked();
    thread::sleep(Duration::from_secs(1));
    let paused = worked() - before;
    to(gst::State::Null);
    assert!(playing > 0.05, "nothing worked: {playing:.3} s");
    assert!(paused < 0.02, "{paused:.3} s of work in a second of pause");
}
