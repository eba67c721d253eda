//! Values of properties that can't be used, now or at all: they are reported, and the value before stays.

mod common;

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use common::frames::{HEIGHT, WIDTH};
use common::watch::{bus_of, wait, warnings};
use common::{Files, SMALL, cells, element, gray8, harness};
use gst::prelude::*;
use gstreamer as gst;

fn picture() -> Vec<u8> {
    cells(WIDTH, HEIGHT, 1)
}

/// A handler of the message may read properties, on the thread that set the value.
#[test]
fn a_refused_value_is_reported_with_nothing_locked() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("display-range", "100,4000")]);
    let bus = gst::Bus::new();
    let (sender, heard) = channel();
    let weak = element.downgrade();
    bus.set_sync_handler(move |_, message| {
        if let (gst::MessageView::Warning(warning), Some(element)) =
            (message.view(), weak.upgrade())
        {
            let range: String = element.property("display-range");
            sender.send((warning.error().to_string(), range)).unwrap();
        }
        gst::BusSyncReply::Drop
    });
    element.set_bus(Some(&bus));
    let setting = element.clone();
    thread::spawn(move || setting.set_property("display-range", "bright"));
    let limit = Duration::from_secs(20);
    let (text, range) = heard
        .recv_timeout(limit)
        .expect("no warning, or a deadlock");
    assert!(
        text.contains("display-range") && text.contains("bright"),
        "{text}"
    );
    assert_eq!(range, "100,4000");
}

/// The background is no class to show.
#[test]
fn class_0_is_refused() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("show-classes", "2")]);
    let bus = bus_of(&element);
    for text in ["0", "0,1"] {
        element.set_property("show-classes", text);
        assert_eq!(element.property::<String>("show-classes"), "2");
        let warning = bus.pop_filtered(&[gst::MessageType::Warning]);
        assert!(warning.is_some(), "{text} is taken");
    }
}

/// When the model is loaded, and when they are set.
#[test]
fn classes_that_the_model_lacks_are_reported() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("show-classes", "1,7")]);
    let bus = bus_of(&element);
    assert!(warnings(&bus).is_empty());
    element.set_state(gst::State::Paused).unwrap();
    let mut posted = Vec::new();
    wait("a warning", || {
        posted.extend(warnings(&bus));
        !posted.is_empty()
    });
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    element.set_bus(Some(&bus));
    for _ in 0..3 {
        let frame = gray8(&picture(), WIDTH, HEIGHT);
        drop(harness.push_and_pull(frame).unwrap());
    }
    posted.extend(warnings(&bus));
    let [text] = posted.as_slice() else {
        panic!("{posted:?}");
    };
    assert!(
        text.contains("show-classes=1,7") && text.contains("no class 7"),
        "{text}"
    );
    for (classes, lacking) in [("1", None), ("all", None), ("2", Some("no class 2"))] {
        element.set_property("show-classes", classes);
        let posted = warnings(&bus);
        assert_eq!(posted.len(), usize::from(lacking.is_some()), "{posted:?}");
        assert!(
            posted
                .iter()
                .zip(lacking)
                .all(|(text, what)| text.contains(what))
        );
    }
}

#[test]
fn properties_that_are_read_at_the_start_say_so() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let bus = bus_of(&element);
    element.set_property("tile-size", 64_u32);
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
    element.set_state(gst::State::Paused).unwrap();
    element.set_property("opacity", 0.5);
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
    element.set_property("tile-size", 32_u32);
    let text = warnings(&bus).remove(0);
    assert!(
        text.contains("tile-size") && text.contains("next start"),
        "{text}"
    );
    element.set_state(gst::State::Null).unwrap();
}

/// A text that was refused with a warning has no effect on models to come, nor on the next start.
#[test]
fn a_refused_text_is_forgotten_once_reported() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let element = element(&model, &[]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    element.set_property("display-range", "bright");
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_some());
    element.set_property("model-file", model.to_str().unwrap());
    let start = Instant::now();
    let loaded: bool = loop {
        let frame = gray8(&picture(), WIDTH, HEIGHT);
        drop(harness.push_and_pull(frame).unwrap());
        let message = bus.pop_filtered(&[gst::MessageType::Element]);
        if let Some(loaded) = message.and_then(|message| message.structure()?.get("loaded").ok()) {
            break loaded;
        }
        assert!(start.elapsed() < Duration::from_secs(30));
    };
    assert!(loaded, "a text that was refused has refused the model");
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    element.set_state(gst::State::Paused).unwrap();
    element.set_state(gst::State::Null).unwrap();
    // Before a start there may be no bus.
    element.set_property("trigger", "nonsense");
    assert!(common::refusal(&element).contains("trigger"));
}
