//! The mask of a frame as a stream of its own: the same bytes, at the same time, from the same inference.

mod common;

use std::sync::{Arc, Mutex};

use common::pipelines::{end, launch};
use common::watch::{bus_of, stats, warnings};
use common::{Files, SMALL, bright, cells, element, error_on, gray8, harness, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;

/// A harness around `unetmask` alone.
fn alone(properties: &[(&str, &str)], width: usize, height: usize) -> (gst::Element, Harness) {
    common::init();
    let element = gst::ElementFactory::make("unetmask").build().unwrap();
    for (name, value) in properties {
        element.set_property_from_str(name, value);
    }
    let harness = harness(&element, "GRAY8", width, height);
    (element, harness)
}

/// Frames with masks, labels and probabilities, as `unetsegment` lets them out.
fn segmented(width: usize, height: usize, count: u64) -> Vec<gst::Buffer> {
    let files = Files::new();
    let properties = [
        ("output", "none"),
        ("find-objects", "true"),
        ("keep-probability", "true"),
    ];
    let element = element(&files.model(&SMALL), &properties);
    let mut harness = harness(&element, "GRAY8", width, height);
    (0..count)
        .map(|number| {
            let mut frame = timed(&cells(width, height, number), width, height, number);
            let fields = frame.get_mut().unwrap();
            fields.set_duration(gst::ClockTime::from_mseconds(40));
            fields.set_offset(number);
            harness.push_and_pull(frame).unwrap()
        })
        .collect()
}

fn bytes(buffer: &gst::BufferRef) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

#[test]
fn the_memory_of_the_meta_goes_out() {
    for (what, format) in [
        ("mask", "GRAY8"),
        ("labels", "GRAY16_LE"),
        ("probability", "GRAY16_LE"),
    ] {
        let (_element, mut harness) = alone(&[("what", what)], 88, 61);
        harness.set_sink_caps(common::caps(format, 88, 61));
        for frame in segmented(88, 61, 3) {
            let mask = mask_meta::of(&frame).unwrap();
            let expected = match what {
                "mask" => mask.mask,
                "labels" => mask.labels.unwrap().0,
                _ => mask.probability.unwrap().0,
            };
            let out = harness.push_and_pull(frame.clone()).unwrap();
            assert_eq!(bytes(&out), bytes(&expected), "{what}");
            assert_eq!(
                out.peek_memory(0).as_ptr(),
                expected.peek_memory(0).as_ptr(),
                "{what} was copied"
            );
            assert_eq!((out.pts(), out.duration()), (frame.pts(), frame.duration()));
            assert_eq!(out.offset(), frame.offset());
            // Buffers whose memory was replaced have this flag.
            let marked = frame.flags() | gst::BufferFlags::TAG_MEMORY;
            assert_eq!(out.flags() | gst::BufferFlags::TAG_MEMORY, marked);
        }
        let caps = harness.sinkpad().unwrap().current_caps().unwrap();
        let fields = caps.structure(0).unwrap();
        assert_eq!(fields.get("format"), Ok(format));
        assert_eq!(
            (fields.get("width"), fields.get("height")),
            (Ok(88), Ok(61))
        );
    }
}

/// Another value counts from the next start on, and does not disturb the current stream.
#[test]
fn the_property_what_is_fixed_while_frames_flow() {
    let mut frames = segmented(60, 40, 3).into_iter();
    let (element, mut harness) = alone(&[], 60, 40);
    for what in ["labels", "probability", "mask"] {
        element.set_property_from_str("what", what);
        let frame = frames.next().unwrap();
        let mask = mask_meta::of(&frame).unwrap().mask;
        let out = harness.push_and_pull(frame).unwrap();
        assert_eq!(bytes(&out), bytes(&mask), "{what}");
    }
}

/// They have an odd length, which GStreamer pads.
#[test]
fn rows_have_the_padding_that_downstream_expects() {
    let (_element, mut harness) = alone(&[], 90, 61);
    let frame = segmented(90, 61, 1).remove(0);
    let mask = bytes(&mask_meta::of(&frame).unwrap().mask);
    let out = harness.push_and_pull(frame).unwrap();
    assert_eq!(common::pixels(&harness, &out).0, mask);
}

#[test]
fn frames_without_a_mask_are_dropped_or_empty() {
    let plain = |number: u64| timed(&[7; 24 * 16], 24, 16, number);
    let (element, mut harness) = alone(&[], 24, 16);
    let bus = bus_of(&element);
    for number in 0..120 {
        harness.push(plain(number)).unwrap();
    }
    assert!(harness.try_pull().is_none());
    let events = std::iter::from_fn(|| harness.try_pull_event());
    let gaps = events.filter(|event| event.type_() == gst::EventType::Gap);
    assert_eq!(gaps.count(), 120);
    assert_eq!(warnings(&bus).len(), 1);

    let (_element, mut harness) = alone(&[("without-mask", "empty")], 24, 16);
    let out = harness.push_and_pull(plain(3)).unwrap();
    assert_eq!(bytes(&out), [0; 24 * 16]);
    assert_eq!(out.pts(), plain(3).pts());
}

/// A stale mask does not count as missing.
#[test]
fn stale_masks_are_reported_as_such() {
    let (element, mut harness) = alone(&[("drop-stale", "true")], 88, 61);
    let bus = bus_of(&element);
    let fresh = segmented(88, 61, 1).remove(0);
    let mut stale = fresh.copy();
    let mask = mask_meta::of(&fresh).unwrap();
    let fields = stale.make_mut();
    mask_meta::attach(
        fields,
        mask_meta::Mask {
            stale: true,
            ..mask
        },
    )
    .unwrap();
    for _ in 0..99 {
        harness.push(stale.clone()).unwrap();
    }
    harness.push(fresh).unwrap();
    assert!(harness.try_pull().is_some());
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
    for _ in 0..120 {
        harness.push(stale.clone()).unwrap();
    }
    assert!(harness.try_pull().is_none());
    let texts = warnings(&bus);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("stale") && texts[0].contains("max-mask-age"),
        "{texts:?}"
    );
}

#[test]
fn missing_maps_are_reported() {
    let files = Files::new();
    let segmenter = bright(&files, &[("output", "none")]);
    let mut source = harness(&segmenter, "GRAY8", 24, 16);
    let frame = source.push_and_pull(gray8(&[9; 24 * 16], 24, 16)).unwrap();
    for (what, asked_by) in [
        ("labels", "find-objects"),
        ("probability", "keep-probability"),
    ] {
        let (element, mut harness) = alone(&[("what", what)], 24, 16);
        let bus = bus_of(&element);
        assert!(harness.push(frame.clone()).is_err());
        let text = error_on(&bus);
        let expected = format!("no {what}: set {asked_by}=true");
        assert!(text.contains(&expected), "{text}");
    }
}

/// Runs `text` to its end; returns the masks or labels that pass the pad of `watched`.
fn play(text: &str, watched: &str, what: &str) -> (Vec<Vec<u8>>, gst::Pipeline) {
    let pipeline = launch(text);
    let masks = Arc::new(Mutex::new(Vec::new()));
    let (seen, of_labels) = (masks.clone(), what == "labels");
    let pad = pipeline
        .by_name(watched)
        .unwrap()
        .static_pad("src")
        .unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer().unwrap();
        let mask = mask_meta::of(buffer).map(|mask| {
            if of_labels {
                bytes(&mask.labels.unwrap().0)
            } else {
                bytes(&mask.mask)
            }
        });
        let mask = mask.unwrap_or_else(|| bytes(buffer));
        seen.lock().unwrap().push(mask);
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    end(&pipeline);
    let masks = std::mem::take(&mut *masks.lock().unwrap());
    (masks, pipeline)
}

/// Bit for bit, with an overlay from the same inference.
#[test]
fn recordings_hold_the_maps_of_the_meta() {
    common::init();
    let ffv1 = gst::ElementFactory::find("avenc_ffv1");
    assert!(
        ffv1.is_some(),
        "FFV1 is missing: install gstreamer1.0-libav"
    );
    let matroska = (
        "avenc_ffv1 ! matroskamux ! filesink location=",
        ["filesrc location=", " ! matroskademux ! avdec_ffv1"],
        "recorded.mkv",
    );
    let pictures = (
        "pngenc ! multifilesink location=",
        [
            "multifilesrc caps=image/png,framerate=25/1 location=",
            " ! pngdec",
        ],
        "recorded%03d.png",
    );
    assert_recorded(("mask", "GRAY8"), pictures);
    assert_recorded(("mask", "GRAY8"), matroska);
    assert_recorded(("labels", "GRAY16_LE"), matroska);
}

/// How a file is written, how it is read, and its name.
type Recording = (&'static str, [&'static str; 2], &'static str);

fn assert_recorded((what, format): (&str, &str), (writer, reader, file): Recording) {
    let files = Files::new();
    let (model, path) = (files.model(&SMALL), files.path(file));
    let path = path.to_str().unwrap();
    let recording = format!(
        "videotestsrc pattern=ball num-buffers=8 ! video/x-raw,format=GRAY8,width=90,height=61,framerate=25/1 ! \
         unetsegment name=unet model-file={} output=none find-objects=true ! tee name=frames \
         frames. ! queue ! unetmask what={what} ! {writer}{path} \
         frames. ! queue ! display. \
         identity name=display ! fakesink",
        model.display()
    );
    let (expected, pipeline) = play(&recording, "unet", what);
    let unet = pipeline.by_name("unet").unwrap();
    assert_eq!(stats(&unet, "runs"), 8, "more than one run a frame");
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(expected.iter().flatten().any(|byte| *byte > 0), "{what}");
    let [source, decoder] = reader;
    let reading = format!(
        "{source}{path}{decoder} ! videoconvert ! video/x-raw,format={format} ! identity name=rows ! fakesink"
    );
    let (padded, pipeline) = play(&reading, "rows", what);
    pipeline.set_state(gst::State::Null).unwrap();
    // Rows of 90 samples are padded to a multiple of 4 bytes.
    let row = expected[0].len() / 61;
    let rows = |frame: &Vec<u8>| -> Vec<u8> {
        let rows = frame.chunks(frame.len() / 61).take(61);
        rows.flat_map(|padded| &padded[..row]).copied().collect()
    };
    let found: Vec<_> = padded.iter().map(rows).collect();
    assert_eq!(found.len(), 8, "{file} {what}");
    assert_eq!(found, expected, "{file} {what}");
}
