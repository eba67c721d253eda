//! `unet-train weight-map` and `augment`: pictures of what the network is shown, through the real
//! program.
#![cfg(feature = "train")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{GrayImage, Luma, RgbImage};
use tempfile::TempDir;

/// Space between pictures, see the trainer's canvas.
const GAP: u32 = 4;

/// Two images of 40x30 pixels with two cells that touch at column 20.
fn data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["images", "masks"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in ["a", "b"] {
        let mask = GrayImage::from_fn(40, 30, |x, y| match (x, y) {
            (10..20, 10..20) => Luma([1]),
            (20..30, 10..20) => Luma([2]),
            _ => Luma([0]),
        });
        let image = GrayImage::from_fn(40, 30, |x, y| Luma([(x + y) as u8]));
        image
            .save(folder.path().join(format!("images/{name}.png")))
            .unwrap();
        mask.save(folder.path().join(format!("masks/{name}.png")))
            .unwrap();
    }
    folder
}

fn output(folder: &Path, command: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unet-train"))
        .current_dir(folder)
        .args(command.split(' '))
        .output()
        .unwrap()
}

/// What the program says.
fn run(folder: &Path, command: &str) -> String {
    let output = output(folder, command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn picture(folder: &Path, name: &str) -> RgbImage {
    image::open(folder.join(name)).unwrap().into_rgb8()
}

fn brightness(picture: &RgbImage, x: u32, y: u32) -> u32 {
    picture.get_pixel(x, y).0.into_iter().map(u32::from).sum()
}

#[test]
fn a_weight_map_is_brightest_in_the_narrowest_gap() {
    let folder = data();
    let text = run(
        folder.path(),
        "weight-map --images images --masks masks --output deep/weights",
    );
    // d_1 + d_2 = 2 in the middle of the gap: 1 + 10 exp(-4 / 50).
    assert!(
        text.contains("a  mean weight") && text.contains("largest 10.231"),
        "{text}"
    );
    let drawn = picture(folder.path(), "deep/weights/a.png");
    assert!(folder.path().join("deep/weights/b.png").exists());
    assert!(drawn.height() >= 30 && drawn.width() > 3 * (40 + GAP));
    let [labels, weights, scale] = [1, 2, 3].map(|place| place * (40 + GAP));
    // The right cell gives up a column.
    assert_eq!(drawn.get_pixel(labels + 20, 15).0, [0; 3]);
    assert_ne!(
        drawn.get_pixel(labels + 19, 15),
        drawn.get_pixel(labels + 21, 15)
    );
    let gap = brightness(&drawn, weights + 20, 15);
    assert!(gap > brightness(&drawn, weights + 20, 5));
    assert!(gap > brightness(&drawn, weights + 15, 15));
    // The scale ends with the largest weight.
    assert_eq!(drawn.get_pixel(scale, 0), drawn.get_pixel(weights + 20, 15));
}

#[test]
fn the_options_of_a_run_count_as_far_as_they_concern_the_picture() {
    let folder = data();
    let options =
        "images = 'images'\nmasks = 'masks'\noutput = 'cells.onnx'\nsteps = 5\nborder = 20\n";
    fs::write(folder.path().join("run.toml"), options).unwrap();
    let text = run(
        folder.path(),
        "weight-map --config run.toml --output weights",
    );
    assert!(text.contains("largest 19.462"), "{text}");
    let text = run(
        folder.path(),
        "weight-map --config run.toml --border 10 --output weights --overwrite",
    );
    assert!(text.contains("largest 10.231"), "{text}");
    let text = run(
        folder.path(),
        "augment --preset paper2015 --images images --masks masks --count 1 --tile 188 --output tiles",
    );
    assert!(text.contains("1 tiles of 188 -> 4 pixels"), "{text}");
    // The model that a run writes is no folder for pictures.
    let output = output(folder.path(), "weight-map --config run.toml");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("--output <FOLDER>"), "{error}");
}

#[test]
fn tiles_are_drawn_by_their_seed() {
    let folder = data();
    let draw = |out: &str, options: &str| {
        let command = format!(
            "augment --images images --masks masks --count 3 --output {out} --depth 1 --tile 60 {options}"
        );
        run(folder.path(), command.trim_end());
        let drawn = picture(folder.path(), &format!("{out}/tile-002.png"));
        assert!(!folder.path().join(out).join("tile-003.png").exists());
        drawn
    };
    let first = draw("first", "--seed 7");
    // 60 pixels are a legal size for a network that halves its picture once.
    assert!(first.height() == 60 && first.width() > 3 * (60 + GAP));
    assert_eq!(first, draw("again", "--seed 7"));
    assert_ne!(first, draw("other", "--seed 8"));
    assert_ne!(first, draw("valid", "--seed 7 --padded=false"));
}

#[test]
fn images_and_masks_are_never_replaced() {
    let folder = data();
    let refusal = |command: &str| {
        let output = output(folder.path(), command);
        assert!(!output.status.success(), "{command}");
        String::from_utf8(output.stderr).unwrap()
    };
    let files = ["images/a.png", "masks/a.png"];
    let read = || files.map(|file| fs::read(folder.path().join(file)).unwrap());
    let before = read();
    // Named one by one, or as the folder of both, or as files.
    for data in [
        "--images images --masks masks",
        "--images .",
        "--images images/a.png --masks masks/a.png",
    ] {
        for into in ["images", "masks", "./masks"] {
            for command in ["weight-map", "augment --count 1 --tile 60 --depth 1"] {
                let error = refusal(&format!("{command} {data} --output {into} --overwrite"));
                assert!(error.contains("a folder of images or masks"), "{error}");
            }
        }
    }
    assert!(read() == before);
    // Nor is a picture begun that can't be written.
    fs::create_dir_all(folder.path().join("weights/a.png")).unwrap();
    let error = refusal("weight-map --images images --masks masks --output weights --overwrite");
    assert!(error.contains("can't write weights/a.png"), "{error}");
}
