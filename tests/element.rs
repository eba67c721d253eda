//! The effects of the element on a stream: its outputs, what they keep of the frames, and messages.

mod common;

use common::frames::{HEIGHT, WIDTH};
use common::pipelines::launch;
use common::watch::bus_of;
use common::{Files, SMALL, caps, cells, element, gray8, harness, info, mask_of, pixels};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;

fn picture() -> Vec<u8> {
    cells(WIDTH, HEIGHT, 1)
}

#[test]
fn the_output_is_the_mask_of_the_meta() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "mask")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let out = harness
        .push_and_pull(gray8(&picture(), WIDTH, HEIGHT))
        .unwrap();
    let (mask, ..) = mask_of(&out);
    assert!(mask.contains(&0) && mask.contains(&1));
    assert_eq!(pixels(&harness, &out), (mask, "GRAY8".into()));
}

#[test]
fn the_probability_is_above_half_where_the_mask_is() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (format, bytes) in [("GRAY8", 1), ("GRAY16_LE", 2)] {
        let element = element(&model, &[("output", "probability")]);
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_caps(caps("GRAY8", WIDTH, HEIGHT), caps(format, WIDTH, HEIGHT));
        let out = harness
            .push_and_pull(gray8(&picture(), WIDTH, HEIGHT))
            .unwrap();
        let (mask, ..) = mask_of(&out);
        let (probability, found) = pixels(&harness, &out);
        assert_eq!(found, format);
        let half = if bytes == 1 { 127.5 } else { 32_767.5 };
        for (value, class) in probability.chunks_exact(bytes).zip(&mask) {
            let value = match value {
                [one] => f64::from(*one),
                [low, high] => f64::from(u16::from_le_bytes([*low, *high])),
                _ => unreachable!(),
            };
            // Half itself may be rounded to either side.
            assert!(
                (value > half) == (*class == 1) || (value - half).abs() < 1.0,
                "{value} {class}"
            );
        }
    }
}

#[test]
fn grey_becomes_a_coloured_overlay() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("opacity", "1")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let picture = picture();
    let out = harness
        .push_and_pull(gray8(&picture, WIDTH, HEIGHT))
        .unwrap();
    let (mask, ..) = mask_of(&out);
    let (pixels, format) = pixels(&harness, &out);
    assert_eq!(format, "RGBA");
    let [r, g, b] = gstunetsegment::picture::default_color(1).0;
    for ((pixel, gray), class) in pixels.chunks_exact(4).zip(&picture).zip(&mask) {
        let expected = match class {
            0 => [*gray, *gray, *gray, 255],
            _ => [r, g, b, 255],
        };
        assert_eq!(pixel, expected);
    }
}

#[test]
fn colour_is_drawn_upon_in_place() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("opacity", "1")]);
    for format in ["RGB", "BGRx", "NV12", "I420"] {
        let mut harness = harness(&element, format, WIDTH, HEIGHT);
        let buffer = gst::Buffer::from_mut_slice(vec![90; info(format, WIDTH, HEIGHT).size()]);
        let address = buffer.map_readable().unwrap().as_ptr();
        let out = harness.push_and_pull(buffer).unwrap();
        assert_eq!(
            out.map_readable().unwrap().as_ptr(),
            address,
            "{format} was copied"
        );
        let caps = harness.sinkpad().unwrap().current_caps().unwrap();
        assert_eq!(
            caps.structure(0).unwrap().get::<String>("format").unwrap(),
            format
        );
    }
}

#[test]
fn with_output_none_the_frame_is_unchanged() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "none")]);
    for format in ["GRAY16_LE", "RGB", "NV12"] {
        let mut harness = harness(&element, format, WIDTH, HEIGHT);
        let size = info(format, WIDTH, HEIGHT).size();
        let bytes: Vec<u8> = (0..size).map(|index| (index * 7 % 251) as u8).collect();
        let buffer = gst::Buffer::from_slice(bytes.clone());
        let address = buffer.map_readable().unwrap().as_ptr();
        // Somebody else looks at the frame too, so that nothing may be written to it.
        let other = buffer.clone();
        let out = harness.push_and_pull(buffer).unwrap();
        assert_eq!(out.map_readable().unwrap().as_slice(), bytes, "{format}");
        assert_eq!(
            out.map_readable().unwrap().as_ptr(),
            address,
            "{format} was copied"
        );
        assert_eq!(mask_of(&out).1, WIDTH);
        assert!(gstunetsegment::mask_meta::of(&other).is_none());
    }
}

#[test]
fn times_flags_and_metas_survive() {
    let files = Files::new();
    for output in ["overlay", "mask", "none"] {
        let element = element(&files.model(&SMALL), &[("output", output)]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let mut buffer = gray8(&picture(), WIDTH, HEIGHT);
        {
            let buffer = buffer.get_mut().unwrap();
            buffer.set_pts(gst::ClockTime::from_mseconds(1234));
            buffer.set_dts(gst::ClockTime::from_mseconds(1200));
            buffer.set_duration(gst::ClockTime::from_mseconds(50));
            buffer.set_offset(77);
            buffer.set_offset_end(78);
            buffer.set_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::MARKER);
            gst::ReferenceTimestampMeta::add(
                buffer,
                &gst::Caps::builder("timestamp/x-camera").build(),
                gst::ClockTime::from_seconds(5),
                gst::ClockTime::NONE,
            );
            gst_video::VideoRegionOfInterestMeta::add(buffer, "cell", (1, 2, 3, 4));
        }
        let out = harness.push_and_pull(buffer).unwrap();
        assert_eq!(
            out.pts(),
            Some(gst::ClockTime::from_mseconds(1234)),
            "{output}"
        );
        assert_eq!(
            out.dts(),
            Some(gst::ClockTime::from_mseconds(1200)),
            "{output}"
        );
        assert_eq!(
            out.duration(),
            Some(gst::ClockTime::from_mseconds(50)),
            "{output}"
        );
        assert_eq!((out.offset(), out.offset_end()), (77, 78), "{output}");
        assert!(
            out.flags()
                .contains(gst::BufferFlags::DISCONT | gst::BufferFlags::MARKER)
        );
        let time = out
            .meta::<gst::ReferenceTimestampMeta>()
            .expect("the camera's time");
        assert_eq!(time.timestamp(), gst::ClockTime::from_seconds(5));
        let region = out
            .meta::<gst_video::VideoRegionOfInterestMeta>()
            .expect("the region");
        assert_eq!(region.rect(), (1, 2, 3, 4));
    }
}

#[test]
fn frames_need_neither_times_nor_a_rate() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let out = harness
        .push_and_pull(gray8(&picture(), WIDTH, HEIGHT))
        .unwrap();
    assert_eq!((out.pts(), out.duration()), (None, None));
}

#[test]
fn the_meta_survives_conversion_but_not_scaling() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (last, stays) in [
        ("videoconvert ! video/x-raw,format=I420", true),
        ("videoscale ! video/x-raw,width=50", false),
    ] {
        let text = format!(
            "videotestsrc num-buffers=1 pattern=ball ! video/x-raw,format=GRAY8,width=90,height=60 ! \
             unetsegment model-file={} ! {last} ! appsink name=sink",
            model.display()
        );
        let pipeline = launch(&text);
        pipeline.set_state(gst::State::Playing).unwrap();
        let sink = pipeline
            .by_name("sink")
            .unwrap()
            .downcast::<gstreamer_app::AppSink>()
            .unwrap();
        let sample = sink.pull_sample().unwrap();
        let mask = gstunetsegment::mask_meta::of(sample.buffer().unwrap());
        assert_eq!(mask.is_some(), stays, "{last}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn messages_report_the_coverage_of_the_mask() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("post-messages", "true")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = bus_of(&element);
    for number in 0..3_u64 {
        let mut buffer = gray8(&picture(), WIDTH, HEIGHT);
        buffer
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_seconds(number));
        let out = harness.push_and_pull(buffer).unwrap();
        let message = bus
            .pop_filtered(&[gst::MessageType::Element])
            .expect("a message");
        let fields = message.structure().unwrap();
        assert_eq!(fields.name(), "unetsegment");
        assert_eq!(fields.get::<u64>("frame").unwrap(), number);
        assert_eq!(
            fields.get::<u64>("timestamp").unwrap(),
            number * 1_000_000_000
        );
        let (mask, ..) = mask_of(&out);
        let covered = mask.iter().filter(|class| **class != 0).count() as f64;
        let coverage: f64 = fields.get("coverage").unwrap();
        assert!((coverage - covered / mask.len() as f64).abs() < 1e-12);
        assert!(fields.get::<u32>("objects").unwrap() > 0);
    }
}

#[test]
fn the_model_says_which_objects_are_too_small() {
    let files = Files::new();
    let mut contract = SMALL.contract("large cells");
    contract.min_area = Some(WIDTH * HEIGHT + 1);
    let model = files.write("large.onnx", &common::described(&SMALL, &contract));
    for (min_area, counted) in [("-1", false), ("1", true)] {
        let element = element(&model, &[("post-messages", "true"), ("min-area", min_area)]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let bus = bus_of(&element);
        let buffer = gray8(&picture(), WIDTH, HEIGHT);
        harness.push_and_pull(buffer).unwrap();
        let message = bus.pop_filtered(&[gst::MessageType::Element]).unwrap();
        let objects: u32 = message.structure().unwrap().get("objects").unwrap();
        assert_eq!(objects > 0, counted, "min-area={min_area}");
    }
}

#[test]
fn the_provider_in_use_is_reported() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("execution-provider", "cpu")]);
    assert_eq!(element.property::<Option<String>>("active-provider"), None);
    element.set_state(gst::State::Paused).unwrap();
    assert_eq!(element.property::<String>("active-provider"), "cpu");
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn constant_frames_are_segmented() {
    let files = Files::new();
    for normalization in ["z-score", "percentile", "min-max", "fixed"] {
        let element = element(&files.model(&SMALL), &[("normalization", normalization)]);
        for value in [0, 128, 255] {
            common::segment(&element, &vec![value; WIDTH * HEIGHT], WIDTH, HEIGHT);
        }
    }
}
