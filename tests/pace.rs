//! What was given up for `max-latency` comes back with another model, and that is told.

mod common;

use common::frames::{HEIGHT, WIDTH, frame};
use common::manners::{LATEST, OVERLAPPING};
use common::process::alone;
use common::watch::{messages, wait};
use common::{Files, SMALL};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::unet::UNet;

#[test]
fn another_model_has_given_up_nothing_and_that_is_told() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet {
        padded: true,
        width: 24,
        ..SMALL
    });
    // Nothing can hold it: the time of a frame is more than none.
    let properties = [
        ("max-latency", "1"),
        ("tile-size", "32"),
        ("blend", "average"),
    ];
    for manner in [OVERLAPPING, LATEST] {
        let (element, mut harness, bus) = manner.start(&model, &properties, (WIDTH, HEIGHT));
        let mut number = 0;
        let mut steps = Vec::new();
        wait("all given up", || {
            drop(harness.push_and_pull(frame(number)).unwrap());
            number += 1;
            steps.extend(messages(&bus, "unetsegment-latency"));
            let last = steps.last();
            last.is_some_and(|step| step.get("held") == Ok(false))
        });
        element.set_property("model-file", model.to_str().unwrap());
        let mut told: Vec<gst::Structure> = Vec::new();
        let mut back = None;
        wait("what comes back", || {
            drop(harness.push_and_pull(frame(number)).unwrap());
            number += 1;
            let others = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]));
            told.extend(others.filter_map(|message| Some(message.structure()?.to_owned())));
            let mut since = told.iter();
            let swapped = since.any(|fields| fields.name() == "unetsegment-model");
            back = since
                .find(|fields| fields.name() == "unetsegment-latency")
                .cloned();
            swapped && back.is_some()
        });
        let back = back.unwrap();
        assert_eq!(back.get("inference-interval"), Ok(1_u32), "{manner}");
        assert_eq!(back.get("averaging"), Ok(true), "{manner}");
        assert_eq!(back.get("held"), Ok(true), "{manner}");
        // Overlap goes last.
        let overlap: u32 = steps[0].get("overlap").unwrap();
        assert_eq!(back.get("overlap"), Ok(overlap), "{manner}");
    }
}
