//! The folder of a run: names that people have, and files that are not what they should be, through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use gstunetsegment::train::checkpoint::Checkpoint;
use trainer::{Bench, draw_cells};

/// A run of a network that learns within seconds.
const OPTIONS: &str = "train --images images --masks masks --width 2 --depth 1 --tile 32";

fn data() -> Bench {
    let bench = Bench::new();
    draw_cells(&bench, 3);
    bench
}

#[test]
fn images_may_have_long_names() {
    let bench = data();
    // With its ending 245 of the 255 bytes that a name may have.
    let long = |index: &str| format!("{}{index}.png", "細胞".repeat(40));
    for folder in ["images", "masks"] {
        for index in ["0", "1", "2"] {
            let path = |name: &str| bench.path(folder).join(name);
            fs::rename(path(&format!("{index}.png")), path(&long(index))).unwrap();
        }
    }
    bench.says(&format!("{OPTIONS} --steps 1 --output cells.onnx"));
    let entries = fs::read_dir(bench.path("cells.run")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let samples: Vec<_> = names.filter(|name| name.starts_with("sample-")).collect();
    assert_eq!(samples.len(), 1);
    assert!(samples[0].starts_with("sample-0-細胞"), "{samples:?}");
    // The list has the whole names.
    let held_back = fs::read_to_string(bench.path("cells.run/held-back.txt")).unwrap();
    assert_eq!(held_back.len(), "細胞".repeat(40).len() + "0\n".len());
}

#[test]
fn the_command_to_go_on_with_can_be_typed() {
    let bench = data();
    let endless = format!("{OPTIONS} --steps 100000 --validate-every 100000 --checkpoint-every 0");
    let mut child = bench
        .command(&endless)
        .args(["--output", "my cells.onnx"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = bench.folder().join("my cells.run/log.csv");
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < 3 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(status.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("unet-train train --config 'my cells.run/config.toml' --resume"),
        "{text}"
    );
}

#[test]
fn a_run_that_does_not_fit_is_named() {
    let bench = data();
    bench.says(&format!("{OPTIONS} --steps 1 --output cells.onnx"));
    // As it would be on another device, whose optimizer keeps other things.
    let file = bench.path("cells.run/last.checkpoint");
    let mut checkpoint = Checkpoint::read(&file).unwrap().unwrap();
    checkpoint.state.finished = false;
    checkpoint.optimizer.clear();
    fs::write(&file, checkpoint.bytes().unwrap()).unwrap();
    let error = bench.refuses("train --config cells.run/config.toml --resume");
    for part in ["cells.run/last.checkpoint: they are not", "--device auto"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_network_is_taken_out_of_a_folder() {
    let bench = data();
    bench.says(&format!("{OPTIONS} --steps 1 --output cells.onnx"));
    let error = bench.refuses("export --checkpoint cells.onnx --output best.onnx");
    assert!(
        error.contains("cells.onnx is a file: name the folder of the run"),
        "{error}"
    );
    let error = bench.refuses("export --bioimageio --model cells.onnx --network last --output p");
    assert!(error.contains("cannot be used with"), "{error}");
}
