//! The examples, as they are, in three languages; and programs that end as they like.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::Files;

const SOURCE: &str = "videotestsrc num-buffers=4 pattern=ball ! video/x-raw,width=200,height=160";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder that cargo builds into, where the plugin lies too.
fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// Runs a program that finds the plugin that was built, and ONNX Runtime.
fn run(files: &Files, command: &mut Command) -> Output {
    common::init();
    command
        .env("GST_PLUGIN_PATH", built())
        .env("GST_REGISTRY", files.path("registry.bin"))
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn told(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether Python has what the examples take; otherwise why they are not run.
fn python() -> bool {
    let asked = Command::new("/usr/bin/python3")
        .args([
            "-c",
            "import gi, numpy; gi.require_version('Gst', '1.0'); from gi.repository import Gst",
        ])
        .output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: python3-gst-1.0 or python3-numpy is not installed");
    }
    there
}

fn counted_by_rust(files: &Files, model: &Path) -> String {
    let program = built().join("examples").join("count");
    told(&run(files, Command::new(program).arg(model).arg(SOURCE)))
}

#[test]
fn the_same_is_counted_in_rust_and_c() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let expected = counted_by_rust(&files, &model);
    assert_eq!(expected.lines().count(), 4, "{expected}");
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "gstreamer-1.0", "gstreamer-app-1.0"])
        .output()
        .unwrap();
    let program = files.path("count");
    let compiled = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(root().join("examples/count.c"))
        .args(told(&flags).split_whitespace())
        .output()
        .unwrap();
    told(&compiled);
    let found = told(&run(&files, Command::new(&program).arg(&model).arg(SOURCE)));
    assert_eq!(found, expected);
    // What is wrong is said, and the program ends.
    let output = run(&files, Command::new(&program).arg("nothing.onnx"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.onnx"));
}

#[test]
fn the_same_is_counted_in_python() {
    if !python() {
        return;
    }
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(root().join("examples/count.py"));
    let found = told(&run(&files, command.arg(&model).arg(SOURCE)));
    assert_eq!(found, counted_by_rust(&files, &model));
}

/// An interpreter that ends while frames flow ends with its own status.
#[test]
fn python_may_end_without_stopping() {
    if !python() {
        return;
    }
    let script = "
import sys, gi
gi.require_version('Gst', '1.0')
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch('videotestsrc ! video/x-raw,format=GRAY8 ! unetsegment model-file=' + sys.argv[1] + ' ! fakesink')
pipeline.set_state(Gst.State.PLAYING)
assert pipeline.get_state(20 * Gst.SECOND)[1] == Gst.State.PLAYING
";
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let times = match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => 100,
        None => 3,
    };
    for time in 0..times {
        let mut command = Command::new("/usr/bin/python3");
        let output = run(&files, command.args(["-c", script]).arg(&model));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{time}: {} {error}",
            output.status
        );
    }
}
