//! What an acquisition counts on: nothing leaks, nothing hangs, nothing is shown for what it is not. Each test has a
//! short form, and a long one that `make soak` runs (`UNETSEGMENT_SOAK=1`).

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::watch::{has_failed, stats, wait};
use common::{Files, SMALL, cells, element, gray8, harness, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstunetsegment::mask_meta;
use gstunetsegment::picture::Format;
use gstunetsegment::unet::UNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often something is done: the short form, or the long one.
fn times(short: usize, long: usize) -> usize {
    match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => long,
        None => short,
    }
}

/// What a process takes can be told only while one test runs.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resident memory in KiB, open files and threads of this process.
#[cfg(target_os = "linux")]
fn taken() -> [usize; 3] {
    // What the allocator keeps for later is in use by nobody.
    #[cfg(target_env = "gnu")]
    // SAFETY: it gives free memory back, and touches no other.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let memory = line.unwrap().split_whitespace().nth(1).unwrap();
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    [
        memory.parse().unwrap(),
        count("/proc/self/fd"),
        count("/proc/self/task"),
    ]
}

fn play(text: &str) -> gst::Pipeline {
    let pipeline = gst::parse::launch(text).unwrap();
    pipeline.downcast().unwrap()
}

/// Waits for the end of the stream, or fails with its error.
fn end(pipeline: &gst::Pipeline) {
    let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
    let limit = gst::ClockTime::from_seconds(120);
    let message = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds);
    let message = message.expect("the stream stands still");
    assert!(
        matches!(message.view(), gst::MessageView::Eos(_)),
        "{message:?}"
    );
}

/// In a process of its own, with one arena of glibc's allocator and without huge pages: what is kept for each of many
/// threads that come and go, and memory that comes in steps of 2 MiB, would be taken for a leak.
#[cfg(target_os = "linux")]
#[test]
fn starting_and_stopping_leaves_nothing_behind() {
    let _alone = alone();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_starts_and_stops", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a part of starting_and_stopping_leaves_nothing_behind, which runs it in a process of its own"]
fn child_that_starts_and_stops() {
    // SAFETY: it changes how this process gets its pages, and touches no memory.
    let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    assert_eq!(done, 0);
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    let count = times(500, 10_000);
    for mode in ["sync", "latest"] {
        let text = format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=GRAY8,width=48,height=40 ! unetsegment model-file={} mode={mode} ! \
             fakesink sync=false",
            model.display()
        );
        let pipeline = play(&text);
        let mut first = [0; 3];
        for round in 0..count {
            pipeline.set_state(gst::State::Playing).unwrap();
            if round % 5 == 0 {
                end(&pipeline);
            }
            pipeline.set_state(gst::State::Null).unwrap();
            if round == count / 10 {
                first = taken();
            }
        }
        // A thread that is done may take a moment to be gone.
        let gone = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(10));
            let [_, files, threads] = taken();
            files <= first[1] && threads <= first[2]
        });
        let last = taken();
        assert!(
            gone,
            "{mode}: files and threads were {first:?} and are {last:?}"
        );
        let more = last[0].saturating_sub(first[0]);
        println!("{mode}: {more} KiB more after {count} starts");
        assert!(more < 1024, "{mode}: {more} KiB more");
    }
}

/// A stop in the middle of a load or a run is not held up by it.
#[test]
fn stopping_is_quick_at_any_moment() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet {
        width: 32,
        depth: 3,
        ..SMALL
    });
    // Without a contract, so that it is tried on many sizes.
    let another = gstunetsegment::unet::UNet {
        width: 64,
        depth: 4,
        ..SMALL
    };
    let another = files.write("another.onnx", &common::foreign(&another, |_| ()));
    common::init();
    let text = format!(
        "videotestsrc ! video/x-raw,format=GRAY8,width=696,height=520 ! unetsegment name=unet model-file={} ! fakesink",
        model.display()
    );
    let mut random = StdRng::seed_from_u64(3);
    for round in 0..times(20, 200) {
        let pipeline = play(&text);
        pipeline.set_state(gst::State::Playing).unwrap();
        thread::sleep(Duration::from_millis(random.random_range(0..300)));
        if round % 2 == 0 {
            // Another one is loaded meanwhile.
            let element = pipeline.by_name("unet").unwrap();
            element.set_property("model-file", another.to_str().unwrap());
        }
        let start = Instant::now();
        pipeline.set_state(gst::State::Null).unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_millis(500), "round {round}: {took:?}");
    }
}

/// Flushes in the middle of the network's work, and ends with frames on their way.
#[test]
fn flushes_and_ends_are_quick() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet { width: 8, ..SMALL });
    let mut random = StdRng::seed_from_u64(3);
    for (mode, in_flight) in [("sync", "1"), ("sync", "3"), ("latest", "1")] {
        let element = element(&model, &[("mode", mode), ("frames-in-flight", in_flight)]);
        let mut harness = harness(&element, "GRAY8", 400, 300);
        let pad = element.static_pad("sink").unwrap();
        let picture = cells(400, 300, 1);
        let start = Instant::now();
        drop(harness.push_and_pull(gray8(&picture, 400, 300)).unwrap());
        let a_frame = start.elapsed();
        for round in 0..times(34, 334) {
            let (sent, buffer) = (pad.clone(), gray8(&picture, 400, 300));
            let pushing = thread::spawn(move || sent.chain(buffer));
            thread::sleep(a_frame.mul_f64(random.random()));
            let start = Instant::now();
            assert!(pad.send_event(gst::event::FlushStart::new()));
            let _ = pushing.join().unwrap();
            assert!(pad.send_event(gst::event::FlushStop::new(true)));
            let took = start.elapsed();
            assert!(took < Duration::from_millis(100), "round {round}: {took:?}");
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            assert!(harness.push_event(gst::event::Segment::new(&segment)));
        }
        let [came, seen] = ["in", "frames"].map(|name| stats(&element, name));
        assert!(seen < came, "{mode}: no flush has met the network at work");
        while harness.try_pull().is_some() {}
        for _ in 0..3 {
            harness.push(gray8(&picture, 400, 300)).unwrap();
        }
        let start = Instant::now();
        assert!(harness.push_event(gst::event::Eos::new()));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "the end took {took:?}");
        // The end comes when the frames are out.
        assert_eq!(harness.buffers_in_queue(), 3);
    }
}

/// A frame of any format whose rows lie `padding` bytes further apart than usual.
fn spread(info: &gst_video::VideoInfo, padding: usize) -> gst::Buffer {
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
    let mut buffer = gst::Buffer::from_mut_slice(vec![100; size]);
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

/// Caps of all formats and many sizes and strides follow each other, and every mask is of its own frame's size.
#[test]
fn no_mask_of_other_caps() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    for mode in ["sync", "latest"] {
        let element = element(
            &model,
            &[("mode", mode), ("output", "none"), ("tile-memory", "64")],
        );
        let mut harness = harness(&element, "GRAY8", 33, 21);
        let mut random = StdRng::seed_from_u64(5);
        for round in 0..times(40, 500) {
            let format = Format::ALL[random.random_range(0..Format::ALL.len())].name();
            // Small ones mostly; the largest ones in the long form alone.
            let most = times(300, if round % 50 == 0 { 4096 } else { 600 });
            let (width, height) = (random.random_range(1..=most), random.random_range(1..=most));
            let info = common::info(format, width, height);
            assert!(harness.push_event(gst::event::Caps::new(&info.to_caps().unwrap())));
            // Where no frame waits for its mask, some caps stay until one is there.
            let is_awaited = mode == "sync" || round % 8 == 0;
            let frame = spread(&info, random.random_range(0..8));
            let mut frames = 0;
            wait("a mask", || {
                let out = harness.push_and_pull(frame.copy()).unwrap();
                let mask = mask_meta::of(&out);
                if let Some(mask) = &mask {
                    let found = gst_video::VideoInfo::from_caps(&mask.caps).unwrap();
                    let size = (found.width() as usize, found.height() as usize);
                    assert_eq!(size, (width, height), "{mode} {format}");
                    assert_eq!(mask.mask.size(), width * height);
                }
                frames += 1;
                assert!(mask.is_some() || mode == "latest", "{format}");
                frames >= 2 && (mask.is_some() || !is_awaited)
            });
        }
    }
}

/// With `output=none` frames are what they were, in pixels, times, flags and metas.
#[test]
fn frames_pass_unchanged() {
    let _alone = alone();
    let files = Files::new();
    let (width, height) = (32, 22);
    for mode in ["sync", "latest"] {
        let element = element(&files.model(&SMALL), &[("mode", mode), ("output", "none")]);
        let mut harness = harness(&element, "GRAY16_LE", width, height);
        let mut random = StdRng::seed_from_u64(9);
        let reference = gst::Caps::builder("timestamp/x-unix").build();
        for number in 0..times(500, 10_000) as u64 {
            let pixels: Vec<u8> = (0..width * height * 2).map(|_| random.random()).collect();
            let mut frame = gst::Buffer::from_slice(pixels.clone());
            let time = gst::ClockTime::from_mseconds(7 * number);
            {
                let frame = frame.get_mut().unwrap();
                frame.set_pts(time);
                frame.set_duration(gst::ClockTime::from_mseconds(7));
                frame.set_offset(number);
                frame.set_flags(match number % 5 {
                    0 => gst::BufferFlags::DISCONT,
                    1 => gst::BufferFlags::MARKER,
                    2 => gst::BufferFlags::DELTA_UNIT | gst::BufferFlags::NON_DROPPABLE,
                    _ => gst::BufferFlags::empty(),
                });
                gst::ReferenceTimestampMeta::add(frame, &reference, time, gst::ClockTime::NONE);
            }
            let flags = frame.flags();
            let out = harness.push_and_pull(frame).unwrap();
            assert_eq!(*out.map_readable().unwrap(), pixels);
            assert_eq!((out.pts(), out.offset()), (Some(time), number));
            assert_eq!(out.duration(), Some(gst::ClockTime::from_mseconds(7)));
            assert_eq!(out.flags(), flags);
            let meta = out.meta::<gst::ReferenceTimestampMeta>().unwrap();
            assert_eq!(meta.timestamp(), time);
        }
    }
}

/// Says to a child in which mode frames flow.
const MODE: &str = "UNETSEGMENT_MODE";

/// This very program, to run one of its tests that is ignored otherwise.
fn this_program(test: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--ignored", "--test-threads=1"]);
    program
}

/// What is written while frames flow, and values for it, bad ones too.
const WRITTEN: [(&str, &[&str]); 21] = [
    (
        "output",
        &["overlay", "mask", "labels", "probability", "none"],
    ),
    ("opacity", &["0", "0.3", "1"]),
    (
        "normalization",
        &["model", "z-score", "percentile", "min-max", "fixed"],
    ),
    ("display-range", &["auto", "0,255", "nonsense"]),
    ("post-messages", &["true", "false"]),
    ("post-objects", &["true", "false"]),
    ("min-area", &["-1", "0", "30"]),
    ("inference-interval", &["1", "2", "5"]),
    ("max-mask-age", &["0", "1", "1000"]),
    ("max-latency", &["0", "1", "1000"]),
    ("tile-size", &["0", "32"]),
    ("threshold", &["-1", "0.2", "0.9"]),
    ("split", &["model", "off", "distance", "cores"]),
    (
        "trigger",
        &["", "objects > 3", "coverage > 0.2 until 0.1", "nonsense"],
    ),
    ("palette", &["", "#ff0000,#00ff00", "nonsense"]),
    ("show-classes", &["all", "1", "2"]),
    ("annotations", &["", "numbers+count+age", "legend"]),
    ("keep-probability", &["true", "false"]),
    ("what", &["mask", "labels", "probability"]),
    ("drop-stale", &["true", "false"]),
    ("track", &["true", "false"]),
];

/// Another thread writes properties at random while frames flow: in a process of its own, which GLib ends where
/// anything is done that it calls critical.
#[test]
fn properties_may_be_written_at_any_moment() {
    let _alone = alone();
    for mode in ["sync", "latest"] {
        let child = this_program("child_that_is_written_to")
            .env(MODE, mode)
            .env("G_DEBUG", "fatal-criticals")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{mode}: {} {told}", child.status);
    }
}

#[test]
#[ignore = "a part of properties_may_be_written_at_any_moment, which runs it in a process of its own"]
fn child_that_is_written_to() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    let text = format!(
        "videotestsrc ! video/x-raw,format=GRAY8,width=64,height=48 ! unetsegment name=unet mode={mode} model-file={} ! tee name=t \
         t. ! queue ! fakesink sync=false t. ! queue ! unetmask name=masks without-mask=empty ! fakesink sync=false",
        model.display()
    );
    let pipeline = play(&text);
    let element = pipeline.by_name("unet").unwrap();
    let masks = pipeline.by_name("masks").unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut random = StdRng::seed_from_u64(11);
    // The long form would use up the numbers of objects, which begin anew each time they are followed.
    let written = &WRITTEN[..times(WRITTEN.len(), WRITTEN.len() - 1)];
    for number in 0..times(3_000, 100_000) {
        let (name, values) = written[random.random_range(0..written.len())];
        let value = values[random.random_range(0..values.len())];
        let element = match name {
            "what" | "drop-stale" => &masks,
            _ => &element,
        };
        element.set_property_from_str(name, value);
        let element = &pipeline.by_name("unet").unwrap();
        let _: gst::Structure = element.property("stats");
        if number % 200 == 0 {
            element.set_property("model-file", model.to_str().unwrap());
        }
    }
    // Whatever was written last, frames go out with this.
    element.set_property_from_str("output", "none");
    let before = stats(&element, "out");
    wait("frames", || stats(&element, "out") >= before + 5);
    assert!(!has_failed(&pipeline.bus().unwrap()));
    pipeline.set_state(gst::State::Null).unwrap();
}

/// Counts the frames that pass a pad.
fn counted(element: &gst::Element, pad: &str) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let passed = count.clone();
    let pad = element.static_pad(pad).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        passed.fetch_add(1, Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    count
}

/// Seeks in the middle of the network's work: what comes is what was asked for last, whole and with masks.
#[test]
fn seeks_are_followed() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    for in_flight in [1, 3] {
        let text = format!(
            "videotestsrc pattern=ball ! video/x-raw,format=GRAY8,width=200,height=150,framerate=25/1 ! \
             unetsegment model-file={} frames-in-flight={in_flight} inference-interval=5 ! \
             fakesink name=sink sync=false signal-handoffs=true",
            model.display()
        );
        let pipeline = play(&text);
        let seen: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
        let noted = seen.clone();
        let sink = pipeline.by_name("sink").unwrap();
        sink.connect("handoff", false, move |values| {
            let buffer: gst::Buffer = values[1].get().unwrap();
            let mask = mask_meta::of(&buffer).expect("a mask");
            let times = [buffer.pts(), mask.timestamp].map(|time| time.unwrap().mseconds());
            noted.lock().unwrap().push((times[0], times[1]));
            None
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut random = StdRng::seed_from_u64(13);
        let to = |begin: u64, frames: Option<u64>| {
            let time = |number: u64| gst::ClockTime::from_mseconds(40 * number);
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
            let stop = frames.map(|frames| time(begin + frames));
            let set = gst::SeekType::Set;
            let sought = pipeline.seek(1.0, flags, set, time(begin), set, stop);
            sought.unwrap();
        };
        for _ in 0..times(5, 100) {
            for _ in 0..random.random_range(0..5) {
                to(random.random_range(0..1000), None);
                thread::sleep(Duration::from_millis(random.random_range(0..30)));
            }
            let begin = random.random_range(0..1000);
            to(begin, Some(10));
            end(&pipeline);
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            // The network sees the first one, and every fifth after it.
            let expected = (begin..begin + 10).map(|at| 40 * at);
            let expected = expected.map(|time| (time, time - (time / 40 - begin) % 5 * 40));
            assert_eq!(
                seen[seen.len().saturating_sub(10)..],
                expected.collect::<Vec<_>>()
            );
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// A source that is faster than the network is not held up.
#[test]
fn an_overload_holds_nobody_up() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet {
        width: 32,
        depth: 3,
        ..SMALL
    });
    let properties = [("mode", "latest"), ("threads", "1"), ("output", "none")];
    let element = element(&model, &properties);
    let bus = gst::Bus::new();
    let mut harness = harness(&element, "GRAY8", 300, 200);
    element.set_bus(Some(&bus));
    let [came, went] = ["sink", "src"].map(|pad| counted(&element, pad));
    let picture = cells(300, 200, 1);
    let count = times(200, 5_000);
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
    let most = held[count * 99 / 100 - 1];
    assert!(most < Duration::from_millis(5), "{most:?}");
    // Each frame goes out, with its own mask or another's, and none is told to be dropped.
    let counts = || [&came, &went].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(counts(), [count as u64; 2]);
    let told = ["in", "out", "dropped"].map(|name| stats(&element, name));
    assert_eq!(told, [count as u64, count as u64, 0]);
    let [overtaken, seen] = ["overtaken", "frames"].map(|name| stats(&element, name));
    assert!(overtaken >= 9 * seen, "it keeps up: {overtaken} and {seen}");
    assert!(bus.pop_filtered(&[gst::MessageType::Qos]).is_none());
    // Where masks are all that goes out, those without one are dropped and told.
    element.set_property_from_str("output", "mask");
    element.set_property("inference-interval", 10_000_u32);
    let pad = element.static_pad("sink").unwrap();
    assert!(pad.send_event(gst::event::FlushStart::new()));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(harness.push_event(gst::event::Segment::new(&segment)));
    for _ in 0..20 {
        harness.push(gray8(&picture, 300, 200)).unwrap();
    }
    let messages = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos]));
    let last = messages
        .last()
        .expect("no message about frames without masks");
    let gst::MessageView::Qos(last) = last.view() else {
        unreachable!()
    };
    let (out, dropped) = last.stats();
    let told = [out, dropped].map(|count| count.value() as u64);
    let [all, out, dropped] = ["in", "out", "dropped"].map(|name| stats(&element, name));
    // Those that went out after the last one that was dropped are not told of.
    assert!(
        told[0] <= out && told[1] == dropped,
        "{told:?} of {out} and {dropped}"
    );
    assert!(dropped > 1, "{dropped}");
    assert_eq!([all, out], counts());
    assert_eq!(all, out + dropped);
}

/// A program that ends while pipelines play, as Ctrl-C ends one, ends with its own status.
#[test]
fn a_program_may_end_without_stopping() {
    let _alone = alone();
    if std::env::var_os("UNETSEGMENT_ENDS").is_some() {
        return;
    }
    for _ in 0..times(5, 100) {
        let status = this_program("child_that_ends")
            .env("UNETSEGMENT_ENDS", "1")
            .output()
            .unwrap();
        assert_eq!(
            status.status.code(),
            Some(7),
            "{}",
            String::from_utf8_lossy(&status.stderr)
        );
    }
}

#[test]
#[ignore = "a part of a_program_may_end_without_stopping, which runs it in a process of its own"]
fn child_that_ends() {
    let files = Files::new();
    let model = files.model(&SMALL);
    common::init();
    let text = format!(
        "videotestsrc ! video/x-raw,format=GRAY8 ! unetsegment model-file={} ! fakesink name=sink signal-handoffs=true",
        model.display()
    );
    let pipelines: Vec<_> = (0..3).map(|_| play(&text)).collect();
    let went = Arc::new(AtomicBool::new(false));
    let sink = pipelines[0].by_name("sink").unwrap();
    let seen = went.clone();
    sink.connect("handoff", false, move |values| {
        let buffer: gst::Buffer = values[1].get().unwrap();
        assert!(!mask_of(&buffer).0.is_empty());
        seen.store(true, Ordering::SeqCst);
        None
    });
    for pipeline in &pipelines {
        pipeline.set_state(gst::State::Playing).unwrap();
    }
    while !went.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
    remove(files.path(""));
    std::process::exit(7);
}

fn remove(folder: impl AsRef<Path>) {
    // It is in use by nobody: models are read once.
    std::fs::remove_dir_all(folder).unwrap();
}
