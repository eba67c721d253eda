//! The folder of a run: names that people have, and files that are not what they should be, through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use gstunetsegment::train::checkpoint::Checkpoint;
use trainer::{Bench, draw_cells, opened};

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
    let export = "export --checkpoint cells.run --network last --output last.onnx";
    let text = bench.says(export);
    assert_eq!(text, "last.onnx: last network, after 1 steps\n");
    let text = bench.says("export --bioimageio --model cells.onnx --output package");
    assert_eq!(text, "package: BioImage.IO package of cells.onnx\n");

    // Stopped before its first step.
    let file = bench.path("cells.run/last.checkpoint");
    let mut checkpoint = Checkpoint::read(&file).unwrap().unwrap();
    checkpoint.state.steps = 0;
    fs::write(&file, checkpoint.bytes().unwrap()).unwrap();
    let error = bench.refuses(&format!("{export} --overwrite"));
    assert!(error.contains("cells.run has taken no step yet"), "{error}");
}

#[test]
fn the_folder_of_a_run_gives_its_networks() {
    let bench = data();
    bench.says(&format!("{OPTIONS} --steps 50 --output cells.onnx"));
    bench.says("export --checkpoint cells.run --output best.onnx");
    let [best, written] = ["best.onnx", "cells.onnx"].map(|n| fs::read(bench.path(n)).unwrap());
    assert!(best == written);
    let error = bench.refuses("export --bioimageio --checkpoint cells.run --output p");
    assert!(error.contains("cannot be used with"), "{error}");
    bench.says("export --checkpoint cells.run --network last --output last.onnx");
    let (_, contract) = opened(&bench.path("last.onnx"));
    let training = contract.training.unwrap();
    assert_eq!(training.steps, 50);
    assert!(
        training
            .command
            .starts_with("unet-train train --images images")
    );
    let error = bench.refuses("export --checkpoint images --output x.onnx");
    assert!(
        error.contains("there is no checkpoint in images"),
        "{error}"
    );

    let page = fs::read_to_string(bench.path("cells.run/report.html")).unwrap();
    // The curves and the one image held back.
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    assert!(page.contains("<tr><th>width</th><td>2</td></tr>"), "{page}");
    let held_back = fs::read_to_string(bench.path("cells.run/held-back.txt")).unwrap();
    let sample = format!("cells.run/sample-0-{}.png", held_back.trim());
    assert!(image::open(bench.path(&sample)).unwrap().width() > 3 * 64);
    let curves = image::open(bench.path("cells.run/curves.png")).unwrap();
    assert_eq!((curves.width(), curves.height()), (960, 840));
}
