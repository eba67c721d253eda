//! A run that was stopped or killed goes on to the result that it would have had, through the real
//! program.
#![cfg(feature = "train")]

mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use program::{draw_cells, opened};
use tempfile::TempDir;

/// Options of a run of 300 steps with dropout, which takes seconds.
const OPTIONS: &str = "train --images images --masks masks --output cells.onnx --width 4 --depth 2 \
                       --tile 76 --validation 0.25 --steps 300 --validate-every 20 --elastic 2 \
                       --learning-rate 0.003";

const GO_ON: [&str; 4] = ["train", "--config", "cells.run/config.toml", "--resume"];

/// A folder with images and masks.
fn data() -> TempDir {
    let folder = TempDir::new().unwrap();
    draw_cells(folder.path(), 4);
    folder
}

fn program(folder: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_unet-train"));
    program.current_dir(folder);
    program
}

/// Runs the program to its end, which must be a good one.
fn finish(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder).args(arguments).output().unwrap();
    let [text, error] = [output.stdout, output.stderr].map(|t| String::from_utf8(t).unwrap());
    assert!(output.status.success(), "{text}{error}");
    text
}

fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output: Output = program(folder).args(arguments).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// Starts the run, and waits until it has been validated after 40 steps.
fn begun(folder: &Path, options: &[&str]) -> Child {
    let mut child = program(folder)
        .args(options)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_late = |line: &str| line.starts_with("step     40");
    assert!(lines.any(|line| is_late(&line.unwrap())));
    // Read on, so that the program is not held up.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

/// The model, and the columns of the tables that don't tell the time.
fn result(folder: &Path) -> (Vec<u8>, Vec<String>) {
    let without_time = |line: &str, column: usize| {
        let mut fields: Vec<_> = line.split(',').collect();
        fields.remove(column);
        fields.join(",")
    };
    let table = |name: &str, column| {
        let text = fs::read_to_string(folder.join("cells.run").join(name)).unwrap();
        let lines = text.lines().map(|line| without_time(line, column));
        lines.collect::<Vec<_>>()
    };
    let tables = [table("log.csv", 3), table("validations.csv", 1)].concat();
    (fs::read(folder.join("cells.onnx")).unwrap(), tables)
}

#[test]
fn a_run_that_was_stopped_or_killed_ends_as_one_that_was_not() {
    let options: Vec<_> = OPTIONS.split_whitespace().collect();
    let whole = data();
    finish(whole.path(), &options);
    let expected = result(whole.path());
    assert_eq!(expected.1.len(), 1 + 300 + 1 + 15);

    let stopped = data();
    let mut child = begun(stopped.path(), &options);
    signal(&child, "INT");
    assert!(child.wait().unwrap().success());
    let steps = result(stopped.path()).1.len();
    assert!(steps < 300, "{steps} lines: stopped too late to tell");
    assert!(stopped.path().join("cells.onnx").exists());
    let text = finish(stopped.path(), &GO_ON);
    assert!(text.contains("goes on after "), "{text}");
    assert!(result(stopped.path()) == expected);

    let killed = data();
    let mut child = begun(killed.path(), &options);
    signal(&child, "KILL");
    assert!(!child.wait().unwrap().success());
    finish(killed.path(), &[&options[..], &["--resume"]].concat());
    // The config in the folder is that of the command line, and so is what the models say of it.
    assert!(result(killed.path()) == expected);
}

#[test]
fn a_run_goes_on_without_the_model_that_it_began_with() {
    let folder = data();
    let options: Vec<_> = OPTIONS.split_whitespace().collect();
    let mut child = begun(folder.path(), &options);
    signal(&child, "INT");
    child.wait().unwrap();
    let model = folder.path().join("model.onnx");
    fs::rename(folder.path().join("cells.onnx"), &model).unwrap();
    let begin = ["--start-from", "model.onnx", "--overwrite"];
    let mut child = begun(folder.path(), &[&options[..], &begin].concat());
    signal(&child, "INT");
    child.wait().unwrap();
    fs::remove_file(model).unwrap();
    let text = finish(folder.path(), &GO_ON);
    assert!(text.contains("goes on after "), "{text}");
}

#[test]
fn only_what_was_begun_and_is_not_at_its_end_goes_on() {
    let folder = data();
    let folder = folder.path();
    let options: Vec<_> = OPTIONS.split_whitespace().collect();
    let resumed = |more: &[&str]| refusal(folder, &[&options[..], &["--resume"], more].concat());
    let error = resumed(&[]);
    assert!(
        error.contains("there is no checkpoint in cells.run"),
        "{error}"
    );

    // A model that no run has made is kept.
    fs::write(folder.join("cells.onnx"), "precious").unwrap();
    let error = refusal(folder, &options);
    assert!(error.contains("cells.onnx is there already"), "{error}");
    assert_eq!(fs::read(folder.join("cells.onnx")).unwrap(), b"precious");
    fs::remove_file(folder.join("cells.onnx")).unwrap();

    let mut child = begun(folder, &options);
    signal(&child, "INT");
    child.wait().unwrap();
    // With an image less others would be held back.
    let image = fs::read_dir(folder.join("images")).unwrap().next();
    let image = image.unwrap().unwrap().path();
    let away = folder.join("away.png");
    fs::rename(&image, &away).unwrap();
    let mask = folder.join("masks").join(image.file_name().unwrap());
    let mask_away = folder.join("away-mask.png");
    fs::rename(&mask, &mask_away).unwrap();
    let error = resumed(&[]);
    assert!(error.contains("other images or masks"), "{error}");
    fs::rename(&away, &image).unwrap();
    fs::rename(&mask_away, &mask).unwrap();

    let error = refusal(folder, &options);
    assert!(
        error.contains("cells.run holds a run that stopped after"),
        "{error}"
    );
    let error = refusal(
        folder,
        &[&GO_ON[..], &["--seed", "4", "--width", "5"]].concat(),
    );
    assert!(
        error.contains("begun with other options: seed was 1, now 4; width was 4, now 5"),
        "{error}"
    );

    let checkpoint = folder.join("cells.run/last.checkpoint");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let error = refusal(folder, &GO_ON);
    assert!(
        error.contains("last.checkpoint is no checkpoint"),
        "{error}"
    );
    fs::write(&checkpoint, &bytes).unwrap();

    finish(folder, &GO_ON);
    let error = refusal(folder, &GO_ON);
    assert!(error.contains("is at its end, after 300 steps"), "{error}");

    // Nor is it lost by a command that is typed again.
    let model = fs::read(folder.join("cells.onnx")).unwrap();
    let error = refusal(folder, &options);
    assert!(
        error.contains("holds a run that ended after 300 steps"),
        "{error}"
    );
    assert_eq!(fs::read(folder.join("cells.onnx")).unwrap(), model);
    let text = finish(
        folder,
        &[&options[..], &["--overwrite", "--seed", "4"]].concat(),
    );
    assert!(text.contains("300 steps in"), "{text}");
    let kept = "cells.onnx stays what it is until a network of this run is validated";
    assert!(text.contains(kept), "{text}");
    assert_ne!(fs::read(folder.join("cells.onnx")).unwrap(), model);
}

#[test]
fn nobody_has_to_read_what_a_run_says() {
    let folder = data();
    let folder = folder.path();
    let mut child = program(folder)
        .args(OPTIONS.split_whitespace())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    // The list of what was held back is one that `evaluate` takes.
    let held_back = fs::read_to_string(folder.join("cells.run/held-back.txt")).unwrap();
    assert_eq!(held_back.lines().count(), 1, "{held_back}");
}

#[test]
fn a_run_ends_when_it_gets_no_better() {
    let folder = data();
    let mut options: Vec<_> = OPTIONS.split_whitespace().collect();
    options.extend(["--patience", "2"]);
    let learning_rate = options.iter().position(|o| *o == "0.003").unwrap();
    // Nothing is learned, so that no validation is better than the first.
    options[learning_rate] = "1e-9";
    let text = finish(folder.path(), &options);
    assert!(text.contains("60 steps in"), "{text}");
    assert!(text.contains("best after 20"), "{text}");
}

#[test]
fn a_run_that_diverges_keeps_its_last_good_checkpoint() {
    let folder = data();
    let mut options: Vec<_> = OPTIONS.split_whitespace().collect();
    let learning_rate = options.iter().position(|o| *o == "0.003").unwrap();
    options[learning_rate] = "1e30";
    let validate_every = options.iter().position(|o| *o == "20").unwrap();
    options[validate_every] = "100000";
    // A checkpoint after each step; the model is one of an earlier run.
    options.extend(["--checkpoint-every", "0", "--overwrite"]);
    fs::write(folder.path().join("cells.onnx"), "of an earlier run").unwrap();
    let error = refusal(folder.path(), &options);
    assert!(error.contains("training has diverged"), "{error}");
    let whose = "cells.onnx is still the one that was there before";
    assert!(error.contains(whose), "{error}");
    let step: usize = error
        .split_once(" step ")
        .and_then(|(_, step)| step.split([' ', ':']).next())
        .map(|step| step.parse().unwrap())
        .unwrap();
    let log = fs::read_to_string(folder.path().join("cells.run/log.csv")).unwrap();
    // The steps until then are written down.
    assert!(log.lines().count() > 1, "{log}");
    assert!(folder.path().join("cells.run/report.html").exists());
    let model = fs::read(folder.path().join("cells.onnx")).unwrap();
    assert_eq!(model, b"of an earlier run");
    // The checkpoint is that of the step before, and its network is one.
    let last = "export --checkpoint cells.run --network last --output last.onnx";
    let last: Vec<_> = last.split(' ').collect();
    finish(folder.path(), &last);
    let (model, contract) = opened(&folder.path().join("last.onnx"));
    assert_eq!(contract.training.unwrap().steps, step - 1);
    let tensors = model.graph.unwrap().initializer;
    let mut numbers = tensors.iter().flat_map(|tensor| tensor.floats());
    assert!(numbers.all(f32::is_finite));
    // From there the run ends alike.
    let error = refusal(folder.path(), &GO_ON);
    assert!(error.contains("training has diverged"), "{error}");
}

#[test]
fn weights_that_are_none_are_told_from_a_loss_that_is_none() {
    let folder = data();
    let mut options: Vec<_> = OPTIONS.split_whitespace().collect();
    let learning_rate = options.iter().position(|o| *o == "0.003").unwrap();
    // The rate of the first step is more than 32 bits hold, while its loss is that of the weights before.
    options[learning_rate] = "1e40";
    options.extend(["--checkpoint-every", "0"]);
    let error = refusal(folder.path(), &options);
    assert!(
        error.contains("the weights are not finite after step 1: training has diverged"),
        "{error}"
    );
    assert!(error.contains("no network was validated yet"), "{error}");
    // What happened is written down, and the run can be looked at.
    let log = fs::read_to_string(folder.path().join("cells.run/log.csv")).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(folder.path().join("cells.run/report.html").exists());
    assert!(!folder.path().join("cells.onnx").exists());
}

#[test]
fn a_run_stopped_before_its_first_validation_leaves_a_model() {
    let folder = data();
    let mut options: Vec<_> = OPTIONS.split_whitespace().collect();
    options.extend(["--checkpoint-every", "0"]);
    let every = options.iter().position(|o| *o == "20").unwrap();
    options[every] = "100000";
    let steps = options.iter().position(|o| *o == "300").unwrap();
    options[steps] = "100000";
    let mut child = program(folder.path())
        .args(&options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = folder.path().join("cells.run/log.csv");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    while lines() < 4 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    assert!(folder.path().join("cells.onnx").exists());
    assert_eq!(
        fs::read_to_string(folder.path().join("cells.run/validations.csv")).unwrap(),
        "step,seconds\n"
    );
}

#[test]
fn the_folder_of_a_run_gives_its_networks() {
    let folder = data();
    let folder = folder.path();
    let mut options: Vec<_> = OPTIONS.split_whitespace().collect();
    let steps = options.iter().position(|o| *o == "300").unwrap();
    options[steps] = "50";
    finish(folder, &options);
    finish(
        folder,
        &[
            "export",
            "--checkpoint",
            "cells.run",
            "--output",
            "best.onnx",
        ],
    );
    let [best, written] = ["best.onnx", "cells.onnx"].map(|n| fs::read(folder.join(n)).unwrap());
    assert!(best == written);
    let package = [
        "export",
        "--bioimageio",
        "--checkpoint",
        "cells.run",
        "--output",
        "p",
    ];
    let error = refusal(folder, &package);
    assert!(error.contains("cannot be used with"), "{error}");
    finish(
        folder,
        &[
            "export",
            "--checkpoint",
            "cells.run",
            "--network",
            "last",
            "--output",
            "last.onnx",
        ],
    );
    let (_, contract) = opened(&folder.join("last.onnx"));
    let training = contract.training.unwrap();
    assert_eq!(training.steps, 50);
    assert!(
        training
            .command
            .starts_with("unet-train train --images images")
    );
    let error = refusal(
        folder,
        &["export", "--checkpoint", "images", "--output", "x.onnx"],
    );
    assert!(
        error.contains("there is no checkpoint in images"),
        "{error}"
    );

    let page = fs::read_to_string(folder.join("cells.run/report.html")).unwrap();
    // The curves and the one image held back.
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    assert!(page.contains("<tr><th>width</th><td>4</td></tr>"), "{page}");
    let held_back = fs::read_to_string(folder.join("cells.run/held-back.txt")).unwrap();
    let sample = format!("cells.run/sample-{}.png", held_back.trim());
    assert!(image::open(folder.join(sample)).unwrap().width() > 3 * 64);
    let curves = image::open(folder.join("cells.run/curves.png")).unwrap();
    assert_eq!((curves.width(), curves.height()), (960, 840));
}
