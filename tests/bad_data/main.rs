//! Data that can't be used for training: the real program refuses each before training starts, with a message that
//! names the file.
#![cfg(feature = "train")]

#[path = "../trainer/mod.rs"]
mod trainer;

mod files;
mod masks;
mod pairing;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use image::{GrayImage, Luma};
use tiff::encoder::colortype::ColorType;
use tiff::encoder::{TiffEncoder, TiffValue};

use trainer::Bench;

/// Sides of the pictures.
const SIZE: u32 = 24;
const PIXELS: usize = (SIZE * SIZE) as usize;

/// A folder of data, which is deleted in the end.
struct Data(Bench);

impl Data {
    /// An empty folder.
    fn empty() -> Self {
        Data(Bench::new())
    }

    /// Four images with good masks: `images/a.png`, `masks/a.png` and so on to `d.png`.
    fn good() -> Self {
        let data = Data::empty();
        for name in ["a", "b", "c", "d"] {
            data.gray(&format!("images/{name}.png"), |x, y| (x * 7 + y * 3) as u8);
            data.gray(&format!("masks/{name}.png"), two_cells);
        }
        data
    }

    /// The same images with other masks, all alike.
    fn with_masks(self, value: impl Fn(u32, u32) -> u8) -> Self {
        for name in ["a", "b", "c", "d"] {
            self.gray(&format!("masks/{name}.png"), &value);
        }
        self
    }

    /// A path in the folder; its parent is created.
    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn gray(&self, name: &str, value: impl Fn(u32, u32) -> u8) -> &Self {
        let image = GrayImage::from_fn(SIZE, SIZE, |x, y| Luma([value(x, y)]));
        image.save(self.path(name)).unwrap();
        self
    }

    fn write(&self, name: &str, bytes: &[u8]) -> &Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn remove(&self, name: &str) -> &Self {
        let path = self.path(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        self
    }

    /// A TIFF file with these pages.
    fn tiff<C: ColorType>(&self, name: &str, pages: &[Vec<C::Inner>]) -> &Self
    where
        [C::Inner]: TiffValue,
    {
        let mut encoder = TiffEncoder::new(File::create(self.path(name)).unwrap()).unwrap();
        for page in pages {
            encoder.write_image::<C>(SIZE, SIZE, page).unwrap();
        }
        self
    }

    fn train(&self, options: &str) -> Output {
        let usual = "--overwrite --output model.onnx --width 2 --depth 1 --tile 32 --steps 1";
        self.0.run(&format!("train {usual} {options}"))
    }

    /// The message of a run on `images` and `masks` that is refused, which names `file`.
    fn refusal(&self, file: &str) -> String {
        self.refusal_of(file, "")
    }

    /// The same with more options.
    fn refusal_of(&self, file: &str, options: &str) -> String {
        self.refusal_with(file, &format!("--images images --masks masks {options}"))
    }

    /// The message of a run with `options` that is refused, which names `file`.
    fn refusal_with(&self, file: &str, options: &str) -> String {
        let begin = Instant::now();
        let output = self.train(options);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(file), "no {file} in: {error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(!self.path("model.onnx").exists());
        // Generous, for machines that do other things meanwhile.
        assert!(begin.elapsed() < Duration::from_secs(20));
        error
    }

    /// Trains on `images` and `masks`, which works.
    fn works(&self, options: &str) -> String {
        let output = self.train(&format!("--images images --masks masks {options}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert!(self.path("model.onnx").exists());
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Two squares with the numbers 1 and 2.
fn two_cells(x: u32, y: u32) -> u8 {
    match (x / 6, y / 6) {
        (1, 1) => 1,
        (3, 2) => 2,
        _ => 0,
    }
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "no \"{part}\" in: {text}");
}

#[test]
fn good_data_work() {
    let text = Data::good().works("");
    contains(
        &text,
        "4 images from a folder of images and one of masks; masks show a number for each cell (8 cells)",
    );
}
