//! `unet-train segment` on drawn pictures, through the real program, and what is below it.
#![cfg(feature = "train")]

use std::fs;

use gstunetsegment::picture::{Format, Frame, Normalizer, Plane, YuvCoding};
use gstunetsegment::segmenter::{Segmenter, TileOptions};
use gstunetsegment::tiling::Size;
use gstunetsegment::train::apply::picture::Picture;
use gstunetsegment::train::apply::predictor::{Predictor, PredictorOptions};
use gstunetsegment::train::apply::turn::Turn;
use gstunetsegment::unet::UNet;
use image::{DynamicImage, ImageBuffer, Luma, RgbImage};

mod trainer;

use trainer::{Bench, SMALL, noise, options, random_weights, squares};

pub fn gray16(picture: &ImageBuffer<Luma<u16>, Vec<u16>>) -> Picture {
    let bytes = picture.as_raw().iter().flat_map(|v| v.to_le_bytes());
    let size = Size {
        width: picture.width() as usize,
        height: picture.height() as usize,
    };
    Picture::new(Format::Gray16Le, size, bytes.collect()).unwrap()
}

#[test]
fn masks_are_the_segmenters() {
    let bench = Bench::new();
    let model = bench.random_model();
    let picture = noise(75, 52, 1);
    picture.save(bench.path("images/a.tif")).unwrap();
    bench.says("segment --model model.onnx --images images --output out --what mask,probability");

    let bytes: Vec<u8> = picture
        .as_raw()
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let plane = Plane {
        data: &bytes,
        stride: 2 * 75,
    };
    let frame = Frame::new(Format::Gray16Le, 75, 52, &[plane], YuvCoding::default()).unwrap();
    let mut segmenter = Segmenter::open(&model, &options(), TileOptions::default()).unwrap();
    let normalization = segmenter.contract().normalization;
    let (mut mask, mut p) = (vec![0; 75 * 52], vec![0.0; 75 * 52]);
    segmenter
        .segment(&frame, normalization, &mut mask, Some(&mut p))
        .unwrap();
    let foreground = mask.iter().filter(|class| **class != 0).count();
    assert!((400..3500).contains(&foreground), "{foreground} pixels");

    let written = image::open(bench.path("out/mask/a.png")).unwrap();
    let expected: Vec<u8> = mask.iter().map(|class| class * 255).collect();
    assert_eq!(written.as_luma8().unwrap().as_raw(), &expected);
    let written = image::open(bench.path("out/probability/a.png")).unwrap();
    let expected: Vec<u16> = p.iter().map(|p| (p * 65_535.0 + 0.5) as u16).collect();
    assert_eq!(written.as_luma16().unwrap().as_raw(), &expected);
}

/// `--convolution` is heeded: probabilities are rounded otherwise, and hardly differ.
#[test]
#[cfg(target_arch = "x86_64")]
fn convolutions_may_be_by_winograd() {
    if !gstunetsegment::winograd::is_supported() {
        return eprintln!("Skipped: this processor has no AVX2.");
    }
    let bench = Bench::new();
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/models/cells-phase-contrast.int8.onnx"
    );
    squares(&[(5, 5), (30, 20)], 9, |_| 200)
        .save(bench.path("images/a.png"))
        .unwrap();
    let [direct, winograd] = ["direct", "winograd"].map(|method| {
        bench.says(&format!(
            "segment --model {model} --images images --output {method} --what probability \
             --execution-provider cpu --convolution {method}"
        ));
        let written = image::open(bench.path(&format!("{method}/a.png")));
        written.unwrap().into_luma16().into_raw()
    });
    assert_ne!(direct, winograd);
    let off = direct.iter().zip(&winograd);
    let sum: u64 = off.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = sum / direct.len() as u64;
    assert!(mean < 656, "{mean} of 65535 on average");
}

#[test]
fn averages_are_the_mean_over_the_versions() {
    let bench = Bench::new();
    let model = bench.random_model();
    let picture = gray16(&noise(61, 40, 2));
    let size = picture.size();
    let predict = |picture: &Picture, rotations, mirrors| {
        let how = PredictorOptions {
            rotations,
            mirrors,
            ..PredictorOptions::default()
        };
        let mut predictor = Predictor::open(&model, &options(), how).unwrap();
        predictor.predict(picture).unwrap()
    };
    let mut segmenter = Segmenter::open(&model, &options(), TileOptions::default()).unwrap();
    let (channels, kind) = {
        let contract = segmenter.contract();
        (contract.channels, contract.normalization)
    };
    // That of the original, also where the corners of a turned picture are filled.
    let scaling = Normalizer::new(kind).scaling(&picture.frame().unwrap(), channels);
    for (rotations, mirrors) in [(4, false), (1, true), (4, true), (7, false), (5, true)] {
        let turns = Turn::all(rotations, mirrors);
        let mut mean = vec![0.0_f32; size.area()];
        for turn in &turns {
            let turned = picture.turned(*turn);
            let pixels = turned.size().area();
            let (mut mask, mut alone) = (vec![0; pixels], vec![0.0; pixels]);
            let frame = turned.frame().unwrap();
            segmenter
                .segment_scaled(&frame, scaling, &mut mask, Some(&mut alone))
                .unwrap();
            for (mean, p) in mean.iter_mut().zip(turn.turned_back(&alone, size)) {
                *mean += p / turns.len() as f32;
            }
        }
        let averaged = predict(&picture, rotations, mirrors);
        let pairs = averaged.probability.data.iter().zip(&mean);
        let farthest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(farthest < 1e-6, "{farthest}");
        let decided = averaged.probability.map(|p| u8::from(p > 0.5));
        assert_eq!(averaged.mask, decided);
    }
    // It makes a difference, and with all eight the average turns with the picture.
    let once = predict(&picture, 1, false).probability;
    let averaged = predict(&picture, 4, true).probability;
    assert_ne!(once, averaged);
    for turn in Turn::all(4, true) {
        let turned = predict(&picture.turned(turn), 4, true).probability;
        let back = turn.turned_back(&turned.data, size);
        for (averaged, p) in averaged.data.iter().zip(back) {
            assert!((averaged - p).abs() < 1e-5);
        }
    }
}

/// The average over all eight versions turns with the picture, also with more than two classes.
#[test]
fn averages_of_classes_turn_with_the_picture() {
    let bench = Bench::new();
    let unet = UNet {
        classes: 3,
        ..SMALL
    };
    let model = bench.described(&unet, &random_weights(&unet), |_| ());
    let picture = gray16(&noise(61, 40, 2));
    let predict = |picture: &Picture, rotations, mirrors| {
        let how = PredictorOptions {
            rotations,
            mirrors,
            ..PredictorOptions::default()
        };
        let mut predictor = Predictor::open(&model, &options(), how).unwrap();
        predictor.predict(picture).unwrap()
    };
    let averaged = predict(&picture, 4, true);
    let size = picture.size();
    let turns = Turn::all(4, true);
    let mut mean = vec![0.0_f32; size.area()];
    let mut once_unlike = 0;
    for turn in &turns {
        let here = picture.turned(*turn);
        // Classes and probabilities, turned back.
        let results = [(1, false), (4, true)].map(|(rotations, mirrors)| {
            let found = predict(&here, rotations, mirrors);
            let back = |values: &[f32]| turn.turned_back(values, size).collect::<Vec<_>>();
            let mask = found.mask.map(f32::from);
            (back(&mask.data), back(&found.probability.data))
        });
        let [(once, once_p), (turned, turned_p)] = results;
        for at in 0..size.area() {
            let class = f32::from(averaged.mask.data[at]);
            assert_eq!(turned[at], class, "{turn:?}");
            let difference = turned_p[at] - averaged.probability.data[at];
            assert!(difference.abs() < 1e-5, "{turn:?}: {difference}");
            mean[at] += once_p[at] / turns.len() as f32;
            once_unlike += usize::from(once[at] != class);
        }
    }
    assert!(once_unlike > 100, "{once_unlike} pixels");
    for (found, expected) in averaged.probability.data.iter().zip(&mean) {
        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
    }
    squares(&[(3, 3)], 5, |_| 90)
        .save(bench.path("images/a.png"))
        .unwrap();
    bench.says("segment --model model.onnx --images images --output out --rotations --mirrors");
}

#[test]
fn objects_are_numbered_and_small_ones_left_out() {
    let bench = Bench::new();
    bench.model(|contract| contract.min_area = Some(5));
    let mut picture = squares(&[(30, 4), (5, 9)], 4, |_| 255);
    picture.put_pixel(60, 40, Luma([255]));
    picture.save(bench.path("images/a.png")).unwrap();
    let command = "segment --model model.onnx --images images --output out --what labels";
    let text = bench.says(command);
    assert!(text.starts_with("1 image(s), 2 object(s)"), "{text}");
    let labels = || image::open(bench.path("out/a.png")).unwrap();
    let at = |x, y| labels().as_luma16().unwrap().get_pixel(x, y).0[0];
    assert_eq!([at(30, 4), at(5, 9), at(60, 40), at(0, 0)], [1, 2, 0, 0]);

    bench.says(&format!("{command} --overwrite --min-area 0"));
    assert_eq!([at(30, 4), at(5, 9), at(60, 40)], [1, 2, 3]);
    // A threshold that no probability reaches.
    let text = bench.says(&format!("{command} --overwrite --threshold 1"));
    assert!(text.starts_with("1 image(s), 0 object(s)"), "{text}");
}

#[test]
fn overlays_keep_the_background() {
    let bench = Bench::new();
    bench.model(|_| ());
    let grey = squares(&[(30, 4)], 8, |_| 200);
    grey.save(bench.path("images/grey.png")).unwrap();
    let color = RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([
            10,
            if grey.get_pixel(x, y).0[0] > 0 {
                250
            } else {
                20
            },
            30,
        ])
    });
    color.save(bench.path("images/color.tif")).unwrap();
    bench
        .says("segment --model model.onnx --images images --output out --what overlay --opacity 0");
    for (name, outside, inside) in [
        ("grey", [0; 3], [200; 3]),
        ("color", [10, 20, 30], [10, 250, 30]),
    ] {
        let overlay = image::open(bench.path(&format!("out/{name}.png"))).unwrap();
        let at = |x, y| overlay.as_rgb8().unwrap().get_pixel(x, y).0;
        // Ground, the outline in the colour of the class, and the inside, which is not filled.
        assert_eq!(
            [at(0, 0), at(30, 4), at(33, 7)],
            [outside, [0xe6, 0x9f, 0], inside]
        );
    }
}

#[test]
fn stacks_are_read_page_by_page() {
    let bench = Bench::new();
    bench.model(|_| ());
    let stack = |name: &str, places: [(u32, u32); 2]| {
        let mut file = fs::File::create(bench.path(name)).unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
        for place in places {
            let page = squares(&[place], 5, |_| 90);
            encoder
                .write_image::<tiff::encoder::colortype::Gray8>(64, 48, page.as_raw())
                .unwrap();
        }
    };
    stack("images.tif", [(3, 3), (40, 20)]);
    stack("masks.tif", [(3, 3), (20, 20)]);
    // One of two results of the same name would be lost.
    stack("mixed/a.tif", [(3, 3), (40, 20)]);
    fs::copy(bench.path("images.tif"), bench.path("mixed/b.tif")).unwrap();
    squares(&[(3, 3)], 5, |_| 90)
        .save(bench.path("mixed/a-001.png"))
        .unwrap();
    let error = bench.refuses("segment --model model.onnx --images mixed --output out");
    assert!(
        error.contains("would both be written as a-001.png"),
        "{error}"
    );
    bench.says("segment --model model.onnx --images images.tif --output out");
    let again = "segment --model model.onnx --images images.tif --output out";
    let error = bench.refuses(again);
    assert!(error.contains("images-000.png is there already"), "{error}");
    bench.says(&format!("{again} --overwrite"));
    for (name, place) in [("images-000", (3, 3)), ("images-001", (40, 20))] {
        let mask = image::open(bench.path(&format!("out/{name}.png"))).unwrap();
        assert_eq!(
            mask,
            DynamicImage::ImageLuma8(squares(&[place], 5, |_| 255))
        );
    }
    let text =
        bench.says("evaluate --model model.onnx --images images.tif --masks masks.tif --per-image");
    assert!(
        text.contains("images-000       1       1       0  1.0000"),
        "{text}"
    );
    assert!(
        text.contains("images-001       1       1       0  0.0000"),
        "{text}"
    );
}

#[test]
fn unusable_arguments_are_refused() {
    let bench = Bench::new();
    bench.model(|_| ());
    squares(&[(3, 3)], 5, |_| 90)
        .save(bench.path("images/a.png"))
        .unwrap();
    let segment = "segment --model model.onnx --images images";
    for option in ["--opacity 0.5", "--display-range 0,9"] {
        let error = bench.refuses(&format!("{segment} --output out --what mask {option}"));
        assert!(
            error.contains("no effect without --what overlay"),
            "{error}"
        );
    }
    let error = bench.refuses(&format!("{segment} --output images"));
    assert!(error.contains("folder of the images"), "{error}");
    let one = "segment --model model.onnx --images images/a.png --overwrite";
    let error = bench.refuses(&format!("{one} --output images"));
    assert!(error.contains("folder of the images"), "{error}");
    // The folder above may hold results; the option had another name once.
    bench.says(&format!("{segment} --out ."));
    assert!(bench.path("a.png").exists());
    fs::write(bench.path("images/broken.png"), b"no picture").unwrap();
    let error = bench.refuses(&format!("{segment} --output out"));
    assert!(error.contains("broken.png"), "{error}");

    let unet = UNet {
        classes: 3,
        ..SMALL
    };
    bench.described(&unet, &random_weights(&unet), |_| ());
    let error = bench.refuses(&format!("{segment} --output out --threshold 0.4"));
    assert!(error.contains("has 3 classes"), "{error}");
}
