//! Tiles take the memory that they may; if it is short they become smaller, and at last an error says so.

#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::pipelines::launch;
use common::process::memory;
use common::watch::stats;
use common::{Files, SMALL, short_or_long};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::unet::UNet;

/// Tells a child what to play.
const PIPELINE: &str = "UNETSEGMENT_MEMORY_PIPELINE";

const NET: UNet = UNet {
    width: 16,
    depth: 3,
    ..SMALL
};

/// What became of a stream in a process of its own.
#[derive(Debug, Default)]
struct Played {
    error: Option<String>,
    warnings: Vec<String>,
    /// The most memory that the process had, in MiB.
    peak: u64,
}

/// Plays frames of a size until the network has seen two, in a process whose address space is limited to `mib`.
fn play(model: &Path, (width, height): (usize, usize), more: &str, mib: Option<u64>) -> Played {
    let limit = mib.map_or("unlimited".to_owned(), |mib| (mib << 10).to_string());
    let program = std::env::current_exe().unwrap();
    // With mode=latest, frames pass before the network has seen any.
    let source = if more.contains("mode=latest") {
        "is-live=true"
    } else {
        "num-buffers=2"
    };
    let pipeline = format!(
        "videotestsrc {source} ! video/x-raw,format=GRAY8,width={width},height={height},framerate=10/1 ! \
         unetsegment name=unet model-file={} {more} ! fakesink",
        model.display()
    );
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {limit} && exec \"$0\" \"$@\""))
        .arg(program)
        .args(["--exact", "child_that_plays", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(PIPELINE, pipeline)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("{limit} KiB: it stands still");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let done = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{limit} KiB: {} {error}",
        done.status
    );
    let mut played = Played::default();
    for line in text.lines() {
        // The name of the test stands before the first of them.
        let line = line.trim_start_matches("test child_that_plays ... ");
        match line.split_once(": ") {
            Some(("error", error)) => played.error = Some(error.to_owned()),
            Some(("warning", warning)) => played.warnings.push(warning.to_owned()),
            Some(("peak", peak)) => played.peak = peak.parse().unwrap(),
            _ => (),
        }
    }
    assert!(played.peak > 0, "it has not reached its end: {text}");
    played
}

#[test]
fn too_little_memory_is_a_bus_error() {
    common::init();
    let files = Files::new();
    let model = files.model(&NET);
    // Of an untrained network, the mask is noise: objects by the thousands. And tiles of which results are kept are
    // small from the start, so it depends on the machine whether there is room left to make them smaller.
    let objects = "mode=sync split=probability track=true fill-holes=true reuse=exact";
    for (mode, gives_way) in [("mode=sync", true), ("mode=latest", true), (objects, false)] {
        let with = |mib| play(&model, (1500, 1000), mode, Some(mib));
        let is_short = |played: &Played| {
            let words = "less memory than tile-memory allows";
            let mut warnings = played.warnings.iter();
            warnings.any(|warning| warning.contains(words))
        };
        let plenty = with(8 << 10);
        let enough = plenty.error.is_none() && !is_short(&plenty);
        assert!(enough, "{mode}: {plenty:?}");
        // In the long form also where a run may take the last of the memory from under other threads. With much less,
        // GLib ends the process, or GStreamer's sources wait for ever.
        let limits: Vec<u64> = short_or_long(
            vec![1000, 850, 525, 500],
            (500..=1000).rev().step_by(25).collect(),
        );
        let (mut errors, mut warned) = (0, 0);
        for limit in limits {
            let played = with(limit);
            println!("{mode}, {limit} MiB: {played:?}");
            errors += usize::from(played.error.is_some());
            warned += usize::from(is_short(&played));
            if errors == 2 {
                break;
            }
        }
        assert!(errors > 0, "{mode}: no limit was too low");
        assert!(
            warned > 0 || !gives_way,
            "{mode}: no warning of smaller tiles"
        );
    }
}

/// A large frame takes more memory than a small one by what tiles may take, and some frames.
#[test]
fn tiles_take_the_memory_that_they_may() {
    common::init();
    let files = Files::new();
    let int8 = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/cells-phase-contrast.int8.onnx");
    let (width, height) = (2400, 2000);
    // A byte or four for each pixel of: the frame, its mask, what is drawn, and what the pools keep.
    let frames = (10 * width * height) as u64 >> 20;
    // ONNX Runtime gives maps of few channels as much room as those of 16.
    let narrow = UNet { width: 4, ..NET };
    for model in [&files.model(&NET), &files.model(&narrow), &int8] {
        let taken = |memory: u64| {
            let more = format!("tile-memory={memory} output=mask");
            let [small, large] = [(64, 48), (width, height)].map(|size| {
                let played = play(model, size, &more, None);
                assert!(played.error.is_none(), "{played:?}");
                played.peak
            });
            println!("{} {memory}: {small} and {large} MiB", model.display());
            large.saturating_sub(small)
        };
        let (least, more) = (taken(128), taken(512));
        assert!(least <= 128 + frames, "{least} MiB");
        assert!(more <= 512 + frames, "{more} MiB");
        assert!(
            more > least + 128,
            "{least} and {more} MiB: it does not matter"
        );
    }
}

#[test]
#[ignore = "a part of the others, which run it in processes of their own"]
fn child_that_plays() {
    let Ok(pipeline) = std::env::var(PIPELINE) else {
        return;
    };
    let ends = !pipeline.contains("is-live=true");
    let pipeline = launch(&pipeline);
    let element = pipeline.by_name("unet").unwrap();
    let bus = pipeline.bus().unwrap();
    // A failure is posted on the bus, too.
    let _ = pipeline.set_state(gst::State::Playing);
    loop {
        let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(20)) else {
            if !ends && stats(&element, "frames") >= 2 {
                break;
            }
            continue;
        };
        let line = |text: String| text.replace('\n', " ");
        match message.view() {
            gst::MessageView::Error(error) => {
                println!("error: {}", line(error.error().to_string()));
                break;
            }
            gst::MessageView::Warning(warning) => {
                println!("warning: {}", line(warning.error().to_string()));
            }
            gst::MessageView::Eos(_) => break,
            _ => (),
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    println!("peak: {}", memory("VmHWM") >> 10);
}
