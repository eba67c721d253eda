//! A network that is slower than the camera, and models that change while frames flow.

mod common;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::watch::{bus_of, messages, stats, wait};
use common::{Files, SMALL, cells, element, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

const WIDTH: usize = 90;
const HEIGHT: usize = 61;

fn frame(number: u64) -> gst::Buffer {
    let mut buffer = gray8(&cells(WIDTH, HEIGHT, number), WIDTH, HEIGHT);
    let time = gst::ClockTime::from_mseconds(40 * number);
    buffer.get_mut().unwrap().set_pts(time);
    buffer
}

/// A network that takes a while for a frame.
fn slow(files: &Files) -> PathBuf {
    files.model(&UNet {
        width: 32,
        depth: 3,
        ..SMALL
    })
}

#[test]
fn frames_pass_at_once_with_the_newest_mask() {
    let files = Files::new();
    let model = slow(&files);
    let properties = [
        ("mode", "latest"),
        ("output", "none"),
        ("max-mask-age", "0"),
    ];
    let element = element(&model, &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let mut expected = std::collections::BTreeMap::new();
    let mut with_mask = 0;
    for number in 0..200 {
        let sent = frame(number);
        let out = harness.push_and_pull(sent.copy()).unwrap();
        assert_eq!(out.pts(), sent.pts());
        assert_eq!(*out.map_readable().unwrap(), *sent.map_readable().unwrap());
        if let Some(mask) = mask_meta::of(&out) {
            with_mask += 1;
            let of = mask.timestamp.unwrap();
            assert!(of <= out.pts().unwrap());
            assert!(!mask.stale);
            // The same frame's mask is always the same one.
            let pixels = mask_of(&out).0;
            assert_eq!(*expected.entry(of).or_insert(pixels.clone()), pixels);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(
        with_mask > 0 && expected.len() > 1,
        "{with_mask} {}",
        expected.len()
    );
    assert_eq!((stats(&element, "in"), stats(&element, "out")), (200, 200));
    assert_eq!(stats(&element, "dropped"), 0);
    assert!(stats(&element, "overtaken") > 0, "the network kept up");
    // Masks are those that the same frames have where they wait for them.
    let waiting = common::element(&model, &[("output", "none")]);
    let mut harness = common::harness(&waiting, "GRAY8", WIDTH, HEIGHT);
    for (time, mask) in expected {
        let out = harness.push_and_pull(frame(time.mseconds() / 40)).unwrap();
        assert!(mask_of(&out).0 == mask, "{time}");
    }
}

#[test]
fn an_old_mask_says_so_and_looks_so() {
    let files = Files::new();
    let properties = [
        ("mode", "latest"),
        ("inference-interval", "1000"),
        ("max-mask-age", "100"),
    ];
    let element = element(&files.model(&SMALL), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    drop(harness.push_and_pull(frame(0)).unwrap());
    wait("a mask", || stats(&element, "frames") == 1);
    std::thread::sleep(Duration::from_millis(20));
    let fresh = harness.push_and_pull(frame(0)).unwrap();
    let mask = mask_meta::of(&fresh).unwrap();
    assert!(!mask.stale || mask.age > Duration::from_millis(100));
    std::thread::sleep(Duration::from_millis(120));
    let old = harness.push_and_pull(frame(0)).unwrap();
    let mask = mask_meta::of(&old).unwrap();
    assert!(
        mask.stale && mask.age > Duration::from_millis(100),
        "{mask:?}"
    );
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

/// Frames that went out, and that were dropped, as the last message on `bus` tells that is about it.
fn dropped(bus: &gst::Bus) -> Option<(i64, i64)> {
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos]));
    let told = messages.map(|message| match message.view() {
        gst::MessageView::Qos(qos) => {
            let (out, dropped) = qos.stats();
            (out.value(), dropped.value())
        }
        _ => unreachable!(),
    });
    told.last()
}

#[test]
fn what_a_flush_throws_away_is_told() {
    let files = Files::new();
    let element = element(&slow(&files), &[("frames-in-flight", "4")]);
    let bus = gst::Bus::new();
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    element.set_bus(Some(&bus));
    let pad = element.static_pad("sink").unwrap();
    drop(harness.push_and_pull(frame(0)).unwrap());
    for number in 1..4 {
        harness.push(frame(number)).unwrap();
    }
    assert!(pad.send_event(gst::event::FlushStart::new()));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    let told = dropped(&bus).expect("a message");
    let [out, dropped] = ["out", "dropped"].map(|name| stats(&element, name) as i64);
    assert_eq!(told, (out, dropped));
    assert_eq!(out + dropped, 4);
}

#[test]
fn without_a_mask_none_goes_out() {
    let files = Files::new();
    let model = slow(&files);
    for (output, format, passes) in [
        ("overlay", "GRAY8", true),
        ("none", "GRAY8", true),
        ("mask", "GRAY8", false),
    ] {
        let element = element(&model, &[("mode", "latest"), ("output", output)]);
        let bus = gst::Bus::new();
        let mut harness = harness(&element, format, WIDTH, HEIGHT);
        element.set_bus(Some(&bus));
        harness.push(frame(0)).unwrap();
        assert_eq!(dropped(&bus), (!passes).then_some((0, 1)), "{output}");
        let out = harness.try_pull();
        assert_eq!(out.is_some(), passes, "{output}");
        if let Some(out) = out {
            assert!(mask_meta::of(&out).is_none(), "{output}");
        }
        assert_eq!(stats(&element, "dropped"), u64::from(!passes), "{output}");
    }
}

#[test]
fn the_network_sees_every_third_frame() {
    let files = Files::new();
    for in_flight in ["1", "2"] {
        let properties = [
            ("inference-interval", "3"),
            ("output", "probability"),
            ("frames-in-flight", in_flight),
        ];
        let element = element(&files.model(&SMALL), &properties);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        for number in 0..9 {
            let out = harness.push_and_pull(frame(number)).unwrap();
            let mask = mask_meta::of(&out).unwrap();
            assert_eq!(mask.timestamp, frame(number / 3 * 3).pts());
            assert_eq!(mask.age.is_zero(), number % 3 == 0, "{number}");
        }
        assert_eq!(stats(&element, "frames"), 3);
    }
}

/// Frames that downstream can't show in time are left out, counted and told.
#[test]
fn late_frames_are_dropped_and_told() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let bus = gst::Bus::new();
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    element.set_bus(Some(&bus));
    drop(harness.push_and_pull(frame(0)).unwrap());
    let late = gst::event::Qos::new(
        gst::QOSType::Underflow,
        2.0,
        40_000_000,
        gst::ClockTime::from_mseconds(40),
    );
    harness.push_upstream_event(late);
    for number in 1..=5 {
        harness.push(frame(number)).unwrap();
    }
    let times: Vec<_> = (0..3)
        .map(|_| harness.pull().unwrap().pts().unwrap().mseconds())
        .collect();
    assert_eq!(times, [120, 160, 200]);
    assert_eq!((stats(&element, "in"), stats(&element, "out")), (6, 4));
    assert_eq!(
        (stats(&element, "dropped"), stats(&element, "late")),
        (2, 2)
    );
    let told = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos]));
    let dropped = told.map(|message| match message.view() {
        gst::MessageView::Qos(qos) => {
            let (out, dropped) = qos.stats();
            (qos.timestamp(), out.value(), dropped.value())
        }
        _ => unreachable!(),
    });
    let expected = [1, 2].map(|n: i64| (frame(n as u64).pts(), 1, n));
    assert_eq!(dropped.collect::<Vec<_>>(), expected);
    element.set_property("qos", false);
    harness.push(frame(1)).unwrap();
    assert_eq!(harness.pull().unwrap().pts(), frame(1).pts());
}

/// Messages name frames by the order in which they came, whatever became of those before.
#[test]
fn frames_are_numbered_as_they_come_in() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let told = |bus: &gst::Bus| {
        let reports = messages(bus, "unetsegment").into_iter();
        reports
            .map(|fields| {
                let timestamp: u64 = fields.get("timestamp").unwrap();
                (fields.get::<u64>("frame").unwrap(), timestamp)
            })
            .collect::<Vec<_>>()
    };
    let start = |mode: &str, output: &str| {
        let properties = [
            ("mode", mode),
            ("output", output),
            ("post-messages", "true"),
        ];
        let element = element(&model, &properties);
        let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        (element, harness, bus)
    };
    // Where maps go out, the first frames do not.
    let (element, mut harness, bus) = start("latest", "mask");
    let mut number = 0;
    wait("a mask", || {
        harness.push(frame(number)).unwrap();
        number += 1;
        stats(&element, "out") > 1
    });
    let messages = told(&bus);
    assert!(messages.len() > 1 && messages[0].0 > 0, "{messages:?}");
    for (frame, timestamp) in messages {
        assert_eq!(timestamp, 40_000_000 * frame);
    }
    // Neither do late ones.
    let (_element, mut harness, bus) = start("sync", "none");
    drop(harness.push_and_pull(frame(0)).unwrap());
    let late = gst::event::Qos::new(
        gst::QOSType::Underflow,
        2.0,
        40_000_000,
        gst::ClockTime::from_mseconds(40),
    );
    harness.push_upstream_event(late);
    for number in 1..=4 {
        harness.push(frame(number)).unwrap();
    }
    drop([harness.pull().unwrap(), harness.pull().unwrap()]);
    assert_eq!(
        told(&bus),
        [0, 3, 4].map(|number| (number, 40_000_000 * number))
    );
}

/// The element messages about models on `bus`: whether each was loaded, and why not.
fn swaps(bus: &gst::Bus) -> Vec<(bool, String)> {
    let of_models = messages(bus, "unetsegment-model").into_iter();
    of_models
        .map(|structure| {
            let loaded = structure.get("loaded").unwrap();
            (loaded, structure.get("reason").unwrap_or_default())
        })
        .collect()
}

fn masks(harness: &mut Harness, frames: u64) -> Vec<Vec<u8>> {
    (0..frames)
        .map(|number| mask_of(&harness.push_and_pull(frame(number)).unwrap()).0)
        .collect()
}

#[test]
fn another_model_takes_its_place_between_two_frames() {
    let files = Files::new();
    let first = files.model(&SMALL);
    let second = files.model(&UNet {
        width: 8,
        padded: true,
        ..SMALL
    });
    let broken = files.write("broken.onnx", b"no model");
    for mode in ["sync", "latest"] {
        let element = element(&first, &[("mode", mode), ("output", "none")]);
        let bus = gst::Bus::new();
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        element.set_bus(Some(&bus));
        let hash = || -> String {
            let stats: gst::Structure = element.property("stats");
            stats.get("model-hash").unwrap()
        };
        let mut flow_until = |what: &str, mut done: Box<dyn FnMut() -> bool + '_>| {
            wait(what, || {
                let out = harness.push_and_pull(frame(1)).unwrap();
                assert_eq!(
                    *out.map_readable().unwrap(),
                    *frame(1).map_readable().unwrap()
                );
                done()
            });
        };
        let before = hash();
        let mut told = Vec::new();
        element.set_property("model-file", broken.to_str().unwrap());
        flow_until(
            "the refusal",
            Box::new(|| {
                told.extend(swaps(&bus));
                !told.is_empty()
            }),
        );
        assert!(
            !told[0].0 && told[0].1.contains("broken.onnx is not an ONNX file"),
            "{told:?}"
        );
        assert_eq!(hash(), before);
        assert_eq!(
            element.property::<String>("model-file"),
            first.to_str().unwrap()
        );
        element.set_property("model-file", second.to_str().unwrap());
        flow_until("the swap", Box::new(|| hash() != before));
        wait("the message", || {
            told.extend(swaps(&bus));
            told.len() > 1
        });
        assert_eq!(told[1..], [(true, String::new())]);
        if mode == "sync" {
            let found = masks(&mut harness, 3);
            let other = common::element(&second, &[("output", "none")]);
            let expected = masks(&mut common::harness(&other, "GRAY8", WIDTH, HEIGHT), 3);
            assert!(found == expected, "masks are not those of the second model");
        }
        let stats: gst::Structure = element.property("stats");
        assert_eq!(
            stats.get::<u64>("in").unwrap(),
            stats.get::<u64>("out").unwrap()
        );
        assert!(
            bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Warning])
                .is_none()
        );
    }
}

/// A flush, an end or a stop does not wait for the network.
#[test]
fn what_the_network_does_is_ended() {
    let files = Files::new();
    // Seconds for a frame.
    let model = files.model(&UNet {
        width: 48,
        depth: 3,
        ..SMALL
    });
    let size = 800;
    for in_flight in ["1", "3"] {
        let element = element(
            &model,
            &[("frames-in-flight", in_flight), ("tile-size", "256")],
        );
        let mut harness = harness(&element, "GRAY8", size, size);
        let pad = element.static_pad("sink").unwrap();
        let picture = cells(size, size, 1);
        let whole = Instant::now();
        drop(harness.push_and_pull(gray8(&picture, size, size)).unwrap());
        let whole = whole.elapsed();
        for _ in 0..3 {
            let sent = pad.clone();
            let buffer = gray8(&picture, size, size);
            let pushing = std::thread::spawn(move || sent.chain(buffer));
            std::thread::sleep(whole / 10);
            let start = Instant::now();
            assert!(pad.send_event(gst::event::FlushStart::new()));
            let pushed = pushing.join().unwrap();
            assert!(pad.send_event(gst::event::FlushStop::new(true)));
            let ended = start.elapsed();
            assert!(ended < whole / 2, "{ended:?} of {whole:?}, {pushed:?}");
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            assert!(harness.push_event(gst::event::Segment::new(&segment)));
        }
        let sent = pad.clone();
        let buffer = gray8(&picture, size, size);
        let pushing = std::thread::spawn(move || sent.chain(buffer));
        std::thread::sleep(whole / 10);
        let start = Instant::now();
        element.set_state(gst::State::Null).unwrap();
        assert!(start.elapsed() < whole / 2);
        let _ = pushing.join().unwrap();
    }
}

/// What the network gives up so that masks are not late, in the promised order; and that it all comes back.
#[test]
fn a_latency_is_held_at_the_price_that_is_told() {
    let files = Files::new();
    let model = files.model(&UNet {
        padded: true,
        width: 24,
        ..SMALL
    });
    let tiles = [("tile-size", "32"), ("blend", "average")];
    let of_this = |properties: &[(&str, &str)]| element(&model, properties);
    let whole = of_this(&tiles);
    let expected = common::segment(&whole, &cells(WIDTH, HEIGHT, 0), WIDTH, HEIGHT);
    for mode in ["sync", "latest"] {
        let element = of_this(&[tiles[0], tiles[1], ("mode", mode)]);
        let bus = gst::Bus::new();
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        element.set_bus(Some(&bus));
        drop(harness.push_and_pull(frame(0)).unwrap());
        // One that nothing can hold: the time of a frame is more than none.
        element.set_property("max-latency", 1_u32);
        let told = || {
            let messages = std::iter::from_fn(|| bus.pop());
            let structures = messages.filter_map(|message| Some(message.structure()?.to_owned()));
            structures.filter(|fields| fields.name() != "unetsegment")
        };
        let (mut steps, mut warned) = (Vec::new(), false);
        let mut number = 0;
        let mut push = |harness: &mut Harness| {
            number += 1;
            // As with a camera that does not wait.
            drop(harness.push_and_pull(frame(number)).unwrap());
        };
        wait("all given up", || {
            push(&mut harness);
            let (of_pace, others): (Vec<_>, Vec<_>) =
                told().partition(|fields| fields.name() == "unetsegment-latency");
            steps.extend(of_pace);
            warned |= others
                .iter()
                .any(|fields| fields.name() == "GstMessageWarning");
            warned
        });
        let held = |step: &gst::Structure| step.get::<bool>("held").unwrap();
        assert!(
            !held(steps.last().unwrap()) && held(&steps[0]),
            "{mode}: {steps:?}"
        );
        let values = |name: &str| -> Vec<u32> {
            let values = steps.iter().map(|step| step.get::<u32>(name).unwrap());
            values.collect()
        };
        let (intervals, overlaps) = (values("inference-interval"), values("overlap"));
        let averaging: Vec<bool> = steps
            .iter()
            .map(|step| step.get("averaging").unwrap())
            .collect();
        assert!(intervals.is_sorted(), "{mode}: {intervals:?}");
        assert!(overlaps.is_sorted_by(|a, b| a >= b), "{mode}: {overlaps:?}");
        assert_eq!(overlaps.last(), Some(&0), "{mode}: {overlaps:?}");
        // Averaging goes before overlap.
        for (averages, overlap) in averaging.iter().zip(&overlaps) {
            assert!(!averages || overlap == &overlaps[0], "{mode}: {steps:?}");
        }
        assert!(!averaging.last().unwrap(), "{mode}");

        element.set_property("max-latency", 0_u32);
        let mut back = Vec::new();
        wait("all taken back", || {
            push(&mut harness);
            back.extend(told().filter(|fields| fields.name() == "unetsegment-latency"));
            !back.is_empty()
        });
        let now = &back[0];
        assert_eq!(now.get("inference-interval"), Ok(1_u32), "{mode}");
        assert_eq!(now.get("averaging"), Ok(true), "{mode}");
        assert_eq!(now.get::<u32>("overlap").unwrap(), overlaps[0], "{mode}");
        wait("the mask of before", || {
            let out = harness.push_and_pull(frame(0)).unwrap();
            mask_meta::of(&out).is_some() && mask_of(&out).0 == expected
        });
    }
}

/// What can be held is held: of a camera that is faster than the network.
#[test]
fn a_latency_that_can_be_held_is_held() {
    let files = Files::new();
    let properties = [("frames-in-flight", "4"), ("output", "none")];
    let element = element(&slow(&files), &properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    let mut times: Vec<Duration> = (0..9)
        .map(|number| {
            let start = Instant::now();
            drop(harness.push_and_pull(frame(number)).unwrap());
            start.elapsed()
        })
        .collect();
    times.sort();
    let alone = times[4];
    // From the arrival of each frame to its way out, in their order.
    let came: Arc<Mutex<VecDeque<Instant>>> = Arc::default();
    let late: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let noted = came.clone();
    let note = move || noted.lock().unwrap().push_back(Instant::now());
    on_frames(&element, "sink", note);
    let noted = late.clone();
    let note = move || {
        let came = came.lock().unwrap().pop_front().unwrap();
        noted.lock().unwrap().push(came.elapsed());
    };
    on_frames(&element, "src", note);
    // How late most of some frames are.
    let mut usual = |frames: u64| {
        for number in 0..frames {
            harness.push(frame(number)).unwrap();
            while harness.try_pull().is_some() {}
            std::thread::sleep(alone / 3);
        }
        let mut late = std::mem::take(&mut *late.lock().unwrap());
        late.sort();
        late[late.len() / 2]
    };
    let before = usual(24);
    // Less than frames are late by themselves, and more than one takes.
    let limit = before.mul_f64(0.7);
    assert!(limit > alone, "{before:?}: the network keeps up, {alone:?}");
    element.set_property("max-latency", limit.as_millis() as u32);
    wait("masks in time", || {
        let stats: gst::Structure = element.property("stats");
        usual(16) <= limit && stats.get::<u32>("inference-interval").unwrap() > 1
    });
    let steps = messages(&bus, "unetsegment-latency");
    assert!(
        steps.last().unwrap().get::<bool>("held").unwrap(),
        "{steps:?}"
    );
}

/// Calls `note` for each frame that passes a pad.
fn on_frames(element: &gst::Element, pad: &str, note: impl Fn() + Send + Sync + 'static) {
    let pad = element.static_pad(pad).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        note();
        gst::PadProbeReturn::Ok
    });
}

/// What downstream takes for a frame is no latency of the element, however long it is.
#[test]
fn downstream_is_no_latency_of_ours() {
    let files = Files::new();
    for in_flight in ["1", "3"] {
        let properties = [("frames-in-flight", in_flight), ("max-latency", "900")];
        let element = element(&files.model(&SMALL), &properties);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let pad = element.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, |_, _| {
            std::thread::sleep(Duration::from_secs(1));
            gst::PadProbeReturn::Ok
        });
        for _ in 0..4 {
            harness.push(frame(0)).unwrap();
        }
        for _ in 0..4 {
            harness.pull().unwrap();
        }
        let latency = harness.query_latency().unwrap();
        assert!(latency < gst::ClockTime::from_mseconds(500), "{latency}");
        let warned = bus.pop_filtered(&[gst::MessageType::Warning]);
        assert!(warned.is_none(), "{warned:?}");
    }
}

/// However rarely the network sees a frame, it sees the first one after a flush, and a new model its first.
#[test]
fn the_first_frame_after_a_flush_or_a_swap_is_seen() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (mode, in_flight) in [("sync", "1"), ("sync", "2"), ("latest", "2")] {
        let properties = [
            ("mode", mode),
            ("frames-in-flight", in_flight),
            ("inference-interval", "1000"),
            ("output", "none"),
            ("max-mask-age", "0"),
        ];
        let element = element(&model, &properties);
        let bus = gst::Bus::new();
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        element.set_bus(Some(&bus));
        let pad = element.static_pad("sink").unwrap();
        // Of which frame the mask is that a frame carries, once the network has seen as many.
        let seen = |harness: &mut Harness, number: u64, frames: u64| {
            let out = harness.push_and_pull(frame(number)).unwrap();
            if mode == "sync" {
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
        assert_eq!(seen(&mut harness, 0, 1), frame(0).pts(), "{mode}");
        assert!(pad.send_event(gst::event::FlushStart::new()));
        assert!(pad.send_event(gst::event::FlushStop::new(true)));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(harness.push_event(gst::event::Segment::new(&segment)));
        assert_eq!(seen(&mut harness, 7, 2), frame(7).pts(), "{mode}");
        element.set_property("model-file", model.to_str().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        let mut number = 10;
        wait("the swap", || {
            number += 2;
            let of = harness.push_and_pull(frame(number)).unwrap();
            let done = swaps(&bus).iter().any(|(loaded, _)| *loaded);
            if done && mode == "sync" {
                let mask = mask_meta::of(&of).unwrap();
                assert_eq!(mask.timestamp, frame(number).pts(), "{in_flight}");
            }
            done
        });
        wait("a mask of the new model", || stats(&element, "frames") == 3);
    }
}

/// Neither the start nor other caps hold frames up while the network gets ready for them, and it leaves what it is
/// about for the new ones.
#[test]
fn other_caps_do_not_wait_for_the_network() {
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
        // The network is about a frame of before.
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
