//! A network that is slower than the camera: the frames that it sees, and the masks that the others carry.

mod common;

use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH, frame};
use common::process::alone;
use common::schedulings::{OVERLAPPING, SCHEDULINGS, SEQUENTIAL};
use common::watch::{loads, stats, wait};
use common::{Files, SLOW, SMALL, cells, element, flush, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta::{self, Mask};
use gstunetsegment::unet::UNet;

#[test]
fn frames_pass_at_once_with_the_newest_mask() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SLOW);
    let properties = [
        ("mode", "latest"),
        ("output", "none"),
        ("max-mask-age", "0"),
    ];
    let element = element(&model, &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let mut expected = std::collections::BTreeMap::new();
    let mut number = 0;
    wait("two masks, and a frame without its own", || {
        let sent = frame(number);
        number += 1;
        let out = harness.push_and_pull(sent.copy()).unwrap();
        assert_eq!(out.pts(), sent.pts());
        assert_eq!(*out.map_readable().unwrap(), *sent.map_readable().unwrap());
        if let Some(mask) = mask_meta::of(&out) {
            let of = mask.timestamp.unwrap();
            assert!(of <= out.pts().unwrap());
            assert!(!mask.stale);
            // The same frame's mask is always the same one.
            let pixels = mask_of(&out).0;
            assert_eq!(*expected.entry(of).or_insert(pixels.clone()), pixels);
        }
        expected.len() > 1 && stats(&element, "overtaken") > 0
    });
    let counts = ["in", "out", "dropped"].map(|name| stats(&element, name));
    assert_eq!(counts, [number, number, 0]);
    // They are the masks that the same frames have with mode=sync.
    let waiting = common::element(&model, &[("output", "none")]);
    let mut harness = common::harness(&waiting, "GRAY8", WIDTH, HEIGHT);
    for (time, mask) in expected {
        let out = harness.push_and_pull(frame(time.mseconds() / 40)).unwrap();
        assert!(mask_of(&out).0 == mask, "{time}");
    }
}

/// The network runs twice before its first frame, which is then not the one that it was prepared for.
#[test]
fn the_first_mask_is_that_of_a_new_frame() {
    let _alone = alone();
    let files = Files::new();
    let properties = [("mode", "latest"), ("output", "none"), ("threads", "1")];
    let element = element(&files.model(&SLOW), &properties);
    let mut harness = harness(&element, "GRAY8", 300, 200);
    let picture = cells(300, 200, 1);
    let mut first = None;
    wait("a mask", || {
        let out = harness.push_and_pull(gray8(&picture, 300, 200)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        first = mask_meta::of(&out);
        first.is_some()
    });
    let Mask { age, inference, .. } = first.unwrap();
    assert!(age < 2 * inference, "{age:?} with runs of {inference:?}");
}

#[test]
fn a_stale_mask_is_marked_and_drawn_as_such() {
    let _alone = alone();
    let files = Files::new();
    let properties = [
        ("mode", "latest"),
        ("inference-interval", "100000"),
        ("max-mask-age", "100"),
    ];
    let element = element(&files.model(&SMALL), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    // The next frame with a mask of which this holds, and the mask.
    let mut next = |what: &str, holds: &dyn Fn(&Mask) -> bool| {
        let mut found = None;
        wait(what, || {
            let out = harness.push_and_pull(frame(0)).unwrap();
            let mask = mask_meta::of(&out).filter(holds);
            found = mask.map(|mask| (out, mask));
            found.is_some()
        });
        found.unwrap()
    };
    let limit = Duration::from_millis(100);
    let (_, mask) = next("a mask", &|_| true);
    assert!(!mask.stale || mask.age > limit, "{mask:?}");
    let (old, mask) = next("a stale mask", &|mask| mask.stale);
    assert!(mask.age > limit, "{mask:?}");
    let first_row = |buffer: &gst::Buffer| {
        let row = buffer.map_readable().unwrap()[..4 * WIDTH].to_vec();
        row.chunks_exact(4)
            .filter(|pixel| pixel[..3] == [255, 140, 0])
            .count()
    };
    assert!(first_row(&old) > WIDTH / 4, "no stripes");
    element.set_property("max-mask-age", 0_u32);
    let any = harness.push_and_pull(frame(0)).unwrap();
    assert!(!mask_meta::of(&any).unwrap().stale);
    assert_eq!(first_row(&any), 0);
}

#[test]
fn the_network_sees_every_third_frame() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [("inference-interval", "3"), ("output", "probability")];
    for scheduling in [SEQUENTIAL, OVERLAPPING] {
        let (element, mut harness, _bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
        for number in 0..9 {
            let out = harness.push_and_pull(frame(number)).unwrap();
            let mask = mask_meta::of(&out).unwrap();
            assert_eq!(mask.timestamp, frame(number / 3 * 3).pts());
            assert_eq!(mask.age.is_zero(), number % 3 == 0, "{number}");
        }
        assert_eq!(stats(&element, "frames"), 3);
    }
}

/// However rarely the network sees a frame, it sees the first one after a flush, and a new model its first.
#[test]
fn the_first_frame_after_a_flush_or_a_swap_is_seen() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [
        ("inference-interval", "1000"),
        ("output", "none"),
        ("max-mask-age", "0"),
    ];
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
        // The time of the frame whose mask a frame carries, once the network has seen as many.
        let seen = |harness: &mut Harness, number: u64, frames: u64| {
            let out = harness.push_and_pull(frame(number)).unwrap();
            if !scheduling.is_latest() {
                return mask_meta::of(&out).unwrap().timestamp;
            }
            wait("the network", || stats(&element, "frames") == frames);
            let mut of = None;
            wait("its mask", || {
                let out = harness.push_and_pull(frame(number + 1)).unwrap();
                of = mask_meta::of(&out).map(|mask| mask.timestamp);
                of.is_some()
            });
            of.flatten()
        };
        assert_eq!(seen(&mut harness, 0, 1), frame(0).pts(), "{scheduling}");
        flush(&mut harness);
        assert_eq!(seen(&mut harness, 7, 2), frame(7).pts(), "{scheduling}");
        element.set_property("model-file", model.to_str().unwrap());
        let mut number = 10;
        wait("the swap", || {
            number += 2;
            let of = harness.push_and_pull(frame(number)).unwrap();
            let done = loads(&bus).iter().any(|(loaded, _)| *loaded);
            if done && !scheduling.is_latest() {
                let mask = mask_meta::of(&of).unwrap();
                assert_eq!(mask.timestamp, frame(number).pts(), "{scheduling}");
            }
            done
        });
        wait("a mask of the new model", || stats(&element, "frames") == 3);
    }
}

/// Frames do not wait while the network prepares after a start or a change of caps, and it interrupts its work on the
/// old caps.
#[test]
fn other_caps_do_not_wait_for_the_network() {
    let _alone = alone();
    let files = Files::new();
    // Half a second for a frame, or more.
    let model = files.model(&UNet {
        width: 24,
        depth: 3,
        ..SMALL
    });
    let properties = [
        ("mode", "latest"),
        ("output", "none"),
        ("max-mask-age", "0"),
        ("tile-size", "256"),
    ];
    let element = element(&model, &properties);
    element.set_state(gst::State::Playing).unwrap();
    wait("the model", || {
        element
            .property::<Option<String>>("active-provider")
            .is_some()
    });
    let start = Instant::now();
    let mut harness = harness(&element, "GRAY8", 360, 360);
    let mut held = Vec::new();
    let mut push = |harness: &mut Harness, side: usize| {
        std::thread::sleep(Duration::from_millis(10));
        let picture = gray8(&cells(side, side, 1), side, side);
        let start = Instant::now();
        let out = harness.push_and_pull(picture).unwrap();
        held.push(start.elapsed());
        mask_meta::of(&out).map(|mask| assert_eq!(mask.mask.size(), side * side))
    };
    push(&mut harness, 360);
    let first = start.elapsed();
    wait("a mask", || push(&mut harness, 360).is_some());
    let whole = start.elapsed();
    assert!(first < whole / 3, "{first:?} of {whole:?}");
    for side in [300, 360] {
        // The network is at work on a frame of the old caps.
        std::thread::sleep(whole / 10);
        let caps = common::info("GRAY8", side, side).to_caps().unwrap();
        let start = Instant::now();
        assert!(harness.push_event(gst::event::Caps::new(&caps)));
        let took = start.elapsed();
        assert!(took < whole / 5, "{took:?} of {whole:?}");
        assert!(push(&mut harness, side).is_none());
        wait("a mask", || push(&mut harness, side).is_some());
    }
    println!("{whole:?}");
    let most = held.iter().max().unwrap();
    assert!(*most < whole / 5, "{most:?} of {whole:?}");
}

/// Recorded frames are no further apart for a pause of the pipeline.
#[test]
fn a_pause_makes_no_mask_stale_that_frames_wait_for() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [
        ("inference-interval", "10"),
        ("output", "none"),
        ("max-mask-age", "100"),
    ];
    for scheduling in [SEQUENTIAL, OVERLAPPING] {
        let (_element, mut harness, _bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
        drop(harness.push_and_pull(frame(0)).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        let out = harness.push_and_pull(frame(1)).unwrap();
        let mask = mask_meta::of(&out).unwrap();
        assert_eq!(mask.age, Duration::from_millis(40), "{scheduling}");
        assert!(!mask.stale, "{scheduling}");
        let out = harness.push_and_pull(frame(9)).unwrap();
        assert!(mask_meta::of(&out).unwrap().stale, "{scheduling}");
    }
}
