//! A run that was stopped or killed is resumed to the result of an uninterrupted one, through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use trainer::{Bench, draw_cells, opened};

/// Options of a run of 300 steps with dropout, which takes seconds.
const OPTIONS: &str = "train --images images --masks masks --output cells.onnx --width 4 --depth 2 \
                       --tile 76 --validation 0.25 --steps 300 --validate-every 20 --elastic 2 \
                       --learning-rate 0.003";

const GO_ON: &str = "train --config cells.run/config.toml --resume";

/// [`OPTIONS`], some of them with other values.
fn changed(values: &[(&str, &str)]) -> String {
    let mut words: Vec<_> = OPTIONS.split_whitespace().collect();
    for &(option, value) in values {
        let at = words.iter().position(|word| *word == option).unwrap();
        words[at + 1] = value;
    }
    words.join(" ")
}

/// A folder with images and masks.
fn data() -> Bench {
    let bench = Bench::new();
    draw_cells(&bench, 4);
    bench
}

/// Starts the run, and waits until it has been validated after 40 steps.
fn begun(mut command: Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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

/// A run that was stopped soon after its start.
fn stopped() -> Bench {
    stopped_by(&["INT"])
}

/// The same, by these signals.
fn stopped_by(signals: &[&str]) -> Bench {
    let bench = data();
    let mut child = begun(bench.command(OPTIONS));
    for name in signals {
        signal(&child, name);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    bench
}

/// The model, and the columns of the tables that don't tell the time.
fn result(bench: &Bench) -> (Vec<u8>, Vec<String>) {
    let without_time = |line: &str, column: usize| {
        let mut fields: Vec<_> = line.split(',').collect();
        fields.remove(column);
        fields.join(",")
    };
    let table = |name: &str, column| {
        let text = fs::read_to_string(bench.path("cells.run").join(name)).unwrap();
        let lines = text.lines().map(|line| without_time(line, column));
        lines.collect::<Vec<_>>()
    };
    let tables = [table("log.csv", 3), table("validations.csv", 1)].concat();
    (fs::read(bench.path("cells.onnx")).unwrap(), tables)
}

#[test]
fn a_run_that_was_stopped_or_killed_ends_as_one_that_was_not() {
    let whole = data();
    let told = whole.says(OPTIONS);
    let expected = result(&whole);
    assert_eq!(expected.1.len(), 1 + 300 + 1 + 15);

    let stopped = stopped();
    let steps = result(&stopped).1.len();
    assert!(steps < 300, "{steps} lines: stopped too late to tell");
    assert!(stopped.path("cells.onnx").exists());
    let text = stopped.says(GO_ON);
    assert!(text.contains("resumed after "), "{text}");
    assert!(result(&stopped) == expected);
    for line in text.lines().filter(|line| line.starts_with("step ")) {
        assert!(told.contains(line), "{line}\n{told}");
    }

    let killed = data();
    let mut child = begun(killed.command(OPTIONS));
    signal(&child, "KILL");
    assert!(!child.wait().unwrap().success());
    let text = killed.says(&format!("{OPTIONS} --resume"));
    // The line of the validation after 40 steps was there: so was the checkpoint of the one before.
    let (_, steps) = text.split_once("resumed after ").unwrap();
    let steps: usize = steps.split(' ').next().unwrap().parse().unwrap();
    assert!(steps >= 20, "{text}");
    // The config in the folder is that of the command line, and so is what the models say of it.
    assert!(result(&killed) == expected);
}

/// Both the terminal and the shell may send SIGHUP, and the end of a session SIGTERM.
#[test]
fn a_run_whose_terminal_was_closed_is_resumed() {
    let bench = stopped_by(&["HUP", "HUP", "TERM"]);
    let text = bench.says(GO_ON);
    assert!(text.contains("resumed after "), "{text}");
}

#[test]
fn nohup_keeps_a_run_going_without_its_terminal() {
    let bench = data();
    let mut command = Command::new("nohup");
    command
        .current_dir(bench.folder())
        .arg(env!("CARGO_BIN_EXE_unet-train"))
        .args(OPTIONS.split_whitespace());
    let mut child = begun(command);
    signal(&child, "HUP");
    assert!(child.wait().unwrap().success());
    assert_eq!(result(&bench).1.len(), 1 + 300 + 1 + 15);
}

/// Whatever is written to /dev/full finds no space.
#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_when_a_full_disk_has_space_again() {
    let bench = stopped();
    let part = bench.path("cells.run/log.csv.part");
    std::os::unix::fs::symlink("/dev/full", part).unwrap();
    let error = bench.refuses(GO_ON);
    let config = bench.path("cells.run/config.toml");
    let remedy = format!(
        "Free some space, then go on with: unet-train train --config {} --resume",
        config.display()
    );
    assert!(error.contains(&remedy), "{error}");
    let text = bench.says(GO_ON);
    assert!(text.contains("resumed after "), "{text}");
}

#[test]
fn a_run_goes_on_without_its_log() {
    let bench = stopped();
    let tables = ["cells.run/log.csv", "cells.run/validations.csv"];
    for table in tables {
        fs::remove_file(bench.path(table)).unwrap();
    }
    let text = bench.says(GO_ON);
    for table in tables {
        let note = format!("{table} is missing: it and its curves begin after step ");
        assert!(text.contains(&note), "{text}");
        let kept = fs::read_to_string(bench.path(table)).unwrap();
        assert!(kept.contains("\n300,"), "{kept}");
        assert!(!kept.contains("\n20,"), "{kept}");
    }
}

#[test]
fn a_run_goes_on_without_the_model_that_it_began_with() {
    let bench = stopped();
    let model = bench.path("model.onnx");
    fs::rename(bench.path("cells.onnx"), &model).unwrap();
    let begin = format!("{OPTIONS} --start-from model.onnx --overwrite");
    let mut child = begun(bench.command(&begin));
    signal(&child, "INT");
    child.wait().unwrap();
    fs::remove_file(model).unwrap();
    let text = bench.says(GO_ON);
    assert!(text.contains("resumed after "), "{text}");
}

/// No later network may be better than the one whose file is gone.
#[test]
fn a_resumed_run_restores_its_model() {
    let bench = stopped();
    let model = bench.path("model.onnx");
    fs::rename(bench.path("cells.onnx"), &model).unwrap();
    let idle = changed(&[("--learning-rate", "1e-9")]);
    let begin = format!("{idle} --start-from model.onnx --overwrite");
    let mut child = begun(bench.command(&begin));
    signal(&child, "INT");
    child.wait().unwrap();
    let best = fs::read(bench.path("cells.onnx")).unwrap();
    fs::remove_file(bench.path("cells.onnx")).unwrap();
    let text = bench.says(GO_ON);
    assert!(text.contains("best after 0"), "{text}");
    assert!(fs::read(bench.path("cells.onnx")).unwrap() == best);
}

#[test]
fn a_run_that_was_moved_is_resumed_in_its_new_place() {
    let bench = stopped();
    for name in ["cells.run", "cells.onnx", "images", "masks"] {
        let place = bench.path(&format!("new/{name}"));
        fs::rename(bench.path(name), place).unwrap();
    }
    let resume = "train --config new/cells.run/config.toml --resume";
    let error = bench.refuses(resume);
    assert!(error.contains("name its model there by"), "{error}");
    assert_eq!(fs::read_dir(bench.folder()).unwrap().count(), 1);

    let places = "--images new/images --masks new/masks --output new/cells.onnx";
    let text = bench.says(&format!("{resume} {places}"));
    assert!(text.contains("resumed after "), "{text}");
    let kept = fs::read_to_string(bench.path("new/cells.run/config.toml")).unwrap();
    assert!(kept.contains("new/images"), "{kept}");
}

#[test]
fn only_a_run_with_a_checkpoint_is_resumed() {
    let bench = data();
    let error = bench.refuses(&format!("{OPTIONS} --resume"));
    assert!(
        error.contains("there is no checkpoint in cells.run"),
        "{error}"
    );
    // A model that no run has made is kept.
    fs::write(bench.path("cells.onnx"), "precious").unwrap();
    let error = bench.refuses(OPTIONS);
    assert!(error.contains("cells.onnx is there already"), "{error}");
    assert_eq!(fs::read(bench.path("cells.onnx")).unwrap(), b"precious");
}

#[test]
fn a_run_goes_on_as_it_was_begun_and_until_its_end() {
    let bench = stopped();
    // With an image less others would be held back.
    let image = fs::read_dir(bench.path("images")).unwrap().next();
    let image = image.unwrap().unwrap().path();
    let mask = bench.path("masks").join(image.file_name().unwrap());
    let moved = [
        (image, bench.path("away.png")),
        (mask, bench.path("away-mask.png")),
    ];
    for (place, away) in &moved {
        fs::rename(place, away).unwrap();
    }
    let error = bench.refuses(&format!("{OPTIONS} --resume"));
    assert!(error.contains("other images or masks"), "{error}");
    for (place, away) in &moved {
        fs::rename(away, place).unwrap();
    }

    let error = bench.refuses(OPTIONS);
    assert!(
        error.contains("cells.run holds a run that stopped after"),
        "{error}"
    );
    let error = bench.refuses(&format!("{GO_ON} --seed 4 --width 5"));
    assert!(
        error.contains("started with other options: seed was 1, now 4; width was 4, now 5"),
        "{error}"
    );

    let checkpoint = bench.path("cells.run/last.checkpoint");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let error = bench.refuses(GO_ON);
    assert!(error.contains("last.checkpoint is damaged"), "{error}");
    fs::write(&checkpoint, &bytes).unwrap();
    bench.says(GO_ON);
    is_at_its_end(&bench);
}

/// The run goes on no more, and its model is not lost by a command that is typed again.
fn is_at_its_end(bench: &Bench) {
    let error = bench.refuses(GO_ON);
    assert!(error.contains("is at its end, after 300 steps"), "{error}");
    let model = fs::read(bench.path("cells.onnx")).unwrap();
    let error = bench.refuses(OPTIONS);
    assert!(
        error.contains("holds a run that ended after 300 steps"),
        "{error}"
    );
    assert_eq!(fs::read(bench.path("cells.onnx")).unwrap(), model);
    let text = bench.says(&format!("{OPTIONS} --overwrite --seed 4"));
    assert!(text.contains("300 steps in"), "{text}");
    let kept = "cells.onnx is not replaced until a network of this run is validated";
    assert!(text.contains(kept), "{text}");
    assert_ne!(fs::read(bench.path("cells.onnx")).unwrap(), model);
}

#[test]
fn a_run_survives_a_closed_output_pipe() {
    let bench = data();
    let mut child = bench
        .command(OPTIONS)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    // The list of what was held back is one that `evaluate` takes.
    let held_back = fs::read_to_string(bench.path("cells.run/held-back.txt")).unwrap();
    assert_eq!(held_back.lines().count(), 1, "{held_back}");
    // Nor does an error that can't be printed end in a panic.
    let mut command = bench.command(GO_ON);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_run_ends_when_it_gets_no_better() {
    // Nothing is learned, so that no validation is better than the first.
    let options = changed(&[("--learning-rate", "1e-9")]);
    let text = data().says(&format!("{options} --patience 2"));
    assert!(text.contains("60 steps in"), "{text}");
    assert!(text.contains("best after 20"), "{text}");
}

#[test]
fn a_run_that_diverges_keeps_its_last_good_checkpoint() {
    let bench = data();
    // A checkpoint after each step; the model is one of an earlier run.
    let options = changed(&[("--learning-rate", "1e30"), ("--validate-every", "100000")]);
    fs::write(bench.path("cells.onnx"), "of an earlier run").unwrap();
    let error = bench.refuses(&format!("{options} --checkpoint-every 0 --overwrite"));
    assert!(error.contains("training has diverged"), "{error}");
    let whose = "cells.onnx is still the earlier one";
    assert!(error.contains(whose), "{error}");
    let step: usize = error
        .split_once(" step ")
        .and_then(|(_, step)| step.split([' ', ':']).next())
        .map(|step| step.parse().unwrap())
        .unwrap();
    let log = fs::read_to_string(bench.path("cells.run/log.csv")).unwrap();
    // The steps until then are written down.
    assert!(log.lines().count() > 1, "{log}");
    assert!(bench.path("cells.run/report.html").exists());
    let model = fs::read(bench.path("cells.onnx")).unwrap();
    assert_eq!(model, b"of an earlier run");
    // The checkpoint is that of the step before, and its network is one.
    bench.says("export --checkpoint cells.run --network last --output last.onnx");
    let (model, contract) = opened(&bench.path("last.onnx"));
    assert_eq!(contract.training.unwrap().steps, step - 1);
    let tensors = model.graph.unwrap().initializer;
    let mut numbers = tensors.iter().flat_map(|tensor| tensor.floats());
    assert!(numbers.all(f32::is_finite));
    // From there the run ends alike.
    let error = bench.refuses(GO_ON);
    assert!(error.contains("training has diverged"), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_distinguished_from_such_a_loss() {
    let bench = data();
    // The rate of the first step is more than 32 bits hold, while its loss is that of the weights before.
    let options = changed(&[("--learning-rate", "1e40")]);
    let error = bench.refuses(&format!("{options} --checkpoint-every 0"));
    assert!(
        error.contains("the weights are not finite after step 1: training has diverged"),
        "{error}"
    );
    assert!(error.contains("no network was validated yet"), "{error}");
    // What happened is written down, and the run can be looked at.
    let log = fs::read_to_string(bench.path("cells.run/log.csv")).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(bench.path("cells.run/report.html").exists());
    assert!(!bench.path("cells.onnx").exists());
}

#[test]
fn a_run_stopped_before_its_first_validation_leaves_a_model() {
    let bench = data();
    let options = changed(&[("--validate-every", "100000"), ("--steps", "100000")]);
    let mut child = bench
        .command(&format!("{options} --checkpoint-every 0"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = bench.folder().join("cells.run/log.csv");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    while lines() < 4 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(bench.path("cells.onnx").exists());
    assert_eq!(
        fs::read_to_string(bench.path("cells.run/validations.csv")).unwrap(),
        "step,seconds\n"
    );
}
