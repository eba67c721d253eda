//! What counts as an object, what is told of it, and that it keeps its number.

mod common;

use common::watch::messages;
use common::{BRIGHTNESS, Files, brightness, element, error_on, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::contract::{Contract, Geometry, METADATA_KEY, Sizes};
use gstunetsegment::labels::{Connectivity, Labeller, Rules, Split};
use gstunetsegment::unet::UNet;
use gstunetsegment::{mask_meta, onnx};
use prost::Message;

const WIDTH: usize = 96;
const HEIGHT: usize = 64;

/// A frame with bright discs, each a centre and a radius.
fn frame(number: u64, discs: &[(f64, f64, f64)]) -> gst::Buffer {
    let bright = |at: usize| {
        let (x, y) = ((at % WIDTH) as f64, (at / WIDTH) as f64);
        let is_in = |(cx, cy, r): &(f64, f64, f64)| (x - cx).hypot(y - cy) <= *r;
        if discs.iter().any(is_in) { 200 } else { 20 }
    };
    let picture: Vec<u8> = (0..WIDTH * HEIGHT).map(bright).collect();
    let mut buffer = gray8(&picture, WIDTH, HEIGHT);
    let time = gst::ClockTime::from_mseconds(40 * number);
    buffer.get_mut().unwrap().set_pts(time);
    buffer
}

/// The element that finds what is bright, on a bus of its own.
fn finder(properties: &[(&str, &str)]) -> (gst::Element, Harness, gst::Bus) {
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let all: Vec<_> = BRIGHTNESS.iter().chain(properties).copied().collect();
    let element = element(&model, &all);
    let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    (element, harness, bus)
}

fn labels_of(buffer: &gst::BufferRef) -> Vec<u16> {
    let bytes = buffer.map_readable().unwrap();
    let (samples, _) = bytes.as_chunks();
    samples
        .iter()
        .map(|bytes| u16::from_le_bytes(*bytes))
        .collect()
}

fn numbers(message: &gst::Structure, field: &str) -> Vec<u32> {
    let array: gst::Array = message.get(field).unwrap();
    array.iter().map(|value| value.get().unwrap()).collect()
}

#[test]
fn labels_go_out_and_ride_on_the_frame() {
    let rules = Rules {
        connectivity: Connectivity::Corners,
        fill_holes: true,
        split: Split::Distance,
        min_area: 20,
        exclude_border: true,
        ..Rules::default()
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
    let expected: Vec<u16> = labeller.labels().iter().map(|l| *l as u16).collect();
    assert_eq!(labels, expected);
    // Two that touch and one alone; not the one at the edge, nor the speck.
    assert_eq!(labels.iter().max(), Some(&3));
    let mask = mask_meta::of(&out).unwrap();
    let (on_frame, caps) = mask.labels.unwrap();
    assert_eq!(labels_of(&on_frame), labels);
    assert_eq!(caps.structure(0).unwrap().get("width"), Ok(WIDTH as i32));
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
        common::init();
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

#[test]
fn a_trigger_on_births_follows_objects_by_itself() {
    let properties = [("output", "none"), ("trigger", "births > 0")];
    let (_element, mut harness, bus) = finder(&properties);
    for number in 0..3 {
        // The second disc comes with the last frame.
        let discs = [(20.0, 20.0, 9.0), (60.0, 30.0, 9.0)];
        let there = if number < 2 { 1 } else { 2 };
        harness
            .push_and_pull(frame(number, &discs[..there]))
            .unwrap();
    }
    let told = messages(&bus, "unetsegment-trigger");
    let held: Vec<bool> = told
        .iter()
        .map(|fields| fields.get("active").unwrap())
        .collect();
    assert_eq!(held, [true, false, true]);
}

#[test]
fn overlays_show_what_counts() {
    let discs = [(20.0, 20.0, 9.0), (60.0, 10.0, 2.0)];
    let shown = |properties: &[(&str, &str)]| {
        let all = [&[("opacity", "1")], properties].concat();
        let (_element, mut harness, _) = finder(&all);
        let out = harness.push_and_pull(frame(0, &discs)).unwrap();
        let (mask, ..) = mask_of(&out);
        let (pixels, _) = common::pixels(&harness, &out);
        // Grey is what is not drawn upon.
        let bytes = pixels.len() / mask.len();
        let drawn = |(x, y): (usize, usize)| {
            let at = (y * WIDTH + x) * bytes;
            pixels[at] != pixels[at + 1] || pixels[at + 1] != pixels[at + 2]
        };
        let at = |x: usize, y: usize| (mask[y * WIDTH + x], drawn((x, y)));
        [at(20, 20), at(60, 10), at(90, 60)]
    };
    let nothing = (0, false);
    assert_eq!(shown(&[]), [(1, true), (1, true), nothing]);
    // The speck stays in the mask.
    let large = ("min-area", "50");
    assert_eq!(shown(&[large]), [(1, true), (1, false), nothing]);
    assert_eq!(
        shown(&[("max-area", "50")]),
        [(1, false), (1, true), nothing]
    );
    let numbered = ("annotations", "numbers");
    assert_eq!(shown(&[large, numbered])[1..], [(1, false), nothing]);
}

/// A hole that counts is drawn as its object is, whatever the colours mean, and the mask keeps it.
#[test]
fn overlays_show_filled_holes() {
    let ring: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| {
            let away = ((at % WIDTH) as f64 - 40.0).hypot((at / WIDTH) as f64 - 30.0);
            if (8.0..18.0).contains(&away) { 200 } else { 20 }
        })
        .collect();
    for more in [
        &[][..],
        &[("min-area", "2")],
        &[("color-by", "object")],
        &[("color-by", "object"), ("show-classes", "1")],
    ] {
        let shown = |fills: &str| {
            let style = [("opacity", "1"), ("outline", "0"), ("fill-holes", fills)];
            let (_element, mut harness, _) = finder(&[&style, more].concat());
            let out = harness.push_and_pull(gray8(&ring, WIDTH, HEIGHT)).unwrap();
            assert_eq!(mask_of(&out).0[30 * WIDTH + 40], 0);
            [color(&out, 40, 30), color(&out, 40, 17), color(&out, 2, 2)]
        };
        let [hole, object, ground] = shown("true");
        assert_eq!(hole, object, "{more:?}");
        assert_eq!(ground, [20; 3], "{more:?}");
        assert_eq!(shown("false"), [[20; 3], object, ground], "{more:?}");
    }
}

/// The model of [`brightness`] with a contract that says where cores begin.
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
fn objects_are_told_with_their_measures() {
    let properties = [
        ("output", "none"),
        ("post-messages", "true"),
        ("post-objects", "true"),
        ("pixel-size", "0.5"),
        ("message-interval", "2"),
    ];
    let (_element, mut harness, bus) = finder(&properties);
    for number in 0..4 {
        drop(
            harness
                .push_and_pull(frame(number, &[(20.0, 30.0, 9.0), (70.0, 40.0, 12.0)]))
                .unwrap(),
        );
    }
    let told = messages(&bus, "unetsegment");
    assert_eq!(told.len(), 2, "{told:?}");
    let message = &told[1];
    assert_eq!(message.get("frame"), Ok(2_u64));
    assert_eq!(message.get("timestamp"), Ok(80_000_000_u64));
    assert_eq!(message.get("objects"), Ok(2_u32));
    let areas: gst::Array = message.get("class-areas").unwrap();
    let areas: Vec<u64> = areas.iter().map(|value| value.get().unwrap()).collect();
    assert_eq!(areas.iter().sum::<u64>(), (WIDTH * HEIGHT) as u64);
    let coverage: f64 = message.get("coverage").unwrap();
    assert!((coverage - areas[1] as f64 / (WIDTH * HEIGHT) as f64).abs() < 1e-12);
    let list: gst::Array = message.get("object-list").unwrap();
    let objects: Vec<gst::Structure> = list.iter().map(|value| value.get().unwrap()).collect();
    let large = objects
        .iter()
        .find(|object| object.get("x") == Ok(70.0))
        .unwrap();
    assert_eq!(large.get("y"), Ok(40.0));
    assert_eq!(large.get("left"), Ok(58_u32));
    assert_eq!(
        (large.get("width"), large.get("height")),
        (Ok(25_u32), Ok(25_u32))
    );
    assert_eq!(large.get("intensity"), Ok(200.0));
    let area: u64 = large.get("area").unwrap();
    assert_eq!(large.get("area-um2"), Ok(area as f64 * 0.25));
    assert!(large.get::<f64>("circularity").unwrap() > 0.85);
}

/// What is asked for while an older mask is shown holds for that mask, and its objects keep their numbers.
#[test]
fn an_older_mask_is_measured_anew() {
    let properties = [
        ("output", "none"),
        ("post-messages", "true"),
        ("track", "true"),
        ("inference-interval", "100"),
        ("max-mask-age", "0"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    let discs = [(70.0, 20.0, 9.0), (20.0, 40.0, 12.0), (50.0, 10.0, 2.0)];
    let mut told = |number| {
        drop(harness.push_and_pull(frame(number, &discs)).unwrap());
        messages(&bus, "unetsegment").remove(0)
    };
    assert_eq!(numbers(&told(0), "births"), [1, 2, 3]);
    element.set_property("post-objects", true);
    for number in 1..4 {
        let message = told(number);
        assert!(message.get::<u64>("mask-age").unwrap() > 0, "{number}");
        let list: gst::Array = message.get("object-list").unwrap();
        for value in list.iter() {
            let object: gst::Structure = value.get().unwrap();
            assert!(object.get::<f64>("perimeter").unwrap() > 0.0, "{object}");
            assert_eq!(object.get("intensity"), Ok(200.0), "{object}");
        }
        for event in ["births", "deaths"] {
            assert!(numbers(&message, event).is_empty(), "{event} {number}");
        }
    }
    element.set_property("min-area", 30);
    let message = told(4);
    assert_eq!(message.get("objects"), Ok(2_u32));
}

/// Also where there is none of it.
#[test]
fn each_class_of_the_model_has_its_area() {
    let (_element, mut harness, bus) = finder(&[("output", "none"), ("post-messages", "true")]);
    for (number, discs) in [&[][..], &[(20.0, 20.0, 9.0)]].into_iter().enumerate() {
        drop(harness.push_and_pull(frame(number as u64, discs)).unwrap());
    }
    let areas = messages(&bus, "unetsegment").into_iter().map(|message| {
        let areas: gst::Array = message.get("class-areas").unwrap();
        areas.iter().map(|area| area.get().unwrap()).collect()
    });
    let areas: Vec<Vec<u64>> = areas.collect();
    let all = (WIDTH * HEIGHT) as u64;
    assert_eq!(areas[0], [all, 0]);
    let [background, disc] = areas[1][..] else {
        panic!("{areas:?}");
    };
    assert!(disc > 0 && background + disc == all, "{areas:?}");
}

#[test]
fn an_object_keeps_its_number() {
    let properties = [
        ("output", "labels"),
        ("track", "true"),
        ("post-messages", "true"),
        ("min-area", "4"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    let at = |labels: &[u16], x: f64, y: f64| labels[y as usize * WIDTH + x as usize];
    for step in 0..10 {
        // The one below overtakes the one above, so that the order of their first pixels changes.
        let move_on = f64::from(step as u32) * 3.0;
        let (one, two) = ((15.0, 12.0 + move_on, 7.0), (70.0, 45.0 - move_on, 7.0));
        let out = harness.push_and_pull(frame(step, &[one, two])).unwrap();
        let labels = labels_of(&out);
        assert_eq!(
            (at(&labels, one.0, one.1), at(&labels, two.0, two.1)),
            (1, 2),
            "{step}"
        );
    }
    let told = messages(&bus, "unetsegment");
    assert_eq!(numbers(&told[0], "births"), [1, 2]);
    assert!(
        told[1..]
            .iter()
            .all(|message| numbers(message, "births").is_empty())
    );

    // One goes, and the other divides.
    let halves = [(64.0, 18.0, 4.0), (76.0, 18.0, 4.0)];
    let out = harness
        .push_and_pull(frame(10, &[(70.0, 18.0, 8.0)]))
        .unwrap();
    drop(out);
    let out = harness.push_and_pull(frame(11, &halves)).unwrap();
    let labels = labels_of(&out);
    assert_eq!(halves.map(|(x, y, _)| at(&labels, x, y)), [3, 4]);
    drop(harness.push_and_pull(frame(12, &halves)).unwrap());
    let told = messages(&bus, "unetsegment");
    // It dies when it was looked for twice in vain.
    let deaths = [0, 1, 2].map(|at| numbers(&told[at], "deaths"));
    assert_eq!(deaths, [vec![], vec![], vec![1]]);
    let divisions: gst::Array = told[1].get("divisions").unwrap();
    let first: gst::Array = divisions[0].get().unwrap();
    let first: Vec<u32> = first.iter().map(|value| value.get().unwrap()).collect();
    assert_eq!(first, [2, 3, 4]);

    // After a flush all begins anew.
    let pad = element.static_pad("sink").unwrap();
    assert!(pad.send_event(gst::event::FlushStart::new()));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(harness.push_event(gst::event::Segment::new(&segment)));
    let out = harness
        .push_and_pull(frame(13, &[(30.0, 30.0, 8.0)]))
        .unwrap();
    assert_eq!(labels_of(&out).iter().max(), Some(&1));
}

/// What happens in frames without a message is in the next one, and the trigger sees it at once.
#[test]
fn nothing_that_happens_between_messages_is_lost() {
    let properties = [
        ("output", "none"),
        ("track", "true"),
        ("trigger", "divisions > 0"),
        ("post-messages", "true"),
        ("message-interval", "6"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    let (stays, passes) = ((20.0, 20.0, 9.0), (70.0, 50.0, 6.0));
    let (whole, halves) = ((70.0, 18.0, 8.0), [(64.0, 18.0, 4.0), (76.0, 18.0, 4.0)]);
    let mut frames = vec![vec![stays, whole]];
    frames.push(vec![stays, passes, whole]);
    frames.extend(vec![vec![stays, halves[0], halves[1]]; 6]);
    for (number, discs) in frames.iter().enumerate() {
        drop(harness.push_and_pull(frame(number as u64, discs)).unwrap());
    }
    let waiting: Vec<_> = std::iter::from_fn(|| bus.pop()).collect();
    let told = |name: &str| -> Vec<gst::Structure> {
        let structures = waiting.iter().filter_map(|message| message.structure());
        let structures = structures.filter(|fields| fields.name() == name);
        structures.map(ToOwned::to_owned).collect()
    };
    let messages_of_frames = told("unetsegment");
    let [first, second] = messages_of_frames.as_slice() else {
        panic!("{messages_of_frames:?}");
    };
    assert_eq!(numbers(first, "births"), [1, 2]);
    assert!(numbers(first, "deaths").is_empty());
    assert_eq!(numbers(second, "births"), [3]);
    assert_eq!(numbers(second, "deaths"), [3]);
    let divisions: gst::Array = second.get("divisions").unwrap();
    assert_eq!(divisions.len(), 1, "{second:?}");
    let frames: Vec<u64> = told("unetsegment-trigger")
        .iter()
        .map(|fields| fields.get("frame").unwrap())
        .collect();
    assert_eq!(frames, [2, 3]);

    // Once is enough.
    element.set_property("message-interval", 1_u32);
    drop(
        harness
            .push_and_pull(frame(8, &[stays, halves[0], halves[1]]))
            .unwrap(),
    );
    let told = messages(&bus, "unetsegment");
    assert!(numbers(&told[0], "births").is_empty() && numbers(&told[0], "deaths").is_empty());
}

/// The pictures go on, and so do their objects; what was not told yet is told later.
#[test]
fn numbers_stay_when_something_else_goes_out() {
    let properties = [
        ("output", "none"),
        ("track", "true"),
        ("post-messages", "true"),
        ("message-interval", "3"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    let (first, second, third) = ((70.0, 12.0, 6.0), (20.0, 30.0, 6.0), (80.0, 50.0, 6.0));
    let mut push = |number, discs: &[_]| harness.push_and_pull(frame(number, discs)).unwrap();
    drop(push(0, &[first, second]));
    drop(push(1, &[first, second, third]));
    drop(push(2, &[second, third]));
    // It has other caps than the picture.
    element.set_property_from_str("output", "labels");
    let out = push(3, &[second, third]);
    let labels = labels_of(&out);
    let at = |(x, y, _)| labels[y as usize * WIDTH + x as usize];
    assert_eq!([at(second), at(third)], [2, 3]);
    let told = messages(&bus, "unetsegment");
    assert_eq!(numbers(&told[1], "births"), [3], "{told:?}");
    let numbers_of = |number| numbers(&told[number], "deaths");
    assert!(numbers_of(0).is_empty() && numbers_of(1).is_empty());
}

/// Nobody has looked where the old one went.
#[test]
fn what_comes_while_nobody_follows_gets_a_number_of_its_own() {
    for post in ["true", "false"] {
        let properties = [
            ("output", "none"),
            ("track", "true"),
            ("find-objects", "true"),
            ("post-messages", post),
        ];
        let (element, mut harness, bus) = finder(&properties);
        let mut push = |number| {
            let discs = [(30.0, 30.0, 8.0)];
            harness.push_and_pull(frame(number, &discs)).unwrap()
        };
        drop(push(0));
        for (property, value) in [("track", false), ("find-objects", false)] {
            element.set_property(property, value);
        }
        drop(push(1));
        for (property, value) in [("track", true), ("find-objects", true)] {
            element.set_property(property, value);
        }
        let out = push(2);
        let (labels, _) = mask_meta::of(&out).unwrap().labels.unwrap();
        assert_eq!(labels_of(&labels)[30 * WIDTH + 30], 2, "{post}");
        for message in messages(&bus, "unetsegment") {
            let deaths: Result<gst::Array, _> = message.get("deaths");
            assert!(deaths.is_ok_and(|deaths| deaths.is_empty()) || !message.has_field("deaths"));
        }
    }
}

/// Where frames pass at once, a mask is first shown by a later frame than its own.
#[test]
fn brightness_is_that_of_the_frame_that_was_seen() {
    let properties = [
        ("mode", "latest"),
        ("output", "none"),
        ("post-messages", "true"),
        ("post-objects", "true"),
        ("inference-interval", "100000"),
        ("max-mask-age", "0"),
    ];
    let (_element, mut harness, bus) = finder(&properties);
    let start = std::time::Instant::now();
    drop(
        harness
            .push_and_pull(frame(0, &[(30.0, 30.0, 8.0)]))
            .unwrap(),
    );
    for number in 1.. {
        assert!(start.elapsed().as_secs() < 60, "no mask");
        drop(
            harness
                .push_and_pull(frame(number, &[(70.0, 20.0, 8.0)]))
                .unwrap(),
        );
        if let Some(message) = messages(&bus, "unetsegment").first() {
            let list: gst::Array = message.get("object-list").unwrap();
            let object: gst::Structure = list[0].get().unwrap();
            assert_eq!(object.get("intensity"), Ok(200.0), "{object}");
            assert_eq!(object.get("x"), Ok(30.0), "{object}");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Missing in every other frame, and then for two: whoever counts deaths counts cells.
#[test]
fn an_object_that_flickers_does_not_die() {
    let properties = [
        ("output", "none"),
        ("trigger", "deaths > 0"),
        ("post-messages", "true"),
    ];
    let (_element, mut harness, bus) = finder(&properties);
    let discs = [(20.0, 20.0, 9.0), (70.0, 40.0, 9.0)];
    let there = [true, false, true, false, true, false, false, true];
    for (number, there) in there.into_iter().enumerate() {
        let discs = &discs[..if there { 2 } else { 1 }];
        drop(harness.push_and_pull(frame(number as u64, discs)).unwrap());
    }
    let waiting: Vec<_> = std::iter::from_fn(|| bus.pop()).collect();
    let told = waiting.iter().filter_map(|message| message.structure());
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 8, "the trigger has begun to hold: {told:?}");
    for (number, message) in told.into_iter().enumerate() {
        let born: &[u32] = if number == 0 { &[1, 2] } else { &[] };
        assert_eq!(numbers(&message.to_owned(), "births"), born, "{number}");
        assert!(numbers(&message.to_owned(), "deaths").is_empty());
    }
}

#[test]
fn a_condition_is_told_when_it_begins_and_when_it_ends() {
    let (element, mut harness, bus) = finder(&[
        ("output", "none"),
        ("trigger", "objects >= 3 until 2"),
        ("min-area", "4"),
    ]);
    let mut told = Vec::new();
    for (number, count) in [1, 3, 4, 2, 1, 3].into_iter().enumerate() {
        let discs: Vec<_> = (0..count)
            .map(|n| (12.0 + 20.0 * f64::from(n), 30.0, 6.0))
            .collect();
        drop(harness.push_and_pull(frame(number as u64, &discs)).unwrap());
        for message in messages(&bus, "unetsegment-trigger") {
            let active: bool = message.get("active").unwrap();
            told.push((number, active, message.get::<f64>("value").unwrap()));
            assert_eq!(message.get("trigger"), Ok("objects >= 3 until 2"));
        }
    }
    assert_eq!(told, [(1, true, 3.0), (4, false, 1.0), (5, true, 3.0)]);
    // Another one in its place, or none, ends it with the next frame.
    let discs = [(12.0, 30.0, 6.0), (32.0, 30.0, 6.0)];
    let mut told = Vec::new();
    for (number, trigger) in [(6, "objects >= 4 until 1"), (7, "objects > 1"), (8, "")] {
        element.set_property("trigger", trigger);
        drop(harness.push_and_pull(frame(number, &discs)).unwrap());
        for message in messages(&bus, "unetsegment-trigger") {
            let (text, active): (String, bool) = (
                message.get("trigger").unwrap(),
                message.get("active").unwrap(),
            );
            assert_eq!(message.get("frame"), Ok(number));
            told.push((number, text, active));
        }
    }
    let expected = [
        (6, "objects >= 3 until 2", false),
        (7, "objects > 1", true),
        (8, "objects > 1", false),
    ];
    assert_eq!(
        told,
        expected.map(|(number, text, active)| (number, text.to_owned(), active))
    );
    element.set_property("trigger", "objects >= 3 until 2");
    // What says nothing is refused, and the condition stays.
    element.set_property("trigger", "cells > 3");
    assert_eq!(
        element.property::<String>("trigger"),
        "objects >= 3 until 2"
    );
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_some());
}

#[test]
fn the_threshold_may_change_while_frames_flow() {
    let (element, mut harness, _) = finder(&[("output", "mask")]);
    let picture: Vec<u8> = (0..WIDTH * HEIGHT).map(|at| (at % 256) as u8).collect();
    let mut foreground = |threshold: f64| {
        element.set_property("threshold", threshold);
        let out = harness
            .push_and_pull(gray8(&picture, WIDTH, HEIGHT))
            .unwrap();
        let mask = out.map_readable().unwrap();
        mask.iter().filter(|class| **class == 1).count()
    };
    let usual = foreground(-1.0);
    assert_eq!(foreground(0.5), usual);
    let (strict, lax) = (foreground(0.99), foreground(0.01));
    assert!(strict < usual && usual < lax, "{strict} {usual} {lax}");
    assert_eq!(foreground(-1.0), usual);
}

/// More objects than 16 bits have numbers for: an error where labels go out, a count where they do not.
#[test]
fn too_many_objects_are_no_wrong_labels() {
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
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    for (output, fails) in [("labels", true), ("none", false)] {
        let properties = [
            BRIGHTNESS[0],
            BRIGHTNESS[1],
            ("output", output),
            ("post-messages", "true"),
            ("frames-in-flight", "1"),
        ];
        let element = element(&model, &properties);
        let mut harness = harness(&element, "GRAY8", side, side);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let pushed = harness.push(gray8(&checkered, side, side));
        assert_eq!(pushed.is_err(), fails, "{output}");
        match fails {
            true => {
                let text = error_on(&bus);
                assert!(
                    text.contains("131072 objects") && text.contains("min-area"),
                    "{text}"
                );
            }
            false => {
                let told = messages(&bus, "unetsegment");
                assert_eq!(told[0].get("objects"), Ok(131_072_u32));
            }
        }
    }
}

/// Frames that were asked to carry labels pass without them; the stream of these ends and says why.
#[test]
fn too_many_objects_end_the_stream_of_labels_alone() {
    let side = 512;
    common::init();
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let properties = [("output", "none"), ("find-objects", "true")];
    let element = element(&model, &[&BRIGHTNESS[..], &properties].concat());
    let mut frames = harness(&element, "GRAY8", side, side);
    let unetmask = gst::ElementFactory::make("unetmask")
        .property_from_str("what", "labels")
        .build()
        .unwrap();
    let bus = gst::Bus::new();
    let mut labels = harness(&unetmask, "GRAY8", side, side);
    unetmask.set_bus(Some(&bus));
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
    // The others go on.
    assert!(frames.push_and_pull(frame(false)).is_ok());
}

/// The colour of a pixel of an RGBA frame.
fn color(buffer: &gst::BufferRef, x: usize, y: usize) -> [u8; 3] {
    let bytes = buffer.map_readable().unwrap();
    let at = 4 * (y * WIDTH + x);
    [bytes[at], bytes[at + 1], bytes[at + 2]]
}

#[test]
fn an_object_keeps_its_colour() {
    let properties = [
        ("color-by", "object"),
        ("track", "true"),
        ("opacity", "1.0"),
        ("min-area", "4"),
    ];
    let (element, mut harness, _) = finder(&properties);
    let mut seen = Vec::new();
    for step in 0..5 {
        let discs = [
            (20.0 + 4.0 * f64::from(step), 20.0, 8.0),
            (70.0, 40.0 - 7.0 * f64::from(step), 8.0),
        ];
        let out = harness
            .push_and_pull(frame(u64::from(step as u8), &discs))
            .unwrap();
        let colors = discs.map(|(x, y, _)| color(&out, x as usize, y as usize));
        assert_ne!(colors[0], colors[1]);
        seen.push(colors);
    }
    assert!(seen.iter().all(|colors| *colors == seen[0]), "{seen:?}");
    // A class that is not shown leaves the picture as it was.
    element.set_property("show-classes", "2");
    let out = harness
        .push_and_pull(frame(5, &[(36.0, 20.0, 8.0)]))
        .unwrap();
    assert_eq!(color(&out, 36, 20), [200; 3]);
}

#[test]
fn what_is_asked_for_is_written() {
    let differs = |annotations: &str, region: fn(usize, usize) -> bool| {
        let with = |text: &str| {
            let properties = [
                ("annotations", text),
                ("pixel-size", "0.5"),
                ("opacity", "0.0"),
            ];
            let (_element, mut harness, _) = finder(&properties);
            let out = harness
                .push_and_pull(frame(0, &[(48.0, 32.0, 9.0)]))
                .unwrap();
            out.map_readable().unwrap().to_vec()
        };
        let (plain, written) = (with("0"), with(annotations));
        let changed = (0..WIDTH * HEIGHT)
            .filter(|at| plain[4 * at..][..4] != written[4 * at..][..4])
            .collect::<Vec<_>>();
        assert!(changed.len() > 20, "{annotations}: {}", changed.len());
        let inside = changed.iter().all(|at| region(at % WIDTH, at / WIDTH));
        assert!(inside, "{annotations}");
    };
    differs("numbers", |x, y| x.abs_diff(48) < 9 && y.abs_diff(32) < 9);
    differs("count", |_, y| y < HEIGHT / 2);
    differs("age", |_, y| y < HEIGHT / 2);
    differs("legend", |x, y| x > WIDTH / 8 && y < HEIGHT / 2);
    differs("scale-bar", |x, y| x > WIDTH / 8 && y > HEIGHT / 2);
    differs("numbers+count", |_, y| y < HEIGHT / 2 + 9);
}
