//! `unet-train weight-map` and `augment`: pictures of what the network is shown, through the real
//! program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;

use image::{GrayImage, Luma, RgbImage};
use trainer::Bench;

/// Space between pictures, see the trainer's canvas.
const GAP: u32 = 4;

/// Two images of 40x30 pixels with two cells that touch at column 20.
fn data() -> Bench {
    let bench = Bench::new();
    for name in ["a", "b"] {
        let mask = GrayImage::from_fn(40, 30, |x, y| match (x, y) {
            (10..20, 10..20) => Luma([1]),
            (20..30, 10..20) => Luma([2]),
            _ => Luma([0]),
        });
        let image = GrayImage::from_fn(40, 30, |x, y| Luma([(x + y) as u8]));
        image
            .save(bench.path(&format!("images/{name}.png")))
            .unwrap();
        mask.save(bench.path(&format!("masks/{name}.png"))).unwrap();
    }
    bench
}

fn picture(bench: &Bench, name: &str) -> RgbImage {
    image::open(bench.path(name)).unwrap().into_rgb8()
}

fn brightness(picture: &RgbImage, x: u32, y: u32) -> u32 {
    picture.get_pixel(x, y).0.into_iter().map(u32::from).sum()
}

#[test]
fn a_weight_map_is_brightest_in_the_narrowest_gap() {
    let bench = data();
    let text = bench.says("weight-map --images images --masks masks --output deep/weights");
    // d_1 + d_2 = 2 in the middle of the gap: 1 + 10 exp(-4 / 50).
    assert!(
        text.contains("a  mean weight") && text.contains("largest 10.231"),
        "{text}"
    );
    let drawn = picture(&bench, "deep/weights/a.png");
    assert!(bench.path("deep/weights/b.png").exists());
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

    let on_cells = "--border-on-cells --overwrite";
    bench.says(&format!(
        "weight-map --images images --masks masks --output deep/weights {on_cells}"
    ));
    let drawn = picture(&bench, "deep/weights/a.png");
    // The cells' pixels next to the gap weigh as much as it, and those further away less.
    let [gap, next, inside] = [20, 19, 17].map(|x| *drawn.get_pixel(weights + x, 15));
    assert_eq!(next, gap);
    assert_ne!(inside, gap);
}

#[test]
fn the_options_of_a_run_count_as_far_as_they_concern_the_picture() {
    let bench = data();
    let options =
        "images = 'images'\nmasks = 'masks'\noutput = 'cells.onnx'\nsteps = 5\nborder = 20\n";
    fs::write(bench.path("run.toml"), options).unwrap();
    let text = bench.says("weight-map --config run.toml --output weights");
    assert!(text.contains("largest 19.462"), "{text}");
    let text = bench.says("weight-map --config run.toml --border 10 --output weights --overwrite");
    assert!(text.contains("largest 10.231"), "{text}");
    let text = bench.says(
        "augment --preset paper2015 --images images --masks masks --count 1 --tile 188 --output tiles",
    );
    assert!(text.contains("1 tiles of 188 -> 4 pixels"), "{text}");
    // The model that a run writes is no folder for pictures.
    let error = bench.refuses("weight-map --config run.toml");
    assert!(error.contains("--output <FOLDER>"), "{error}");
}

#[test]
fn tiles_are_drawn_by_their_seed() {
    let bench = data();
    let draw = |out: &str, options: &str| {
        bench.says(&format!(
            "augment --images images --masks masks --count 3 --output {out} --depth 1 --tile 60 {options}"
        ));
        let drawn = picture(&bench, &format!("{out}/tile-002.png"));
        assert!(!bench.path(&format!("{out}/tile-003.png")).exists());
        drawn
    };
    let first = draw("first", "--seed 7");
    // 60 pixels are a legal size for a network that halves its picture once.
    assert!(first.height() == 60 && first.width() > 3 * (60 + GAP));
    assert_eq!(first, draw("again", "--seed 7"));
    assert_ne!(first, draw("other", "--seed 8"));
    assert_ne!(first, draw("valid", "--seed 7 --padded=false"));
    let error = bench.refuses("augment --images images --masks masks --output x --count 999999");
    assert!(error.contains("it must be 1 to 1000"), "{error}");
}

#[test]
fn images_and_masks_are_never_replaced() {
    let bench = data();
    let files = ["images/a.png", "masks/a.png"];
    let read = || files.map(|file| fs::read(bench.path(file)).unwrap());
    let before = read();
    // Named one by one, or as the folder of both, or as files.
    for data in [
        "--images images --masks masks",
        "--images .",
        "--images images/a.png --masks masks/a.png",
    ] {
        for into in ["images", "masks", "./masks"] {
            for command in ["weight-map", "augment --count 1 --tile 60 --depth 1"] {
                let error = bench.refuses(&format!("{command} {data} --output {into} --overwrite"));
                assert!(error.contains("a folder of images or masks"), "{error}");
            }
        }
    }
    assert!(read() == before);
    // Nor is a picture begun that can't be written.
    fs::create_dir_all(bench.path("weights/a.png")).unwrap();
    let error =
        bench.refuses("weight-map --images images --masks masks --output weights --overwrite");
    assert!(error.contains("can't write weights/a.png"), "{error}");
}
