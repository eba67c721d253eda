//! Objects keep their numbers from frame to frame, and their births, deaths and divisions are reported.

mod common;

use common::discs::{WIDTH, finder, frame, labels_of, numbers};
use common::watch::{bus_of, messages, wait};
use common::{Files, bright, flush, harness, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
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
    let posted = messages(&bus, "unetsegment");
    assert_eq!(numbers(&posted[0], "births"), [1, 2]);
    assert!(
        posted[1..]
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
    let posted = messages(&bus, "unetsegment");
    // It dies when it is missing for the third time.
    let deaths = [0, 1, 2].map(|at| numbers(&posted[at], "deaths"));
    assert_eq!(deaths, [vec![], vec![], vec![1]]);
    let divisions: gst::Array = posted[1].get("divisions").unwrap();
    let first: gst::Array = divisions[0].get().unwrap();
    let first: Vec<u32> = first.iter().map(|value| value.get().unwrap()).collect();
    assert_eq!(first, [2, 3, 4]);

    // After a flush all starts again.
    flush(&mut harness);
    let out = harness
        .push_and_pull(frame(13, &[(30.0, 30.0, 8.0)]))
        .unwrap();
    assert_eq!(labels_of(&out).iter().max(), Some(&1));
}

/// Births, deaths and divisions in frames without a message are in the next one, and the trigger sees them at once.
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
    let posted = |name: &str| -> Vec<gst::Structure> {
        let structures = waiting.iter().filter_map(|message| message.structure());
        let structures = structures.filter(|fields| fields.name() == name);
        structures.map(ToOwned::to_owned).collect()
    };
    let messages_of_frames = posted("unetsegment");
    let [first, second] = messages_of_frames.as_slice() else {
        panic!("{messages_of_frames:?}");
    };
    assert_eq!(numbers(first, "births"), [1, 2]);
    assert!(numbers(first, "deaths").is_empty());
    assert_eq!(numbers(second, "births"), [3]);
    assert_eq!(numbers(second, "deaths"), [3]);
    let divisions: gst::Array = second.get("divisions").unwrap();
    assert_eq!(divisions.len(), 1, "{second:?}");
    let frames: Vec<u64> = posted("unetsegment-trigger")
        .iter()
        .map(|fields| fields.get("frame").unwrap())
        .collect();
    assert_eq!(frames, [2, 3]);

    // They are reported once.
    element.set_property("message-interval", 1_u32);
    drop(
        harness
            .push_and_pull(frame(8, &[stays, halves[0], halves[1]]))
            .unwrap(),
    );
    let next = &messages(&bus, "unetsegment")[0];
    assert!(numbers(next, "births").is_empty() && numbers(next, "deaths").is_empty());
}

/// The pictures continue, and so do their objects; events that were not reported yet are reported later.
#[test]
fn numbers_survive_a_change_of_output() {
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
    // This output has other caps than the picture.
    element.set_property_from_str("output", "labels");
    let out = push(3, &[second, third]);
    let labels = labels_of(&out);
    let at = |(x, y, _)| labels[y as usize * WIDTH + x as usize];
    assert_eq!([at(second), at(third)], [2, 3]);
    let posted = messages(&bus, "unetsegment");
    assert_eq!(numbers(&posted[1], "births"), [3], "{posted:?}");
    let deaths = |message: usize| numbers(&posted[message], "deaths");
    assert!(deaths(0).is_empty() && deaths(1).is_empty());
}

/// It is not known where the old ones went.
#[test]
fn objects_that_appear_while_track_is_off_get_new_numbers() {
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

/// It is missing in every other frame, and then in two: deaths are to be those of cells.
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
    let posted = waiting.iter().filter_map(|message| message.structure());
    let posted: Vec<_> = posted.collect();
    assert_eq!(posted.len(), 8, "the trigger has fired: {posted:?}");
    for (number, message) in posted.into_iter().enumerate() {
        let born: &[u32] = if number == 0 { &[1, 2] } else { &[] };
        assert_eq!(numbers(&message.to_owned(), "births"), born, "{number}");
        assert!(numbers(&message.to_owned(), "deaths").is_empty());
    }
}

/// Side of the picture of specks.
const SPECKLED: usize = 400;
/// One in four of its pixels.
const SPECKS: u16 = 40_000;

/// Pushes a picture of specks and three without any, in which those die, until each has its own mask. Returns whether
/// numbers have started again meanwhile, and how many warnings there were.
fn round(harness: &mut Harness, bus: &gst::Bus, round: u64, what: &str) -> (bool, usize) {
    let speck = |at: usize| (at % SPECKLED).is_multiple_of(2) && (at / SPECKLED).is_multiple_of(2);
    let pixels = 0..SPECKLED * SPECKLED;
    let specks: Vec<u8> = pixels.map(|at| if speck(at) { 255 } else { 0 }).collect();
    let nothing = vec![0; SPECKLED * SPECKLED];
    let (mut renumbered, mut warnings) = (false, 0);
    let pictures = [
        (&specks, SPECKS),
        (&nothing, 0),
        (&nothing, 0),
        (&nothing, 0),
    ];
    for (number, (picture, expected)) in (4 * round..).zip(pictures) {
        let sent = timed(picture, SPECKLED, SPECKLED, number);
        wait("its mask", || {
            let out = harness.push_and_pull(sent.copy()).unwrap();
            let mask = mask_meta::of(&out);
            let own = mask.filter(|mask| mask.timestamp == sent.pts());
            let Some((labels, _)) = own.and_then(|mask| mask.labels) else {
                return false;
            };
            let most = labels_of(&labels).into_iter().max();
            assert_eq!(most, Some(expected), "{what} {number}");
            true
        });
        let (started_again, warned) = renumbering(bus, what);
        renumbered |= started_again;
        warnings += warned;
    }
    (renumbered, warnings)
}

/// Whether a message on `bus` reports that numbers start again, and how many warnings explain it.
fn renumbering(bus: &gst::Bus, what: &str) -> (bool, usize) {
    let (mut renumbered, mut warnings) = (false, 0);
    for message in std::iter::from_fn(|| bus.pop()) {
        match message.view() {
            gst::MessageView::Error(error) => panic!("{what}: {error:?}"),
            gst::MessageView::Warning(warning) => {
                let text = warning.error().to_string();
                assert!(
                    text.contains("All 65535 object numbers have been used"),
                    "{text}"
                );
                warnings += 1;
            }
            _ => (),
        }
        let fields = message.structure();
        let fields = fields.filter(|fields| fields.name() == "unetsegment");
        if let Some(fields) = fields.filter(|fields| fields.get("renumbered") == Ok(true)) {
            renumbered = true;
            let births = numbers(&fields.to_owned(), "births");
            assert!(births.into_iter().eq(1..=u32::from(SPECKS)), "{what}");
        }
    }
    (renumbered, warnings)
}

/// The stream goes on; messages report it, and one warning.
#[test]
fn numbers_that_run_out_start_at_1_again() {
    let files = Files::new();
    for (mode, output) in [("sync", "labels"), ("sync", "none"), ("latest", "none")] {
        let properties = [
            ("mode", mode),
            ("output", output),
            ("track", "true"),
            ("post-messages", "true"),
            ("max-mask-age", "0"),
        ];
        let element = bright(&files, &properties);
        let mut harness = harness(&element, "GRAY8", SPECKLED, SPECKLED);
        let bus = bus_of(&element);
        let what = format!("{mode} {output}");
        let rounds = [0, 1, 2].map(|number| round(&mut harness, &bus, number, &what));
        // There are 65,535.
        let renumbered = rounds.map(|(renumbered, _)| renumbered);
        assert_eq!(renumbered, [false, true, true], "{what}");
        let warnings: usize = rounds.iter().map(|(_, warnings)| warnings).sum();
        assert_eq!(warnings, 1, "{what}");
    }
}

/// It has more objects than there are labels, passes without any, and the objects before and after it are the same.
#[test]
fn a_frame_of_noise_ends_no_track() {
    const SIDE: usize = 512;
    let picture = |bright: &dyn Fn(usize, usize) -> bool| -> Vec<u8> {
        let pixels = (0..SIDE * SIDE).map(|at| bright(at % SIDE, at / SIDE));
        pixels.map(|bright| if bright { 255 } else { 0 }).collect()
    };
    let calm = picture(&|x, y| (100..140).contains(&x) && (100..140).contains(&y));
    let noise = picture(&|x, y| (x + y) % 2 == 0);
    let files = Files::new();
    let properties = [
        ("output", "none"),
        ("track", "true"),
        ("post-messages", "true"),
    ];
    let element = bright(&files, &properties);
    let mut harness = harness(&element, "GRAY8", SIDE, SIDE);
    let bus = bus_of(&element);
    let frames = [
        (&calm, 1, vec![1]),
        (&noise, 131_072, vec![]),
        (&calm, 1, vec![]),
    ];
    for (number, (picture, objects, births)) in frames.into_iter().enumerate() {
        let sent = timed(picture, SIDE, SIDE, number as u64);
        let out = harness.push_and_pull(sent).unwrap();
        let mask = mask_meta::of(&out).unwrap();
        assert_eq!(mask.objects, Some(objects), "{number}");
        let most = mask
            .labels
            .map(|(labels, _)| labels_of(&labels).into_iter().max());
        assert_eq!(most.flatten(), (objects == 1).then_some(1), "{number}");
        let message = messages(&bus, "unetsegment").remove(0);
        assert_eq!(numbers(&message, "births"), births, "{number}");
        assert!(numbers(&message, "deaths").is_empty(), "{number}");
    }
}
