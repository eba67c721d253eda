//! The probability that rides on a frame, and as a stream of its own: that of `output=probability`, bit for bit, from
//! the same inference as the mask.

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::pipelines::{end, launch};
use common::watch::{counted, stats};
use common::{Files, SMALL, caps, cells, element, harness, pixels, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;

/// Rows of an odd length, which are padded.
const WIDTH: usize = 91;
const HEIGHT: usize = 61;

fn frame(number: u64) -> gst::Buffer {
    timed(&cells(WIDTH, HEIGHT, number), WIDTH, HEIGHT, number)
}

/// `unetsegment output=probability`, asked for a format.
struct Output(Harness);

impl Output {
    fn new(model: &Path, properties: &[(&str, &str)], format: &str) -> Self {
        let all = [properties, &[("output", "probability")]].concat();
        let mut harness = Harness::with_element(&element(model, &all), Some("sink"), Some("src"));
        harness.set_caps(caps("GRAY8", WIDTH, HEIGHT), caps(format, WIDTH, HEIGHT));
        Output(harness)
    }

    fn of(&mut self, frame: gst::Buffer) -> Vec<u8> {
        let out = self.0.push_and_pull(frame).unwrap();
        pixels(&self.0, &out).0
    }
}

/// `unetsegment keep-probability=true ! unetmask what=probability`, asked for a format.
struct Ridden {
    segmenter: gst::Element,
    frames: Harness,
    probabilities: Harness,
}

impl Ridden {
    fn new(model: &Path, properties: &[(&str, &str)], format: &str) -> Self {
        let all = [
            &[("output", "none"), ("keep-probability", "true")],
            properties,
        ];
        let segmenter = element(model, &all.concat());
        let frames = harness(&segmenter, "GRAY8", WIDTH, HEIGHT);
        let unetmask = gst::ElementFactory::make("unetmask")
            .property_from_str("what", "probability")
            .property("drop-stale", true)
            .build()
            .unwrap();
        let mut probabilities = Harness::with_element(&unetmask, Some("sink"), Some("src"));
        let of_frames = if properties.contains(&("output", "overlay")) {
            "RGBA"
        } else {
            "GRAY8"
        };
        let of_frames = caps(of_frames, WIDTH, HEIGHT);
        probabilities.set_caps(of_frames, caps(format, WIDTH, HEIGHT));
        Ridden {
            segmenter,
            frames,
            probabilities,
        }
    }

    /// The frame as it leaves the one element, and the output of the other for it.
    fn pass(&mut self, frame: gst::Buffer) -> (gst::Buffer, Option<gst::Buffer>) {
        let frame = self.frames.push_and_pull(frame).unwrap();
        self.probabilities.push(frame.clone()).unwrap();
        (frame, self.probabilities.try_pull())
    }

    fn of(&mut self, frame: gst::Buffer) -> Vec<u8> {
        let (_, out) = self.pass(frame);
        pixels(&self.probabilities, &out.unwrap()).0
    }
}

#[test]
fn the_probability_is_that_of_the_output() {
    let files = Files::new();
    let three = UNet {
        classes: 3,
        width: 3,
        ..SMALL
    };
    for unet in [SMALL, three] {
        let model = files.model(&unet);
        for (format, bytes) in [("GRAY8", 1), ("GRAY16_LE", 2)] {
            for properties in [
                &[][..],
                &[("tile-size", "48"), ("blend", "gaussian")],
                &[("tile-size", "48"), ("reuse", "exact")],
                &[("frames-in-flight", "1"), ("output", "overlay")],
            ] {
                let mut ridden = Ridden::new(&model, properties, format);
                let mut output = Output::new(&model, properties, format);
                // The same frame twice, so that there is something to use again.
                for number in [0, 1, 1, 2] {
                    let expected = output.of(frame(number));
                    assert_eq!(expected.len(), bytes * WIDTH * HEIGHT);
                    assert!(expected.iter().any(|value| *value != expected[0]));
                    let found = ridden.of(frame(number));
                    assert!(found == expected, "{format} {properties:?} {number}");
                }
            }
        }
    }
}

/// Frames that share a mask share its probability, and the memory of it.
#[test]
fn the_probability_belongs_to_the_mask() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let properties = [("inference-interval", "3"), ("max-mask-age", "0")];
    let mut ridden = Ridden::new(&model, &properties, "GRAY16_LE");
    let mut output = Output::new(&model, &[], "GRAY16_LE");
    let mut memory = std::ptr::null();
    for number in 0..6 {
        let (frame_out, out) = ridden.pass(frame(number));
        let (probability, of) = mask_meta::of(&frame_out).unwrap().probability.unwrap();
        let place = probability.map_readable().unwrap().as_ptr();
        assert_eq!(place == memory, number % 3 != 0, "{number}");
        memory = place;
        assert_eq!(of.structure(0).unwrap().get("format"), Ok("GRAY16_LE"));
        let expected = output.of(frame(number / 3 * 3));
        let found = pixels(&ridden.probabilities, &out.unwrap()).0;
        assert!(found == expected, "{number}");
    }
    assert_eq!(stats(&ridden.segmenter, "runs"), 2);
}

#[test]
fn with_mode_latest_the_probability_belongs_to_the_newest_mask() {
    let files = Files::new();
    let model = files.model(&UNet { width: 16, ..SMALL });
    let properties = [("mode", "latest"), ("max-mask-age", "0")];
    let mut ridden = Ridden::new(&model, &properties, "GRAY8");
    let mut output = Output::new(&model, &[], "GRAY8");
    let (mut checked, start) = (0, Instant::now());
    for number in 0.. {
        let (frame_out, out) = ridden.pass(frame(number));
        std::thread::sleep(Duration::from_millis(2));
        let Some(mask) = mask_meta::of(&frame_out) else {
            assert!(out.is_none() && start.elapsed() < Duration::from_secs(60));
            continue;
        };
        let of = mask.timestamp.unwrap().mseconds() / 40;
        let found = pixels(&ridden.probabilities, &out.unwrap()).0;
        assert!(found == output.of(frame(of)), "{number} {of}");
        checked += 1;
        if checked == 20 {
            break;
        }
    }
    // A stale mask counts as none.
    ridden
        .segmenter
        .set_property("inference-interval", 1000_u32);
    ridden.segmenter.set_property("max-mask-age", 1_u32);
    // The network still gets the next frame, and perhaps has its mask before it goes out.
    ridden.pass(frame(0));
    std::thread::sleep(Duration::from_millis(200));
    assert!(ridden.pass(frame(1)).1.is_none());
}

#[test]
fn frames_carry_a_probability_only_on_request() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let segmenter = element(&model, &[]);
    let mut frames = harness(&segmenter, "GRAY8", WIDTH, HEIGHT);
    for asked in [false, true, false] {
        segmenter.set_property("keep-probability", asked);
        let out = frames.push_and_pull(frame(1)).unwrap();
        let mask = mask_meta::of(&out).unwrap();
        assert_eq!(mask.probability.is_some(), asked);
    }
}

#[test]
fn buffers_of_probabilities_are_reused() {
    let files = Files::new();
    let mut ridden = Ridden::new(&files.model(&SMALL), &[], "GRAY8");
    let mut places: Vec<_> = (0..12)
        .map(|number| {
            let (frame, out) = ridden.pass(frame(number));
            let kept = mask_meta::of(&frame).unwrap().probability.unwrap().0;
            let place = |buffer: &gst::Buffer| buffer.map_readable().unwrap().as_ptr();
            [place(&kept), place(&out.unwrap())]
        })
        .collect();
    places.sort();
    places.dedup();
    assert!(places.len() <= 3, "{places:?}");
}

/// Display, masks and probabilities of both depths.
#[test]
fn one_inference_serves_all_branches() {
    let files = Files::new();
    let text = format!(
        "videotestsrc pattern=ball num-buffers=8 ! video/x-raw,format=GRAY8,width=90,height=61 ! \
         unetsegment name=unet model-file={} keep-probability=true ! tee name=frames \
         frames. ! queue ! identity name=display ! fakesink \
         frames. ! queue ! unetmask name=masks ! fakesink \
         frames. ! queue ! unetmask name=narrow what=probability ! fakesink \
         frames. ! queue ! unetmask name=wide what=probability ! video/x-raw,format=GRAY16_LE ! fakesink",
        files.model(&SMALL).display()
    );
    let pipeline = launch(&text);
    let watched = ["display", "masks", "narrow", "wide"].map(|name| {
        let element = pipeline.by_name(name).unwrap();
        let count = counted(&element, "src");
        (element.static_pad("src").unwrap(), count)
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    end(&pipeline);
    let counts = watched
        .each_ref()
        .map(|(_, count)| count.load(Ordering::SeqCst));
    assert_eq!(counts, [8; 4]);
    let formats = watched.map(|(pad, _)| {
        let caps = pad.current_caps().unwrap();
        caps.structure(0).unwrap().get::<String>("format").unwrap()
    });
    assert_eq!(formats, ["RGBA", "GRAY8", "GRAY8", "GRAY16_LE"]);
    let unet = pipeline.by_name("unet").unwrap();
    assert_eq!(stats(&unet, "runs"), 8, "more than one run a frame");
    pipeline.set_state(gst::State::Null).unwrap();
}
