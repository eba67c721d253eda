//! `unet-train evaluate` and `info` on drawn pictures, through the real program.
#![cfg(feature = "train")]

use std::fs;

use gstunetsegment::contract::Contract;
use gstunetsegment::onnx::Model;
use gstunetsegment::unet::UNet;
use image::{GrayImage, Luma};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

mod trainer;

use trainer::{Bench, bright, draw_disc, squares};

/// Four cells of which three are found: one is black in the image, another is found in half.
fn draw_cells(bench: &Bench) {
    let seen = squares(&[(5, 5), (20, 5), (0, 30)], 6, |_| 200);
    let mut truth = squares(&[(5, 5), (20, 5), (0, 30), (50, 38)], 6, |i| i as u8 + 1);
    for (x, y) in (0..36).map(|at| (at % 6, at / 6)) {
        // The second cell is twice as high as what is seen of it.
        truth.put_pixel(20 + x, 11 + y, Luma([2]));
    }
    seen.save(bench.path("images/t007.png")).unwrap();
    truth.save(bench.path("masks/man_seg007.png")).unwrap();
}

#[test]
fn cells_are_scored_as_by_hand() {
    let bench = Bench::new();
    bench.model(|_| ());
    draw_cells(&bench);
    let text = bench.says(
        "evaluate --model model.onnx --images images --masks masks --json scores.json --per-image",
    );
    // Cells 1 and 3 as they are, of cell 2 exactly half, nothing of cell 4.
    let (seg, f1, ap, iou) = (2.0 / 4.0, 4.0 / 7.0, 2.0 / 5.0, 108.0 / 180.0);
    let dice = 216.0 / 288.0;
    let error = 72.0 / (64.0 * 48.0);
    let row = format!("{seg:8.4}{f1:8.4}{ap:8.4}{ap:9.4}{ap:8.4}{iou:8.4}{dice:8.4}{error:13.4}");
    let expected = [
        format!("images/t007       4       3       0{row}"),
        format!("total             4       3       0{row}"),
        "1 images from a Cell Tracking Challenge folder; masks show a number for each cell (4 cells)"
            .to_owned(),
        "threshold 0.5".to_owned(),
    ];
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected, "{text}");

    let json = bench.json("scores.json");
    assert_eq!(json["kind"], "cells");
    assert_eq!(json["total"]["cells"], serde_json::json!([4, 3]));
    assert_eq!(json["total"]["merged"], 0);
    assert_eq!(json["total"]["scores"]["SEG"], seg);
    assert_eq!(json["per_image"][0]["name"], "images/t007");

    // The third cell lies at the left edge, the others reach further in.
    let text = bench.says("evaluate --model model.onnx --images images --masks masks --border 6");
    assert!(text.contains("total       3       2"), "{text}");
    assert!(text.contains("none within 6 pixels of the edge"), "{text}");
    let error =
        bench.refuses("evaluate --model model.onnx --images images --masks masks --border 30");
    assert!(error.contains("leaves out every cell"), "{error}");
}

#[test]
fn any_number_of_rotations_is_averaged() {
    let bench = Bench::new();
    bench.model(|_| ());
    let places = [(4, 6), (40, 26)];
    let image = squares(&places, 16, |_| 200);
    image.save(bench.path("images/a.png")).unwrap();
    let mask = squares(&places, 16, |i| i as u8 + 1);
    mask.save(bench.path("masks/a.png")).unwrap();
    let evaluate = "evaluate --model model.onnx --images images --masks masks --json scores.json";
    for (options, versions) in [
        ("--rotations", 4),
        ("--rotations --mirrors", 8),
        ("--rotations=7", 7),
        ("--rotations=7 --mirrors", 14),
    ] {
        let text = bench.says(&format!("{evaluate} {options}"));
        let mean = format!("mean over {versions} versions of each");
        assert!(text.contains(&mean), "{text}");
        let total = &bench.json("scores.json")["total"];
        assert_eq!(total["cells"], serde_json::json!([2, 2]), "{text}");
        let iou = total["scores"]["IoU"].as_f64().unwrap();
        // Interpolation blurs the edges of the squares; quarter turns need none.
        let is_exact = versions % 4 == 0;
        assert!(if is_exact { iou == 1.0 } else { iou > 0.8 }, "{text}");
    }
    let error = bench.refuses(&format!("{evaluate} --rotations=17"));
    assert!(error.contains("it must be 2 to 16"), "{error}");
}

#[test]
fn membranes_are_recognized_by_the_name_of_the_class() {
    let bench = Bench::new();
    bench.model(|contract| contract.classes[0].name = "membrane".into());
    let line = |at: &[u32]| {
        GrayImage::from_fn(64, 48, |x, _| Luma([if at.contains(&x) { 0 } else { 255 }]))
    };
    // One of three true membranes is missing, another is too thick.
    line(&[15, 16, 17, 48])
        .save(bench.path("images/a.png"))
        .unwrap();
    line(&[16, 32, 48]).save(bench.path("masks/a.png")).unwrap();
    let command = "evaluate --model model.onnx --images images --masks masks";
    bench.says(&format!("{command} --json scores.json --threshold 0.05"));
    let json = bench.json("scores.json");
    assert_eq!(json["kind"], "membranes");
    let scores = &json["total"]["scores"];
    // Truth: 16, 15, 15 and 15 columns of cells; found: 16, 31 of which 30 lie in cells, and 15.
    let squares = |parts: &[f64]| parts.iter().map(|n| (n / 61.0).powi(2)).sum::<f64>();
    let (truth, found) = (
        squares(&[16.0, 15.0, 15.0, 15.0]),
        squares(&[16.0, 30.0, 15.0]),
    );
    let v_rand = truth / (0.5 * truth + 0.5 * found);
    assert!(
        (scores["V_rand"].as_f64().unwrap() - v_rand).abs() < 1e-9,
        "{scores}"
    );
    assert_eq!(scores["pixel error"], 3.0 / 64.0);
    // No pixel of the missing membrane can go without making one cell of two; the thick one can.
    assert_eq!(scores["warping error"], 1.0 / 64.0);
    let error = bench.refuses(&format!("{command} --border 3"));
    assert!(error.contains("no meaning for membranes"), "{error}");
}

/// Discs of several sizes on noise, some of which touch, and specks that are no cells.
fn draw_noisy_cells(bench: &Bench, count: usize) {
    let mut random = StdRng::seed_from_u64(7);
    for index in 0..count {
        let mut mask = GrayImage::new(80, 64);
        for cell in 1..=6 {
            let (x, y) = (random.random_range(0..80), random.random_range(0..64));
            draw_disc(&mut mask, (x, y), random.random_range(3..9), cell);
        }
        let image = GrayImage::from_fn(80, 64, |x, y| {
            let speck = random.random_bool(0.004);
            let bright = speck || mask.get_pixel(x, y).0[0] > 0;
            Luma([if bright { 110 } else { 60 } + random.random_range(0..50)])
        });
        image
            .save(bench.path(&format!("images/{index}.png")))
            .unwrap();
        mask.save(bench.path(&format!("masks/{index}.png")))
            .unwrap();
    }
}

#[test]
fn levels_show_the_best_of_each_score() {
    let bench = Bench::new();
    bench.model(|_| ());
    draw_noisy_cells(&bench, 2);
    let evaluate = "evaluate --model model.onnx --images images --masks masks --json scores.json";
    let at = [0.25, 0.5, 0.75].map(|threshold| {
        bench.says(&format!("{evaluate} --threshold {threshold}"));
        bench.json("scores.json")["total"]["scores"].clone()
    });
    let text = bench.says(&format!("{evaluate} --levels 3"));
    assert!(text.contains("best of 3"), "{text}");
    let best = &bench.json("scores.json")["best"]["scores"];
    for (name, best) in best.as_object().unwrap() {
        let scores = at.iter().map(|scores| scores[name].as_f64().unwrap());
        let fold = if name == "pixel error" {
            f64::min
        } else {
            f64::max
        };
        assert_eq!(best.as_f64(), scores.reduce(fold), "{name}: {at:?}");
    }
    assert_ne!(at[0], at[1]);
    bench.says(evaluate);
    assert!(bench.json("scores.json")["best"].is_null());
}

/// A model of three classes: bright pixels are of the second one, and no pixel of the third.
fn bright_of_three_classes(bench: &Bench, change: impl FnOnce(&mut Contract)) {
    let (two, parameters) = bright();
    let unet = UNet { classes: 3, ..two };
    let parameters = parameters.into_iter().map(|(name, mut values)| {
        if name == "last" {
            let inputs = values.weight.len() / 2;
            values.weight.extend(vec![0.0; inputs]);
            values.bias.push(-1e3);
        }
        (name, values)
    });
    bench.described(&unet, &parameters.collect(), change);
}

#[test]
fn three_classes_are_never_membranes() {
    let bench = Bench::new();
    bright_of_three_classes(&bench, |contract| {
        contract.classes[0].name = "membrane".into();
    });
    squares(&[(5, 5)], 8, |_| 200)
        .save(bench.path("images/a.png"))
        .unwrap();
    squares(&[(5, 5)], 8, |_| 1)
        .save(bench.path("masks/a.png"))
        .unwrap();
    bench.says("evaluate --model model.onnx --images images --masks masks --json scores.json");
    assert_eq!(bench.json("scores.json")["kind"], "cells");
}

/// A network that finds every cell and takes it for another class finds none.
#[test]
fn cells_of_another_class_are_not_found() {
    let bench = Bench::new();
    bright_of_three_classes(&bench, |_| ());
    let places = [(5, 5), (20, 20), (40, 8)];
    squares(&places, 8, |_| 200)
        .save(bench.path("images/a.png"))
        .unwrap();
    let score = |class: u8| {
        squares(&places, 8, |_| class)
            .save(bench.path("masks/a.png"))
            .unwrap();
        let scored = "evaluate --model model.onnx --images images --masks masks --kind classes";
        let text = bench.says(&format!("{scored} --json scores.json"));
        let json = bench.json("scores.json");
        // The most likely class counts, however likely it is.
        assert!(!text.contains("threshold"), "{text}");
        assert!(json.get("threshold").is_none(), "{json}");
        let scores = &json["total"]["scores"];
        ["F1@0.5", "SEG", "IoU"].map(|name| scores[name].as_f64().unwrap())
    };
    assert!(score(1).iter().all(|score| *score > 0.9));
    assert_eq!(score(2), [0.0; 3]);
}

#[test]
fn a_model_scores_as_its_training_says() {
    let bench = Bench::new();
    draw_noisy_cells(&bench, 8);
    fs::write(bench.path("held-back.txt"), "2\n5.png\n7\n").unwrap();
    for padding in ["--padded=false", "--padded"] {
        bench.says(&format!(
            "train --overwrite --images images --masks masks --output model.onnx --validation-list held-back.txt \
             --width 4 --depth 2 --tile 60 --steps 120 --learning-rate 0.005 {padding}"
        ));
        let evaluate = "evaluate --model model.onnx --images images --masks masks";
        let text = bench.says(&format!(
            "{evaluate} --only held-back.txt --json scores.json"
        ));
        assert!(text.contains("3 images from a folder"), "{text}");
        let found = bench.json("scores.json");
        let info: Value = serde_json::from_str(&bench.says("info model.onnx --json")).unwrap();
        let contract = &info["contract"];
        assert_eq!(found["threshold"], contract["threshold"]);
        assert_eq!(
            found["min_area"],
            contract["min_area"].as_u64().unwrap_or(0)
        );
        let promised = contract["scores"].as_object().unwrap();
        assert_eq!(promised.len(), 8, "{contract}");
        for (name, promised) in promised {
            let found = found["total"]["scores"][name].as_f64().unwrap();
            let promised = promised.as_f64().unwrap();
            // The contract has four digits, and the trainer and ONNX Runtime round differently, which may
            // change a pixel of 15,360.
            assert!(
                (found - promised).abs() < 1e-3,
                "{name}: {found}, not {promised}"
            );
        }
    }
}

#[test]
fn every_layout_of_training_data_is_scored() {
    let bench = Bench::new();
    bench.model(|_| ());
    let image = squares(&[(5, 5), (30, 20)], 6, |_| 200);
    let mask = squares(&[(5, 5), (30, 20)], 6, |index| index as u8 + 3);
    for (folder, masks) in [("01", "01_GT/SEG"), ("02", "02_ST/SEG")] {
        image
            .save(bench.path(&format!("challenge/{folder}/t000.tif")))
            .unwrap();
        image
            .save(bench.path(&format!("challenge/{folder}/t001.tif")))
            .unwrap();
        mask.save(bench.path(&format!("challenge/{masks}/man_seg001.tif")))
            .unwrap();
    }
    image.save(bench.path("stacks/train-volume.tif")).unwrap();
    squares(&[(5, 5), (30, 20)], 6, |_| 255)
        .save(bench.path("stacks/train-labels.tif"))
        .unwrap();
    image.save(bench.path("both/images/a.png")).unwrap();
    mask.save(bench.path("both/labels/a.tif")).unwrap();
    for (layout, expected) in [
        (
            "challenge",
            "2 images from a Cell Tracking Challenge folder; masks show a number for each cell (4 cells); 2 images without a mask left out",
        ),
        (
            "challenge/01 --truth gold",
            "1 images from a Cell Tracking Challenge folder",
        ),
        (
            "challenge/02 --masks challenge --truth silver",
            "1 images from a Cell Tracking Challenge folder",
        ),
        (
            "stacks",
            "1 images from stacks, page by page; masks show membranes",
        ),
        ("both", "1 images from a folder of images and one of masks"),
    ] {
        let text = bench.says(&format!("evaluate --model model.onnx --images {layout}"));
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("1.0000  1.0000"), "{text}");
    }
}

#[test]
fn ignored_pixels_are_not_scored() {
    let bench = Bench::new();
    bench.model(|_| ());
    squares(&[(5, 5), (30, 20)], 6, |_| 200)
        .save(bench.path("images/a.png"))
        .unwrap();
    squares(&[(5, 5), (30, 20)], 6, |index| [1, 255][index])
        .save(bench.path("masks/a.png"))
        .unwrap();
    let evaluate = "evaluate --model model.onnx --images images --masks masks";
    let counts = |options: &str| {
        let text = bench.says(&format!("{evaluate} {options}"));
        let total = text.lines().nth(1).unwrap().to_owned();
        let numbers = total.split_whitespace().skip(1).map(str::to_owned);
        numbers.take(4).collect::<Vec<_>>()
    };
    assert_eq!(counts(""), ["2", "2", "0", "1.0000"]);
    assert_eq!(counts("--ignore 255"), ["1", "1", "0", "1.0000"]);
    // A column of wrong pixels among those that count.
    bench.says(&format!(
        "{evaluate} --ignore 255 --threshold 1 --json scores.json"
    ));
    let error = &bench.json("scores.json")["total"]["scores"]["pixel error"];
    let (wrong, judged) = (36.0, f64::from(64 * 48 - 36));
    assert!(
        (error.as_f64().unwrap() - wrong / judged).abs() < 1e-9,
        "{error}"
    );
    let error = bench.refuses(&format!("{evaluate} --classes ground,cell"));
    assert!(error.contains("the model says what they are"), "{error}");
}

#[test]
fn a_contract_is_shown_and_a_foreign_model_is_probed() {
    let bench = Bench::new();
    let model = bench.model(|contract| contract.min_area = Some(17));
    let text = bench.says("info model.onnx");
    assert!(text.starts_with("bright, model.onnx"), "{text}");
    assert!(text.contains("smallest object 17 pixels"), "{text}");
    let json: Value = serde_json::from_str(&bench.says("info model.onnx --json")).unwrap();
    assert_eq!(json["described"], true);
    assert_eq!(json["contract"]["min_area"], 17);

    let mut file = Model::decode(fs::read(&model).unwrap().as_slice()).unwrap();
    file.metadata_props.clear();
    fs::write(bench.path("foreign.onnx"), file.encode_to_vec()).unwrap();
    let text = bench.says("info foreign.onnx");
    assert!(text.contains("found by probing"), "{text}");
    assert!(text.contains("tiles begin     every 2 pixels"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn paths_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    let model = std::ffi::OsStr::from_bytes(b"m\xff.onnx");
    fs::rename(bench.model(|_| ()), bench.folder().join(model)).unwrap();
    draw_cells(&bench);
    for command in [
        "info --json",
        "evaluate --images images --masks masks --json scores.json --model",
    ] {
        let output = bench.command(command).arg(model).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
    assert_eq!(bench.json("scores.json")["model"], "m\u{fffd}.onnx");
}
