//! A stop or a flush is quick at any moment, an end waits for the frames before it alone, and nothing is left behind.
//! Most tests have a short form, and a long one that `make soak` runs.

mod common;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::pipelines::{end, launch};
use common::process::{alone, assert_quick};
use common::schedulings::{LATEST, OVERLAPPING, SEQUENTIAL, Scheduling};
use common::watch::{assert_nothing_of_before, passed, stats};
use common::{
    Files, SLOW, SMALL, begin_segment, cells, element, gray8, harness, short_or_long, timed,
};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::unet::UNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Resident memory in KiB, open files and threads of this process.
#[cfg(target_os = "linux")]
fn taken() -> [usize; 3] {
    // What the allocator keeps for later is in use by nobody.
    #[cfg(target_env = "gnu")]
    // SAFETY: it gives free memory back, and touches no other.
    unsafe {
        libc::malloc_trim(0);
    }
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    [
        common::process::memory("VmRSS") as usize,
        count("/proc/self/fd"),
        count("/proc/self/task"),
    ]
}

/// In a process of its own, with one arena of glibc's allocator and without huge pages: what is kept for each of many
/// threads that come and go, and memory that comes in steps of 2 MiB, would be taken for a leak.
#[cfg(target_os = "linux")]
#[test]
fn starting_and_stopping_leaves_nothing_behind() {
    let _alone = alone();
    let variables = [("MALLOC_ARENA_MAX", "1")];
    let printed = common::process::run_child("child_that_starts_and_stops", &variables);
    print!("{printed}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "a part of starting_and_stopping_leaves_nothing_behind, which runs it in a process of its own"]
fn child_that_starts_and_stops() {
    if !common::process::is_child() {
        return;
    }
    // SAFETY: it changes how this process gets its pages, and touches no memory.
    let done = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    assert_eq!(done, 0);
    let files = Files::new();
    let model = files.model(&SMALL);
    let count = short_or_long(500, 10_000);
    for mode in ["sync", "latest"] {
        let text = format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=GRAY8,width=48,height=40 ! unetsegment model-file={} mode={mode} ! \
             fakesink sync=false",
            model.display()
        );
        let pipeline = launch(&text);
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
        // A thread that is done may take a moment to disappear.
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

/// After a flush, a live source sends its caps again, and keeps a lock meanwhile that its way to PAUSED waits for. A
/// stop does not wait until these caps are prepared for, and neither does a pause, after which frames have masks again.
#[test]
fn a_live_pipeline_stops_at_once_after_a_flush() {
    let _alone = alone();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/membranes-em.onnx");
    let text = format!(
        "videotestsrc is-live=true ! video/x-raw,format=GRAY8,width=1000,height=700,framerate=30/1 ! \
         unetsegment name=unet model-file={} ! fakesink async=false sync=false",
        model.display()
    );
    let mut times = Vec::new();
    let mut to = |pipeline: &gst::Pipeline, state| {
        let start = Instant::now();
        pipeline.set_state(state).unwrap();
        times.push(start.elapsed());
    };
    for pause in [false, true] {
        let pipeline = launch(&text);
        let element = pipeline.by_name("unet").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        thread::sleep(Duration::from_millis(600));
        let zero = gst::ClockTime::ZERO;
        pipeline.seek_simple(gst::SeekFlags::FLUSH, zero).unwrap();
        thread::sleep(Duration::from_millis(300));
        if pause {
            to(&pipeline, gst::State::Paused);
            pipeline.set_state(gst::State::Playing).unwrap();
            let before = stats(&element, "frames");
            let start = Instant::now();
            while stats(&element, "frames") == before {
                assert!(
                    start.elapsed() < Duration::from_secs(60),
                    "no mask after the pause"
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        to(&pipeline, gst::State::Null);
    }
    assert_quick(&times, Duration::from_millis(500));
}

/// A pause that ends at once, while the network is prepared for the caps of a live source, interrupts no stream.
#[test]
fn a_live_pipeline_may_pause_while_caps_are_prepared_for() {
    let _alone = alone();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/membranes-em.onnx");
    let text = format!(
        "videotestsrc is-live=true ! video/x-raw,format=GRAY8,width=696,height=520,framerate=30/1 ! \
         unetsegment name=unet model-file={} ! fakesink async=false sync=false",
        model.display()
    );
    // Before, while and after the model is loaded.
    for (delay, pause) in [(0, 0), (100, 0), (300, 0), (300, 30), (600, 0)] {
        let pipeline = launch(&text);
        let element = pipeline.by_name("unet").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        thread::sleep(Duration::from_millis(delay));
        pipeline.set_state(gst::State::Paused).unwrap();
        thread::sleep(Duration::from_millis(pause));
        pipeline.set_state(gst::State::Playing).unwrap();
        let bus = pipeline.bus().unwrap();
        let start = Instant::now();
        while stats(&element, "frames") == 0 {
            let error = bus.pop_filtered(&[gst::MessageType::Error]);
            assert!(error.is_none(), "{delay} ms, {pause} ms: {error:?}");
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "{delay} ms, {pause} ms");
            thread::sleep(Duration::from_millis(20));
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// A stop during a load or a run does not wait for it.
#[test]
fn stopping_is_quick_at_any_moment() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SLOW);
    // Without a contract, so that it is probed with many sizes.
    let another = UNet {
        width: 64,
        depth: 4,
        ..SMALL
    };
    let another = files.write("another.onnx", &common::foreign(&another, |_| ()));
    let text = |mode: &str| {
        format!(
            "videotestsrc is-live={} ! video/x-raw,format=GRAY8,width=696,height=520 ! \
             unetsegment name=unet mode={mode} model-file={} ! fakesink",
            mode == "latest",
            model.display()
        )
    };
    let texts = ["sync", "latest"].map(text);
    let mut random = StdRng::seed_from_u64(3);
    let mut times = Vec::new();
    for round in 0..short_or_long(20, 400) {
        let pipeline = launch(&texts[round / 2 % 2]);
        pipeline.set_state(gst::State::Playing).unwrap();
        thread::sleep(Duration::from_millis(random.random_range(0..300)));
        if round % 2 == 0 {
            // The stop comes while another one is being loaded.
            let element = pipeline.by_name("unet").unwrap();
            element.set_property("model-file", another.to_str().unwrap());
            thread::sleep(Duration::from_millis(random.random_range(0..300)));
        }
        let start = Instant::now();
        pipeline.set_state(gst::State::Null).unwrap();
        times.push(start.elapsed());
    }
    assert_quick(&times, Duration::from_millis(500));
}

/// Flushes during inference, and ends with frames on their way, which come out before them.
#[test]
fn flushes_and_ends_are_quick() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&UNet { width: 8, ..SMALL });
    let mut random = StdRng::seed_from_u64(3);
    // As many as are on their way at the end.
    let overlapping = Scheduling {
        in_flight: "3",
        ..OVERLAPPING
    };
    let mut ends = Vec::new();
    for scheduling in [SEQUENTIAL, overlapping, LATEST] {
        let (element, mut harness, _bus) = scheduling.start(&model, &[], (400, 300));
        let pad = element.static_pad("sink").unwrap();
        let noted = passed(&element);
        let picture = cells(400, 300, 1);
        let frame = |number| timed(&picture, 400, 300, number);
        let start = Instant::now();
        drop(harness.push_and_pull(frame(0)).unwrap());
        let a_frame = start.elapsed();
        let rounds = short_or_long(34, 334);
        let mut times = Vec::new();
        for round in 0..rounds {
            let (sent, buffer) = (pad.clone(), frame(1 + round));
            let pushing = thread::spawn(move || sent.chain(buffer));
            thread::sleep(a_frame.mul_f64(random.random()));
            let start = Instant::now();
            assert!(pad.send_event(gst::event::FlushStart::new()));
            let _ = pushing.join().unwrap();
            assert!(pad.send_event(gst::event::FlushStop::new(true)));
            times.push(start.elapsed());
            begin_segment(&mut harness);
        }
        assert_quick(&times, Duration::from_millis(100));
        // With mode=latest, newer frames overtake others, too.
        let [came, seen, overtaken] =
            ["in", "frames", "overtaken"].map(|name| stats(&element, name));
        assert!(
            seen + overtaken < came,
            "{scheduling}: no flush has come during inference"
        );
        while harness.try_pull().is_some() {}
        for number in 1..=3 {
            harness.push(frame(rounds + number)).unwrap();
        }
        let start = Instant::now();
        assert!(harness.push_event(gst::event::Eos::new()));
        let took = start.elapsed();
        assert_eq!(harness.buffers_in_queue(), 3);
        let is_overlapping = scheduling.in_flight == overlapping.in_flight;
        let awaited: u32 = if is_overlapping { 3 } else { 0 };
        ends.push(took.saturating_sub(awaited * a_frame));
        let noted = noted.lock().unwrap();
        assert_nothing_of_before(&noted, |flush| 2 + flush, &scheduling.to_string());
    }
    assert_quick(&ends, Duration::from_millis(100));
}

/// Neither a flush nor a stop waits for a long run of the network.
#[test]
fn flushes_and_stops_end_a_run() {
    let _alone = alone();
    let files = Files::new();
    // Seconds for a frame.
    let model = files.model(&UNet {
        width: 48,
        depth: 3,
        ..SMALL
    });
    let size = 800;
    for in_flight in ["1", "3"] {
        let element = element(
            &model,
            &[("frames-in-flight", in_flight), ("tile-size", "256")],
        );
        let mut harness = harness(&element, "GRAY8", size, size);
        let pad = element.static_pad("sink").unwrap();
        let picture = cells(size, size, 1);
        let whole = Instant::now();
        drop(harness.push_and_pull(gray8(&picture, size, size)).unwrap());
        let whole = whole.elapsed();
        for _ in 0..3 {
            let sent = pad.clone();
            let buffer = gray8(&picture, size, size);
            let pushing = std::thread::spawn(move || sent.chain(buffer));
            std::thread::sleep(whole / 10);
            let start = Instant::now();
            assert!(pad.send_event(gst::event::FlushStart::new()));
            let pushed = pushing.join().unwrap();
            assert!(pad.send_event(gst::event::FlushStop::new(true)));
            let ended = start.elapsed();
            assert!(ended < whole / 2, "{ended:?} of {whole:?}, {pushed:?}");
            begin_segment(&mut harness);
        }
        let sent = pad.clone();
        let buffer = gray8(&picture, size, size);
        let pushing = std::thread::spawn(move || sent.chain(buffer));
        std::thread::sleep(whole / 10);
        let start = Instant::now();
        element.set_state(gst::State::Null).unwrap();
        assert!(start.elapsed() < whole / 2);
        let _ = pushing.join().unwrap();
    }
}
