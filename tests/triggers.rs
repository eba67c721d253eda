//! A condition on counts is reported when it begins to hold and when it ends.

mod common;

use common::discs::{finder, frame};
use common::schedulings::SCHEDULINGS;
use common::watch::{conditions, messages, wait};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::mask_meta;

#[test]
fn a_condition_is_reported_when_it_begins_and_ends() {
    let (element, mut harness, bus) = finder(&[
        ("output", "none"),
        ("trigger", "objects >= 3 until 2"),
        ("min-area", "4"),
    ]);
    let mut changes = Vec::new();
    for (number, count) in [1, 3, 4, 2, 1, 3].into_iter().enumerate() {
        let discs: Vec<_> = (0..count)
            .map(|n| (12.0 + 20.0 * f64::from(n), 30.0, 6.0))
            .collect();
        drop(harness.push_and_pull(frame(number as u64, &discs)).unwrap());
        for message in messages(&bus, "unetsegment-trigger") {
            let active: bool = message.get("active").unwrap();
            changes.push((number, active, message.get::<f64>("value").unwrap()));
            assert_eq!(message.get("trigger"), Ok("objects >= 3 until 2"));
        }
    }
    assert_eq!(changes, [(1, true, 3.0), (4, false, 1.0), (5, true, 3.0)]);
    // Another condition, or none, ends it with the next frame.
    let discs = [(12.0, 30.0, 6.0), (32.0, 30.0, 6.0)];
    let mut changes = Vec::new();
    for (number, trigger) in [(6, "objects >= 4 until 1"), (7, "objects > 1"), (8, "")] {
        element.set_property("trigger", trigger);
        drop(harness.push_and_pull(frame(number, &discs)).unwrap());
        for message in messages(&bus, "unetsegment-trigger") {
            let (text, active): (String, bool) = (
                message.get("trigger").unwrap(),
                message.get("active").unwrap(),
            );
            assert_eq!(message.get("frame"), Ok(number));
            changes.push((number, text, active));
        }
    }
    let expected = [
        (6, "objects >= 3 until 2", false),
        (7, "objects > 1", true),
        (8, "objects > 1", false),
    ];
    assert_eq!(
        changes,
        expected.map(|(number, text, active)| (number, text.to_owned(), active))
    );
    element.set_property("trigger", "objects >= 3 until 2");
    // A text that is no condition is refused, and the condition stays.
    element.set_property("trigger", "cells > 3");
    assert_eq!(
        element.property::<String>("trigger"),
        "objects >= 3 until 2"
    );
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_some());
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
    assert_eq!(conditions(&bus), [true, false, true]);
}

/// Whoever acts upon a condition relies on it for the present. Messages agree with the frames about which masks are
/// stale.
#[test]
fn a_stale_mask_begins_no_condition_and_ends_one() {
    let properties = [
        ("output", "none"),
        ("trigger", "objects > 0"),
        ("post-messages", "true"),
        ("inference-interval", "1000"),
        ("max-mask-age", "0"),
    ];
    for scheduling in SCHEDULINGS {
        let (element, mut harness, bus) =
            finder(&[&scheduling.properties()[..], &properties].concat());
        let mut number = 0;
        // Whether the next frame's mask is stale, where it has one, and which conditions begin and end with it.
        let mut next = || {
            let out = harness.push_and_pull(frame(number, &[(20.0, 20.0, 9.0)]));
            number += 1;
            let stale = mask_meta::of(&out.unwrap()).map(|mask| mask.stale);
            let (mut reported, mut changes) = (None, Vec::new());
            while let Some(message) = bus.pop() {
                let Some(fields) = message.structure() else {
                    continue;
                };
                match fields.name().as_str() {
                    "unetsegment" => reported = Some(fields.get::<bool>("stale").unwrap()),
                    "unetsegment-trigger" => changes.push(fields.get::<bool>("active").unwrap()),
                    _ => (),
                }
            }
            assert_eq!(reported, stale, "{scheduling}");
            (stale, changes)
        };
        wait("a mask", || {
            let (stale, changes) = next();
            assert_eq!(changes, vec![true; usize::from(stale.is_some())]);
            stale.is_some()
        });
        assert_eq!(next(), (Some(false), vec![]), "{scheduling}");
        element.set_property("max-mask-age", 100_u32);
        let mut all = Vec::new();
        wait("a stale mask", || {
            let (stale, changes) = next();
            all.extend(changes);
            stale == Some(true)
        });
        assert_eq!(all, [false], "{scheduling}");
        // Nor does another condition begin.
        element.set_property("trigger", "coverage > 0.01");
        assert_eq!(next(), (Some(true), vec![]), "{scheduling}");
        element.set_property("max-mask-age", 0_u32);
        assert_eq!(next(), (Some(false), vec![true]), "{scheduling}");
    }
}
