//! Where memory lacks, tiles become smaller, and at last an error says so.

#![cfg(unix)]

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Files, SMALL};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::unet::UNet;

const MODEL: &str = "UNETSEGMENT_MEMORY_MODEL";

/// What became of a stream whose program may have `mib` of addresses: nothing, or its error.
fn played(model: &str, mib: u64) -> Option<String> {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {} && exec \"$0\" \"$@\"", mib << 10))
        .arg(program)
        .args(["--exact", "child_with_little_memory", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(MODEL, model)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("{mib} MiB: it stands still");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let done = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{mib} MiB: {} {told}", done.status);
    let end = text
        .lines()
        .find_map(|line| line.split_once("end of the stream: "));
    match end.expect("no end").1 {
        "played" => None,
        error => Some(error.to_owned()),
    }
}

#[test]
fn too_little_memory_is_an_error_and_no_more() {
    common::init();
    let files = Files::new();
    let model = files.model(&UNet {
        width: 16,
        depth: 3,
        ..SMALL
    });
    let model = model.to_str().unwrap();
    assert_eq!(played(model, 8 << 10), None);
    let step = match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => 25,
        None => 150,
    };
    let mut errors = 0;
    let mut limit = 1000;
    while errors < 2 {
        let error = played(model, limit);
        println!("{limit} MiB: {error:?}");
        errors += usize::from(error.is_some());
        limit -= step;
    }
}

#[test]
#[ignore = "a part of too_little_memory_is_an_error_and_no_more, which runs it in a process of its own"]
fn child_with_little_memory() {
    let Ok(model) = std::env::var(MODEL) else {
        return;
    };
    common::init();
    let text = format!(
        "videotestsrc num-buffers=2 ! video/x-raw,format=GRAY8,width=1500,height=1000 ! unetsegment model-file={model} ! fakesink"
    );
    let pipeline = gst::parse::launch(&text).unwrap();
    // A failure is told on the bus too.
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::NONE, &kinds)
        .unwrap();
    match message.view() {
        gst::MessageView::Error(error) => {
            println!(
                "end of the stream: {}",
                error.error().to_string().replace('\n', " ")
            );
        }
        _ => println!("end of the stream: played"),
    }
    pipeline.set_state(gst::State::Null).unwrap();
}
