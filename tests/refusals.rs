//! What commands of `unet-train` on files refuse, and when: through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;

use image::GrayImage;
use trainer::{Bench, squares};

const EVALUATE: &str = "evaluate --model model.onnx --images images --masks masks";

/// A model, and an image with its mask.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.model(|_| ());
    for (file, value) in [("images/t007.png", 200), ("masks/man_seg007.png", 1)] {
        squares(&[(5, 5)], 6, |_| value)
            .save(bench.path(file))
            .unwrap();
    }
    bench
}

#[test]
fn pairs_that_do_not_fit_are_named() {
    let bench = bench();
    GrayImage::new(5, 4)
        .save(bench.path("masks/man_seg008.png"))
        .unwrap();
    let error = bench.refuses(EVALUATE);
    assert!(error.contains("man_seg008.png has no partner"), "{error}");
    GrayImage::new(64, 48)
        .save(bench.path("images/t008.png"))
        .unwrap();
    let error = bench.refuses(EVALUATE);
    assert!(
        error.contains("t008.png is 64x48 pixels") && error.contains("is 5x4"),
        "{error}"
    );
}

/// Before anything is read or computed.
#[test]
fn outputs_that_can_not_be_written_are_refused_first() {
    let bench = bench();
    for command in [
        "evaluate --model nowhere.onnx --images nowhere --masks masks --json nowhere/x",
        "tune --model model.onnx --images nowhere --masks masks --output nowhere/x",
        "quantize --model model.onnx --images nowhere --output nowhere/x",
        "export --checkpoint nowhere.run --output nowhere/x",
    ] {
        let error = bench.refuses(command);
        assert!(
            error.contains("can't write nowhere/x"),
            "{command}: {error}"
        );
    }
    // Folders within a file, and files that have the name of a folder, are among them.
    for command in [
        "segment --model model.onnx --images images --output images/t007.png/x",
        "export --bioimageio --model nowhere.onnx --output images/t007.png/x",
        "export --bioimageio --model nowhere.onnx --output images/t007.png/x.zip",
    ] {
        let error = bench.refuses(command);
        assert!(
            error.contains("can't write images/t007.png/x"),
            "{command}: {error}"
        );
    }
    write_damaged(&bench);
    fs::create_dir_all(bench.path("out/a.png")).unwrap();
    let error = bench.refuses(
        "segment --model model.onnx --images empty/images --output out --overwrite --what mask",
    );
    assert!(error.contains("can't write out/a.png"), "{error}");
    assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), 1);
}

/// An image that is cut off.
fn write_damaged(bench: &Bench) {
    fs::write(bench.path("empty/images/a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
}

#[test]
fn wrong_files_and_options_are_named() {
    let bench = bench();
    // That there is nothing to find is said before a damaged image is looked at.
    write_damaged(&bench);
    GrayImage::new(64, 48)
        .save(bench.path("empty/masks/a.png"))
        .unwrap();
    let error = bench.refuses("tune --model model.onnx --images empty --output tuned.onnx");
    assert!(error.contains("none of the masks shows a cell"), "{error}");

    let error = bench.refuses("info images/t007.png");
    assert!(error.contains("t007.png is not an ONNX file"), "{error}");
    let error = bench.refuses(&format!("{EVALUATE} --threshold 2"));
    assert!(error.contains("must be 0.0 to 1.0"), "{error}");
    let error = bench.refuses(&format!("{EVALUATE} --truth silver"));
    assert!(error.contains("--truth has no effect"), "{error}");
    let error = bench.refuses(&format!("{EVALUATE} --annotated-only --layout stacks"));
    assert!(error.contains("--annotated-only has no effect"), "{error}");
}
