//! Programs that use the element end as they like, and nothing of it is left behind.

mod common;

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::pipelines::{end, launch};
use common::process::{child, is_child};
use common::programs::{python, root, run, stdout};
use common::{Files, SMALL, mask_of, short_or_long};
use gst::prelude::*;
use gstreamer as gst;

/// A program that ends while pipelines play, as Ctrl-C ends one, ends with its own status.
#[test]
fn a_program_may_end_without_stopping() {
    for _ in 0..short_or_long(5, 100) {
        let output = child("child_that_ends").arg("--test-threads=1").output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{error}");
    }
}

#[test]
#[ignore = "a part of a_program_may_end_without_stopping, which runs it in a process of its own"]
fn child_that_ends() {
    if !is_child() {
        return;
    }
    let files = Files::new();
    let model = files.model(&SMALL);
    let text = format!(
        "videotestsrc ! video/x-raw,format=GRAY8 ! unetsegment model-file={} ! fakesink name=sink signal-handoffs=true",
        model.display()
    );
    let pipelines: Vec<_> = (0..3).map(|_| launch(&text)).collect();
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
    // Nothing uses it any more: models are read once.
    std::fs::remove_dir_all(files.path("")).unwrap();
    std::process::exit(7);
}

/// An interpreter that ends while frames flow ends with its own status.
#[test]
fn python_may_end_without_stopping() {
    if python().is_none() {
        return;
    }
    let files = Files::new();
    let model = files.model(&SMALL);
    // The last line, with which the interpreter ends: falling off the end, or with a status of its own.
    let ends = [("pass", 0), ("sys.exit(3)", 3)];
    for round in 0..short_or_long(6, 100) {
        let (last, status) = ends[round % ends.len()];
        let text = format!("{}\n{last}\n", include_str!("embedding/ends.py"));
        let mut command = Command::new("/usr/bin/python3");
        let output = run(&files, command.args(["-c", &text]).arg(&model));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(status),
            "round {round}, {last}: {error}"
        );
    }
}

/// Lets GStreamer log its objects that are still there when a program ends.
const TRACED: [(&str, &str); 2] = [("GST_TRACERS", "leaks"), ("GST_DEBUG", "GST_TRACER:7")];

/// The lines that name them in the log of a program, which must have succeeded.
fn alive(output: &Output) -> Vec<String> {
    stdout(output);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("object-alive"), "nothing was counted: {log}");
    // One line describes the fields of the others.
    let of_objects = log.lines().filter(|line| {
        line.contains("object-alive, type-name=(string)") && !line.contains("(string)%s")
    });
    of_objects.map(str::to_owned).collect()
}

#[test]
fn nothing_is_left_alive() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.int8.onnx");
    // With mode=latest, frames pass before the model is loaded, and the thread that loads it needs the element until
    // then: that takes longer than four frames.
    let frames = "num-buffers=4";
    let live = "is-live=true num-buffers=60";
    for (mode, source) in [("sync", frames), ("latest", live)] {
        let text = format!(
            "videotestsrc {source} pattern=ball ! video/x-raw,width=200,height=160 ! videoconvert ! \
             video/x-raw,format=GRAY8 ! unetsegment mode={mode} track=true post-messages=true model-file={} ! fakesink",
            model.display()
        );
        let mut command = Command::new("gst-launch-1.0");
        command.arg("-q").args(text.split_whitespace()).envs(TRACED);
        let left = alive(&run(&files, &mut command));
        assert!(left.is_empty(), "{mode}: {left:#?}");
    }
}

#[test]
fn nothing_is_left_alive_after_many_starts() {
    let mut child = child("child_that_starts_often");
    child.arg("--test-threads=1").envs(TRACED);
    let left = alive(&child.output().unwrap());
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
#[ignore = "a part of nothing_is_left_alive_after_many_starts, which runs it in a process of its own"]
fn child_that_starts_often() {
    if !is_child() {
        return;
    }
    let files = Files::new();
    let model = files.model(&SMALL);
    for mode in ["sync", "latest"] {
        let pipeline = launch(&format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=GRAY8,width=48,height=40 ! \
             unetsegment mode={mode} track=true post-messages=true model-file={} ! fakesink sync=false",
            model.display()
        ));
        for round in 0..short_or_long(250, 5_000) {
            pipeline.set_state(gst::State::Playing).unwrap();
            if round % 2 == 0 {
                end(&pipeline);
            }
            pipeline.set_state(gst::State::Null).unwrap();
        }
    }
    // SAFETY: nothing uses GStreamer after it.
    unsafe { gst::deinit() };
}
