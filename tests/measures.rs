//! Messages about a frame: its objects with their measures, and the areas of its classes.

mod common;

use common::discs::{HEIGHT, WIDTH, finder, frame, numbers, objects};
use common::watch::messages;
use gst::prelude::*;
use gstreamer as gst;

#[test]
fn messages_list_objects_with_their_measures() {
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
    let posted = messages(&bus, "unetsegment");
    assert_eq!(posted.len(), 2, "{posted:?}");
    let message = &posted[1];
    assert_eq!(message.get("frame"), Ok(2_u64));
    assert_eq!(message.get("timestamp"), Ok(80_000_000_u64));
    assert_eq!(message.get("objects"), Ok(2_u32));
    let areas: gst::Array = message.get("class-areas").unwrap();
    let areas: Vec<u64> = areas.iter().map(|value| value.get().unwrap()).collect();
    assert_eq!(areas.iter().sum::<u64>(), (WIDTH * HEIGHT) as u64);
    let coverage: f64 = message.get("coverage").unwrap();
    assert!((coverage - areas[1] as f64 / (WIDTH * HEIGHT) as f64).abs() < 1e-12);
    let listed = objects(message);
    let large = listed
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

/// Measures that are asked for while an older mask is shown are those of that mask, and its objects keep their numbers.
/// Only if its frame was not kept, another one takes its place.
#[test]
fn an_older_mask_is_measured_on_request() {
    let properties = [
        ("output", "none"),
        ("post-messages", "true"),
        ("track", "true"),
        ("inference-interval", "100"),
        ("max-mask-age", "0"),
    ];
    let (element, mut harness, bus) = finder(&properties);
    let discs = [(70.0, 20.0, 9.0), (20.0, 40.0, 12.0), (50.0, 10.0, 2.0)];
    let mut next = |number| {
        drop(harness.push_and_pull(frame(number, &discs)).unwrap());
        messages(&bus, "unetsegment").remove(0)
    };
    assert_eq!(numbers(&next(0), "births"), [1, 2, 3]);
    element.set_property("post-objects", true);
    for number in 1..4 {
        let message = next(number);
        let age: u64 = message.get("mask-age").unwrap();
        assert_eq!(age > 0, number > 1, "{number}");
        for object in objects(&message) {
            assert!(object.get::<f64>("perimeter").unwrap() > 0.0, "{object}");
            assert_eq!(object.get("intensity"), Ok(200.0), "{object}");
        }
        for event in ["births", "deaths"] {
            assert!(numbers(&message, event).is_empty(), "{event} {number}");
        }
    }
    element.set_property("min-area", 30);
    let message = next(4);
    assert_eq!(message.get("objects"), Ok(2_u32));
    assert!(message.get::<u64>("mask-age").unwrap() > 0);
}

/// The frame that shows an older mask may have something else in its place.
#[test]
fn brightness_is_that_of_the_masks_own_frame() {
    for (output, in_flight) in [
        ("none", "1"),
        ("none", "2"),
        ("overlay", "2"),
        ("mask", "2"),
    ] {
        let properties = [
            ("output", output),
            ("frames-in-flight", in_flight),
            ("post-messages", "true"),
            ("post-objects", "true"),
            ("inference-interval", "4"),
            ("max-mask-age", "0"),
        ];
        let (element, mut harness, bus) = finder(&properties);
        let (large, small) = ((20.0, 30.0, 12.0), (70.0, 40.0, 6.0));
        for number in 0..8 {
            // Rules change with each frame, so that objects are found again.
            element.set_property("min-area", number);
            let discs = [large, small];
            let discs = if number % 4 == 0 { &discs[..] } else { &[] };
            drop(harness.push_and_pull(frame(number as u64, discs)).unwrap());
            let message = messages(&bus, "unetsegment").remove(0);
            let listed = objects(&message);
            assert_eq!(listed.len(), 2, "{output} {number}");
            for object in listed {
                assert_eq!(object.get("intensity"), Ok(200.0), "{output} {number}");
            }
        }
        // The frame of a mask that was found before measures were asked for was not kept.
        element.set_property("post-objects", false);
        drop(harness.push_and_pull(frame(8, &[large])).unwrap());
        drop(messages(&bus, "unetsegment"));
        element.set_property("post-objects", true);
        for number in 9..12 {
            let discs = [small];
            let discs = if number == 9 { &discs[..] } else { &[] };
            drop(harness.push_and_pull(frame(number, discs)).unwrap());
            let listed = objects(&messages(&bus, "unetsegment").remove(0));
            assert_eq!(listed.len(), 1, "{output} {number}");
            assert_eq!(listed[0].get("intensity"), Ok(200.0), "{output} {number}");
            assert_eq!(listed[0].get("x"), Ok(70.0), "{output} {number}");
        }
    }
}

/// Even if the frame has none of it.
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

/// There a mask is first shown by a later frame than its own.
#[test]
fn with_mode_latest_brightness_is_that_of_the_masks_own_frame() {
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
            let object = &objects(message)[0];
            assert_eq!(object.get("intensity"), Ok(200.0), "{object}");
            assert_eq!(object.get("x"), Ok(30.0), "{object}");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
