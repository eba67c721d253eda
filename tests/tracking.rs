//! Objects keep their numbers from frame to frame, and what becomes of them is told.

mod common;

use common::discs::{WIDTH, finder, frame, labels_of, numbers};
use common::flush;
use common::watch::messages;
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::mask_meta;

#[test]
fn an_object_keeps_its_number() {
    let properties = [
        ("output", "labels"),
        ("track", "true"),
        ("post-messages", "true"),
        ("min-area", "4"),
    ];
    let (_element, mut harness, bus) = finder(&properties);
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
    flush(&mut harness);
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
