//! Behind simulated cameras, at 20 frames a second, memory stays constant, timestamps rise and every frame is counted:
//! for 60 s, or half an hour with UNETSEGMENT_SOAK. `cameras/steady.py` has the limits.

mod common;

use std::process::Command;

use common::programs::{aravis, micro_manager, root, run, stdout};
use common::{Files, short_or_long};

fn steady(camera: &str, command: &mut Command) {
    let files = Files::new();
    let seconds = short_or_long("60", "1800");
    let model = root().join("models/nuclei-fluo.int8.onnx");
    command.arg(root().join("tests/cameras/steady.py"));
    let output = run(&files, command.arg(camera).arg(model).arg(seconds));
    print!("{}", stdout(&output));
}

#[test]
fn an_aravis_camera_runs_steadily() {
    if let Some(mut command) = aravis("/usr/bin/python3") {
        steady("aravis", &mut command);
    }
}

#[test]
fn a_micro_manager_camera_runs_steadily() {
    if let Some(mut command) = micro_manager() {
        steady("micromanager", &mut command);
    }
}
