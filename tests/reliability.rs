//! What an acquisition relies on while frames flow: nothing holds the stream up, and no mask belongs to another frame
//! than it says. Most tests have a short form, and a long one that `make soak` runs.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::pipelines::{end, launch};
use common::process::{alone, assert_quick};
use common::watch::{bus_of, counted, dropped, stats, wait};
use common::{
    Files, SLOW, SMALL, bright, cells, element, gray8, harness, mask_of, short_or_long, timed,
};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstunetsegment::labels::{Labeller, ObjectRules, Split};
use gstunetsegment::mask_meta;
use gstunetsegment::picture::Format;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A frame of any format whose rows lie `padding` bytes further apart than usual, with `picture` as its brightness.
fn spread(info: &gst_video::VideoInfo, picture: &[u8], padding: usize) -> gst::Buffer {
    let planes = info.n_planes() as usize;
    let strides: Vec<usize> = (0..planes)
        .map(|plane| info.stride()[plane] as usize + padding)
        .collect();
    // In all these formats a plane's height is that of the component of its number.
    let lengths = (0..planes).map(|plane| strides[plane] * info.comp_height(plane as u8) as usize);
    let mut size = 0;
    let mut offsets = Vec::new();
    for length in lengths {
        offsets.push(size);
        size += length;
    }
    // Grey, where there is colour.
    let mut bytes = vec![128; size];
    let width = info.width() as usize;
    for (line, values) in picture.chunks_exact(width).enumerate() {
        let line = &mut bytes[line * strides[0]..];
        let pixels = line.chunks_exact_mut(info.comp_pstride(0) as usize);
        for (pixel, value) in pixels.zip(values) {
            match info.format() {
                gst_video::VideoFormat::Gray16Le => pixel.copy_from_slice(&[*value, 0]),
                gst_video::VideoFormat::Gray16Be => pixel.copy_from_slice(&[0, *value]),
                _ => pixel.fill(*value),
            }
        }
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    gst_video::VideoMeta::add_full(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        info.format(),
        info.width(),
        info.height(),
        &offsets,
        &strides
            .iter()
            .map(|stride| *stride as i32)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    buffer
}

/// Caps of all formats and many sizes and strides follow each other. Each has a picture of its own, and no frame has
/// the mask of another picture.
#[test]
fn masks_fit_the_caps_of_their_frames() {
    let _alone = alone();
    let files = Files::new();
    for mode in ["sync", "latest"] {
        let properties = [("mode", mode), ("output", "none"), ("tile-memory", "64")];
        let element = bright(&files, &properties);
        let mut harness = harness(&element, "GRAY8", 33, 21);
        let mut random = StdRng::seed_from_u64(5);
        for round in 0..short_or_long(44, 500) {
            let format = Format::ALL[round % Format::ALL.len()].name();
            let extreme = [(1, 1), (4096, 4096), (1, 4096), (4096, 1)];
            let (width, height) = extreme.get(round).copied().unwrap_or_else(|| {
                let most = if round % 50 == 49 { 4096 } else { 600 };
                (random.random_range(1..=most), random.random_range(1..=most))
            });
            let info = common::info(format, width, height);
            assert!(harness.push_event(gst::event::Caps::new(&info.to_caps().unwrap())));
            let expected: Vec<u8> = (0..width * height)
                .map(|_| random.random_range(0..2))
                .collect();
            let picture: Vec<u8> = expected.iter().map(|class| 20 + 200 * class).collect();
            let frame = spread(&info, &picture, random.random_range(0..8));
            // Where no frame waits for its mask, some caps stay until one is there.
            let is_awaited = mode == "sync" || round % 8 == 0;
            let mut frames = 0;
            wait("a mask", || {
                let out = harness.push_and_pull(frame.copy()).unwrap();
                frames += 1;
                let has_mask = mask_meta::of(&out).is_some();
                if has_mask {
                    let what = format!("{mode}, {format}, {width} x {height}");
                    let (mask, mask_width, mask_height) = mask_of(&out);
                    assert_eq!((mask_width, mask_height), (width, height), "{what}");
                    assert!(mask == expected, "{what}: the mask of another picture");
                }
                assert!(has_mask || mode == "latest", "{format}");
                frames >= 2 && (has_mask || !is_awaited)
            });
        }
    }
}

/// With `output=none` frames of all formats are what they were, in bytes, times, flags and metas.
#[test]
fn frames_pass_unchanged() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    let reference = gst::Caps::builder("timestamp/x-unix").build();
    let duration = gst::ClockTime::from_mseconds(7);
    for mode in ["sync", "latest"] {
        let element = element(&model, &[("mode", mode), ("output", "none")]);
        let mut harness = harness(&element, "GRAY8", 33, 21);
        let mut random = StdRng::seed_from_u64(9);
        let mut numbers = 0..short_or_long(550, 10_010);
        let of_each = numbers.end / Format::ALL.len() as u64;
        for format in Format::ALL {
            let info = common::info(format.name(), 33, 21);
            assert!(harness.push_event(gst::event::Caps::new(&info.to_caps().unwrap())));
            for number in numbers.by_ref().take(of_each as usize) {
                let picture: Vec<u8> = (0..33 * 21).map(|_| random.random()).collect();
                let mut frame = spread(&info, &picture, random.random_range(0..8));
                let bytes = frame.map_readable().unwrap().to_vec();
                let time = gst::ClockTime::from_mseconds(7 * number);
                // As where frames are sent in another order than they are shown.
                let sent = time.checked_sub(duration);
                {
                    let frame = frame.get_mut().unwrap();
                    frame.set_pts(time);
                    frame.set_dts(sent);
                    frame.set_duration(duration);
                    frame.set_offset(number);
                    frame.set_offset_end(number + 1);
                    frame.set_flags(match number % 5 {
                        0 => gst::BufferFlags::DISCONT,
                        1 => gst::BufferFlags::MARKER,
                        2 => gst::BufferFlags::DELTA_UNIT | gst::BufferFlags::NON_DROPPABLE,
                        _ => gst::BufferFlags::empty(),
                    });
                    gst::ReferenceTimestampMeta::add(frame, &reference, time, gst::ClockTime::NONE);
                    let region = (number as u32, 2, 3, 4);
                    gst_video::VideoRegionOfInterestMeta::add(frame, "stage", region);
                }
                let flags = frame.flags();
                let out = harness.push_and_pull(frame).unwrap();
                assert_eq!(*out.map_readable().unwrap(), bytes, "{mode}, {format:?}");
                assert_eq!((out.pts(), out.dts()), (Some(time), sent));
                assert_eq!((out.offset(), out.offset_end()), (number, number + 1));
                assert_eq!(out.duration(), Some(duration));
                assert_eq!(out.flags(), flags);
                let meta = out.meta::<gst::ReferenceTimestampMeta>().unwrap();
                assert_eq!(meta.timestamp(), time);
                let meta = out.meta::<gst_video::VideoRegionOfInterestMeta>().unwrap();
                assert_eq!(meta.rect(), (number as u32, 2, 3, 4));
            }
        }
    }
}

/// Seeks during inference: what comes out is the segment of the last one, complete, with masks of its own frames.
#[test]
fn seeks_are_followed() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    for way in ["frames-in-flight=1", "frames-in-flight=3", "mode=latest"] {
        let text = format!(
            "videotestsrc pattern=ball ! video/x-raw,format=GRAY8,width=200,height=150,framerate=25/1 ! \
             unetsegment model-file={} {way} inference-interval=5 ! \
             fakesink name=sink sync=false signal-handoffs=true",
            model.display()
        );
        let pipeline = launch(&text);
        // Times of frames, and of their masks.
        let seen: Arc<Mutex<Vec<[Option<u64>; 2]>>> = Arc::default();
        let noted = seen.clone();
        let sink = pipeline.by_name("sink").unwrap();
        sink.connect("handoff", false, move |values| {
            let buffer: gst::Buffer = values[1].get().unwrap();
            let mask = mask_meta::of(&buffer).and_then(|mask| mask.timestamp);
            let times = [buffer.pts(), mask].map(|time| time.map(gst::ClockTime::mseconds));
            noted.lock().unwrap().push(times);
            None
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut random = StdRng::seed_from_u64(13);
        let mut times = Vec::new();
        let mut to = |begin: u64, frames: Option<u64>| {
            let time = |number: u64| gst::ClockTime::from_mseconds(40 * number);
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let stop = frames.map(|frames| time(begin + frames));
            let set = gst::SeekType::Set;
            let start = Instant::now();
            let sought = pipeline.seek(1.0, flags, set, time(begin), set, stop);
            times.push(start.elapsed());
            sought.unwrap();
        };
        for _ in 0..short_or_long(5, 170) {
            for _ in 0..random.random_range(0..5) {
                to(random.random_range(0..1000), None);
                thread::sleep(Duration::from_millis(random.random_range(0..30)));
            }
            let begin = random.random_range(0..1000);
            to(begin, Some(10));
            end(&pipeline);
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let seen = &seen[seen.len().saturating_sub(10)..];
            let times: Vec<u64> = seen.iter().map(|[time, _]| time.unwrap()).collect();
            let expected: Vec<u64> = (begin..begin + 10).map(|at| 40 * at).collect();
            assert_eq!(times, expected, "{way}");
            for (time, [_, of_mask]) in times.iter().zip(seen) {
                // The network sees the first one, and every fifth after it.
                let since = (time / 40 - begin) % 5 * 40;
                let own = match of_mask {
                    // It may be late, or the network so busy that it sees only the newest.
                    _ if way != "mode=latest" => *of_mask == Some(time - since),
                    Some(of_mask) => (40 * begin..=*time).contains(of_mask),
                    None => true,
                };
                assert!(
                    own,
                    "{way}: frame {time} of {begin} has the mask of {of_mask:?}"
                );
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        assert_quick(&times, Duration::from_millis(100));
    }
}

/// A source that is faster than the network is not held up.
#[test]
fn frames_pass_at_once_under_overload() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SLOW);
    for output in ["none", "overlay"] {
        overload(&model, output);
    }
}

fn overload(model: &Path, output: &str) {
    let properties = [("mode", "latest"), ("threads", "1"), ("output", output)];
    let element = element(model, &properties);
    let mut harness = harness(&element, "GRAY8", 300, 200);
    let bus = bus_of(&element);
    let counts = ["sink", "src"].map(|pad| counted(&element, pad));
    let picture = cells(300, 200, 1);
    let count: usize = short_or_long(200, 5_000);
    // How long most frames are held up, and how long all but one of a hundred are.
    let mut held = || {
        let mut held: Vec<Duration> = (0..count)
            .map(|_| {
                let frame = gray8(&picture, 300, 200);
                let start = Instant::now();
                harness.push(frame).unwrap();
                let held = start.elapsed();
                drop(harness.pull().unwrap());
                thread::sleep(Duration::from_millis(5));
                held
            })
            .collect();
        held.sort();
        // The short form runs beside other programs, which hold up more frames than one of a hundred.
        [short_or_long(90, 99), 99].map(|percent| held[count * percent / 100 - 1])
    };
    let [most, nearly_all] = held();
    assert!(most < Duration::from_millis(5), "{output}: {most:?}");
    assert!(
        nearly_all < Duration::from_millis(50),
        "{output}: {nearly_all:?}"
    );
    // Each frame goes out, with its own mask or another's, and none is reported as dropped.
    let sent = count as u64;
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [sent; 2]);
    let counts = ["in", "out", "dropped"].map(|name| stats(&element, name));
    assert_eq!(counts, [sent, sent, 0]);
    let [overtaken, seen] = ["overtaken", "frames"].map(|name| stats(&element, name));
    assert!(
        overtaken >= 9 * seen,
        "{output}: it keeps up: {overtaken} and {seen}"
    );
    assert!(bus.pop_filtered(&[gst::MessageType::Qos]).is_none());
}

/// Where only masks go out, frames that have none are dropped: the statistics, the messages and a count of the frames
/// at both pads agree.
#[test]
fn frames_without_masks_count_as_dropped() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SLOW);
    let properties = [
        ("mode", "latest"),
        ("output", "mask"),
        ("inference-interval", "10000"),
    ];
    let element = element(&model, &properties);
    let mut harness = harness(&element, "GRAY8", 300, 200);
    let bus = bus_of(&element);
    let counts = ["sink", "src"].map(|pad| counted(&element, pad));
    let picture = cells(300, 200, 1);
    for _ in 0..20 {
        harness.push(gray8(&picture, 300, 200)).unwrap();
    }
    let messages = dropped(&bus);
    let (_, out, dropped) = messages.last().expect("no message about dropped frames");
    let reported = [*out, *dropped].map(|count| count as u64);
    let [all, out, dropped] = ["in", "out", "dropped"].map(|name| stats(&element, name));
    // No message counts those that went out after the last one that was dropped.
    assert!(
        reported[0] <= out && reported[1] == dropped,
        "{reported:?} of {out} and {dropped}"
    );
    assert!(dropped > 1, "{dropped}");
    let counts = counts.map(|count| count.load(Ordering::SeqCst));
    assert_eq!([all, out], counts);
    assert_eq!(all, out + dropped);
}

/// The objects of a large frame, which take many times as long as a frame may be held, do not hold the stream up
/// either.
#[test]
fn frames_pass_at_once_while_objects_are_found() {
    let _alone = alone();
    let side = 1600;
    // Discs that touch their neighbours.
    let is_in = |x: usize, y: usize| {
        let away = |at: usize| (at % 26).abs_diff(13);
        away(x).pow(2) + away(y).pow(2) <= 14 * 14
    };
    let picture: Vec<u8> = (0..side * side)
        .map(|at| if is_in(at % side, at / side) { 200 } else { 20 })
        .collect();
    let mask: Vec<u8> = picture.iter().map(|value| u8::from(*value > 127)).collect();
    let rules = ObjectRules {
        split: Split::Distance,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    labeller.label(&mask, None, side, &rules).unwrap();
    let start = Instant::now();
    labeller.label(&mask, None, side, &rules).unwrap();
    let took = start.elapsed();
    let count = labeller.objects().len();
    assert!(count > 3_000, "{count} objects");

    let files = Files::new();
    let properties = [
        ("mode", "latest"),
        ("output", "none"),
        ("find-objects", "true"),
        ("split", "distance"),
        ("track", "true"),
        ("max-mask-age", "0"),
    ];
    let element = bright(&files, &properties);
    let mut harness = harness(&element, "GRAY8", side, side);
    let (mut held, mut seen) = (Vec::new(), BTreeSet::new());
    let begun = Instant::now();
    for number in 0.. {
        let frame = timed(&picture, side, side, number);
        let start = Instant::now();
        harness.push(frame).unwrap();
        held.push(start.elapsed());
        let out = harness.pull().unwrap();
        if let Some(mask) = mask_meta::of(&out) {
            assert_eq!(mask.objects.map(|objects| objects as usize), Some(count));
            assert!(mask.labels.is_some());
            seen.extend(mask.timestamp);
        }
        if seen.len() >= short_or_long(8, 200) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "{seen:?}");
        thread::sleep(Duration::from_millis(5));
    }
    held.sort();
    let most = held[held.len() * 9 / 10];
    assert!(most < took / 4, "{most:?}, where objects take {took:?}");
}
