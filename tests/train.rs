//! `unet-train` from a folder of pictures to a model with its contract, through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;
use std::sync::atomic::AtomicBool;

use gstunetsegment::contract::{Activation, Contract, Normalization};
use gstunetsegment::train::config::Config;
use gstunetsegment::train::limits::Limits;
use gstunetsegment::train::run::run;
use gstunetsegment::train::terminal::Terminal;
use gstunetsegment::unet::UNet;
use trainer::{Bench, draw_cells, opened};

/// Trains a network that learns within seconds.
const TRAIN: &str = "train --images images --masks masks --output cells.onnx --width 4 --depth 2 \
                     --tile 76 --validation 0.25";

/// A folder with so many images and masks.
fn data(count: usize) -> Bench {
    let bench = Bench::new();
    draw_cells(&bench, count);
    bench
}

/// The loss, then F1, SEG and IoU, of each line that reports a validation.
fn reports(output: &str) -> Vec<[f64; 4]> {
    let lines = output.lines().filter(|line| line.starts_with("step "));
    let numbers = |line: &str| -> Vec<f64> {
        let words = line.split_whitespace().skip(2);
        // Before the first step there is no loss.
        let number = |word: &str| {
            if word == "-" {
                Ok(f64::NAN)
            } else {
                word.parse()
            }
        };
        words.filter_map(|word| number(word).ok()).collect()
    };
    lines
        .map(|line| {
            numbers(line)
                .try_into()
                .unwrap_or_else(|_| panic!("{line}"))
        })
        .collect()
}

/// The contract inside the model that is trained.
fn contract(bench: &Bench) -> Contract {
    opened(&bench.path("cells.onnx")).1
}

#[test]
fn a_run_learns_and_writes_a_model_with_its_contract() {
    let bench = data(8);
    let options = "--steps 400 --validate-every 50 --learning-rate 0.005 --elastic 2 --data drawn";
    let text = bench.says(&format!("{TRAIN} {options}"));
    assert!(text.contains("6 training images, 2 held back"), "{text}");

    let reports = reports(&text);
    let [first, .., last] = reports[..] else {
        panic!("{text}")
    };
    assert!(
        last[0] < 0.7 * first[0],
        "the loss fell too little:\n{text}"
    );
    let best_iou = reports.iter().map(|report| report[3]).fold(0.0, f64::max);
    assert!(best_iou > 0.8, "{text}");

    let contract = contract(&bench);
    let training = contract.training.as_ref().unwrap();
    let [_, f1, seg, iou] = reports[training.steps / 50 - 1];
    let scores = ["F1@0.5", "SEG", "IoU"].map(|name| contract.scores[name]);
    assert_eq!(scores, [f1, seg, iou]);
    describes_the_run(&contract);
    // What is said is what the model has.
    let limits = Limits {
        threshold: contract.threshold,
        min_area: contract.min_area,
        core_threshold: contract.core_threshold,
    };
    let limits = limits.description(contract.classes.len());
    assert!(text.contains(&format!(", with {limits}: F1@0.5")), "{text}");
    let page = fs::read_to_string(bench.path("cells.run/report.html")).unwrap();
    assert!(page.contains(&format!("<p>With {limits}.</p>")), "{page}");
}

/// The contract has the network that was trained, and what it was trained on.
fn describes_the_run(contract: &Contract) {
    let unet = UNet {
        channels: 1,
        classes: 2,
        width: 4,
        depth: 2,
        padded: true,
    };
    assert_eq!(contract.name, "cells");
    assert_eq!(contract.geometry, unet.geometry());
    assert_eq!(contract.activation, Activation::Softmax);
    assert_eq!(contract.normalization, Normalization::ZScore);
    let training = contract.training.as_ref().unwrap();
    assert_eq!((training.images, training.data.as_str()), (6, "drawn"));
    assert!(
        training
            .command
            .starts_with("unet-train train --images images")
    );
    // What it learned from looks like itself.
    let ranges: Vec<_> = contract.pictures.ranges().collect();
    assert_eq!(ranges.len(), 5);
    for (which, (low, high)) in ranges {
        assert!(low <= high && high - low < 2.0, "{which}: {low} to {high}");
    }
}

/// Where it has to learn anew, a run that begins with a model is as good as that from the first step on.
#[test]
fn a_run_begins_with_the_network_of_a_model() {
    let bench = data(8);
    bench.says(&format!(
        "{TRAIN} --steps 400 --learning-rate 0.005 --elastic 2"
    ));
    let learned = contract(&bench).scores["IoU"];
    assert!(learned > 0.8, "{learned}");

    let begin = |more: &str| {
        let data = "train --images images --masks masks --tile 76 --validation 0.25 --elastic 2";
        let run = "--output more.onnx --overwrite --steps 1";
        let output = bench.run(&format!("{data} {run} {more}"));
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    // Width and depth are the model's, though they are not the usual ones.
    let [text, error] = begin("--start-from cells.onnx");
    let [.., iou] = reports(&text)[0];
    assert!(iou > learned - 0.05, "{text}{error}");
    let [text, _] = begin("--width 4 --depth 2");
    let [.., iou] = reports(&text)[0];
    assert!(iou < learned - 0.1, "it knew before it learned: {text}");

    let [_, error] = begin("--start-from cells.onnx --width 5");
    assert!(
        error.contains("width 4") && error.contains("width 5"),
        "{error}"
    );
    let [_, error] = begin("--start-from cells.onnx --classes cell,background");
    assert!(error.contains("have other numbers"), "{error}");
    // Steps that are far too large spoil it, and it stays the best.
    let [text, _] = begin("--start-from cells.onnx --learning-rate 100");
    let [first, last] = reports(&text)[..] else {
        panic!("{text}")
    };
    assert!(first[3] > learned - 0.05 && last[3] < first[3], "{text}");
    let kept = opened(&bench.path("more.onnx")).1.training;
    let kept = kept.unwrap();
    let before = kept.before.as_ref().unwrap();
    assert_eq!((kept.steps, before.steps), (0, 400));
    assert_eq!(before.before, None);
    fs::write(bench.path("none.onnx"), "no model").unwrap();
    for (model, why) in [
        ("none.onnx", "it is no ONNX file"),
        ("nowhere.onnx", "No such file"),
        ("images", "it is a folder; name the .onnx file"),
    ] {
        let [_, error] = begin(&format!("--start-from {model}"));
        assert!(error.contains(model) && error.contains(why), "{error}");
    }
}

/// Whatever finds nothing would be the best by such images.
#[test]
fn images_held_back_show_cells() {
    let bench = data(4);
    let names = fs::read_dir(bench.path("masks")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let (width, height) = image::image_dimensions(&names[1]).unwrap();
    image::GrayImage::new(width, height)
        .save(&names[1])
        .unwrap();
    let name = names[1].file_name().unwrap().to_str().unwrap();
    // With the mark that some editors begin a file with.
    fs::write(bench.path("list.txt"), format!("\u{feff}{name}\r\n")).unwrap();
    let error = bench.refuses(
        "train --images images --masks masks --output cells.onnx --tile 76 --steps 1 \
         --validation-list list.txt",
    );
    assert!(error.contains("no image held back shows a cell"), "{error}");
    assert!(!bench.path("cells.run").exists());
}

#[test]
fn a_run_of_steps_is_repeatable() {
    let models = [(); 2].map(|()| {
        let bench = data(4);
        bench.says(&format!("{TRAIN} --steps 3 --seed 5"));
        fs::read(bench.path("cells.onnx")).unwrap()
    });
    assert!(models[0] == models[1]);
}

/// Ctrl-C while the data are read.
#[test]
fn a_run_that_is_stopped_before_it_begins_replaces_nothing() {
    let bench = data(4);
    bench.says(&format!("{TRAIN} --steps 2"));
    let files = [
        "cells.onnx",
        "cells.run/last.checkpoint",
        "cells.run/report.html",
    ];
    let kept = || files.map(|file| fs::read(bench.path(file)).unwrap());
    let before = kept();
    let config = fs::read_to_string(bench.path("cells.run/config.toml")).unwrap();
    let config = Config::parse(&config).unwrap();
    let mut settings = config.options().unwrap().settings(config.clone(), []);
    settings.overwrite = true;
    let stop = AtomicBool::new(true);
    let error = run(&settings, &stop, &mut Terminal::new()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("stopped before learning began"), "{error}");
    assert!(kept() == before);
}

/// The run is kept as text.
#[cfg(target_os = "linux")]
#[test]
fn typed_values_are_stored_as_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let bench = data(4);
    let output = bench
        .command("train --images images --masks masks --steps 1 --output")
        .arg(OsStr::from_bytes(b"caf\xe9.onnx"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("is not valid UTF-8"), "{error}");
    // Nothing was begun.
    assert_eq!(fs::read_dir(bench.folder()).unwrap().count(), 2);
}

#[test]
fn a_run_can_be_repeated_from_its_folder() {
    let bench = data(4);
    let file = "width = 3\ndepth = 1\ntile = 60\noptimizer = 'sgd'\nbackground = 0.1\nsteps = 3\n\
                images = '../images'\nmasks = '../masks'\noutput = '../cells.onnx'\n";
    fs::write(bench.path("configs/run.toml"), file).unwrap();
    let run = |options: &str| {
        bench.says(&format!("train --overwrite --config {options}"));
        opened(&bench.path("cells.onnx")).0.graph
    };
    let first = run("configs/run.toml --seed 9");
    let kept = fs::read(bench.path("cells.run/config.toml")).unwrap();
    fs::write(bench.path("again.toml"), kept).unwrap();
    fs::remove_dir_all(bench.path("cells.run")).unwrap();
    assert!(run("again.toml") == first);
    assert!(run("again.toml --seed 8") != first);
}

#[test]
fn what_is_wrong_is_said_before_training_starts() {
    let bench = data(4);
    let refusal = |options: &str| {
        let error = bench.refuses(&format!("{TRAIN} {options}"));
        assert!(!bench.path("cells.onnx").exists());
        error
    };
    fs::write(bench.path("run.toml"), "dropout = 1").unwrap();
    let error = refusal("--config run.toml");
    assert!(
        error.contains("run.toml: dropout = 1: it must be 0.0 or more, and less than 1.0"),
        "{error}"
    );
    let error = refusal("--dropout 1");
    assert!(
        error.contains("'--dropout <DROPOUT>': it must be 0.0 or more, and less than 1.0"),
        "{error}"
    );
    let error = refusal("--minutes 0");
    assert!(
        error.contains("'--minutes <MINUTES>': it must be 0.001 to"),
        "{error}"
    );

    let huge = "train --images images --masks masks --output cells.onnx --batch 1024 --tile 8192";
    let error = bench.refuses(huge);
    let expected = "a step with --batch 1024, --tile 8192, --width 16 and --depth 3 takes about";
    assert!(error.contains(expected), "{error}");
    assert!(!bench.path("cells.run").exists());

    let into_a_file = TRAIN.replace("cells.onnx", "masks/2.png/cells.onnx");
    let error = bench.refuses(&format!("{into_a_file} --steps 3"));
    assert!(
        error.contains("can't write masks/2.png/cells.onnx"),
        "{error}"
    );

    fs::remove_file(bench.path("masks/2.png")).unwrap();
    let error = refusal("--steps 3");
    assert!(error.contains("2.png has no partner"), "{error}");
    let elsewhere = TRAIN.replace("cells.onnx", "new/place/cells.onnx");
    bench.refuses(&format!("{elsewhere} --steps 3"));
    assert!(!bench.folder().join("new").exists());
}
