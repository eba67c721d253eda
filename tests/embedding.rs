//! Programs that the element is a part of end as they like, and nothing of it is left in them.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::pipelines::launch;
use common::process::child;
use common::programs::{python, root, run, told};
use common::{Files, SMALL, mask_of, short_or_long};
use gst::prelude::*;
use gstreamer as gst;

/// Says to a child that it is one.
const ENDS: &str = "UNETSEGMENT_ENDS";

/// A program that ends while pipelines play, as Ctrl-C ends one, ends with its own status.
#[test]
fn a_program_may_end_without_stopping() {
    for _ in 0..short_or_long(5, 100) {
        let output = child("child_that_ends")
            .arg("--test-threads=1")
            .env(ENDS, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{said}");
    }
}

#[test]
#[ignore = "a part of a_program_may_end_without_stopping, which runs it in a process of its own"]
fn child_that_ends() {
    if std::env::var_os(ENDS).is_none() {
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
    // It is in use by nobody: models are read once.
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
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(status),
            "round {round}, {last}: {said}"
        );
    }
}

/// By GStreamer's own count of its objects, when the program ends.
#[test]
fn nothing_is_left_alive() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.int8.onnx");
    let source = "videotestsrc num-buffers=4 pattern=ball ! video/x-raw,width=200,height=160";
    let alive = |element: &str| {
        let text =
            format!("{source} ! videoconvert ! video/x-raw,format=GRAY8 ! {element} ! fakesink");
        let mut command = Command::new("gst-launch-1.0");
        command
            .args(["-q"])
            .args(text.split_whitespace())
            .env("GST_TRACERS", "leaks")
            .env("GST_DEBUG", "GST_TRACER:7");
        let output = run(&files, &mut command);
        told(&output);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains("object-alive"), "nothing was counted: {log}");
        let lines = log.lines();
        // One line says what the others will look like.
        let of_objects = lines.filter(|line| {
            line.contains("object-alive, type-name=(string)") && !line.contains("(string)%s")
        });
        of_objects.map(str::to_owned).collect::<Vec<_>>()
    };
    for mode in ["sync", "latest"] {
        let element = format!(
            "unetsegment mode={mode} track=true post-messages=true model-file={}",
            model.display()
        );
        let left = alive(&element);
        assert!(left.is_empty(), "{mode}: {left:#?}");
    }
}
