//! Shared parts of the tests of `unet-train`: models with known weights, pictures, and the program in a folder of its
//! own.
#![allow(dead_code)] // Each test is a program of its own and uses a part of this.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gstunetsegment::contract::{Contract, METADATA_KEY};
use gstunetsegment::inference::Options;
use gstunetsegment::inference::library::Search;
use gstunetsegment::onnx::Model;
use gstunetsegment::onnx::export::{Parameters, export};
use gstunetsegment::unet::{LayerKind, UNet};
use image::{GrayImage, ImageBuffer, Luma};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

pub const SMALL: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 3,
    depth: 2,
    padded: false,
};

/// ONNX Runtime where the environment says, or where `make` puts it.
fn library() -> PathBuf {
    let name = format!(
        "{}onnxruntime{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let filled = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/onnxruntime");
    std::env::var_os("ORT_DYLIB_PATH").map_or(filled.join(name), PathBuf::from)
}

pub fn options() -> Options {
    let library = library();
    assert!(library.exists(), "no ONNX Runtime: run `make setup`");

    Options {
        library: Search {
            explicit: Some(library),
            ..Search::default()
        },
        ..Options::default()
    }
}

/// Random weights: every layer has an effect, and all orientations have different ones.
pub fn random_weights(unet: &UNet) -> BTreeMap<String, Parameters> {
    let mut random = StdRng::seed_from_u64(4);
    let layers = unet.layers().into_iter();
    layers
        .map(|layer| {
            let count: usize = layer.shape().iter().product();
            let range = (6.0 * layer.outputs as f32 / count as f32).sqrt();
            let mut values = |count: usize, range: f32| -> Vec<f32> {
                (0..count)
                    .map(|_| random.random_range(-range..range))
                    .collect()
            };
            let parameters = Parameters {
                weight: values(count, range),
                bias: values(layer.outputs, 0.1),
            };
            (layer.name, parameters)
        })
        .collect()
}

/// A network that passes brightness through its top level: foreground is everything more than half a standard deviation
/// brighter than the mean.
pub fn bright() -> (UNet, BTreeMap<String, Parameters>) {
    let unet = UNet {
        width: 1,
        depth: 1,
        padded: true,
        ..SMALL
    };
    let parameters = unet.layers().into_iter().map(|layer| {
        let mut weight = vec![0.0; layer.shape().iter().product()];
        let mut bias = vec![0.0; layer.outputs];
        let top = !layer.name.starts_with("bottom") && layer.kind == LayerKind::Convolution;
        if top {
            // The middle of the first input's kernel; in up0.conv1 that is the map of the way down.
            weight[4] = 1.0;
        }
        if layer.kind == LayerKind::Last {
            weight[1] = 10.0;
            bias[1] = -5.0;
        }
        (layer.name, Parameters { weight, bias })
    });
    (unet, parameters.collect())
}

/// A folder with models and pictures, which is deleted with the test.
pub struct Bench(TempDir);

impl Bench {
    pub fn new() -> Self {
        Bench(TempDir::new().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A path in the folder; its parent is created.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub fn model(&self, change: impl FnOnce(&mut Contract)) -> PathBuf {
        let (unet, parameters) = bright();
        self.described(&unet, &parameters, change)
    }

    pub fn random_model(&self) -> PathBuf {
        self.described(&SMALL, &random_weights(&SMALL), |_| ())
    }

    pub fn described(
        &self,
        unet: &UNet,
        parameters: &BTreeMap<String, Parameters>,
        change: impl FnOnce(&mut Contract),
    ) -> PathBuf {
        let mut contract = unet.contract("bright");
        change(&mut contract);
        let path = self.path("model.onnx");
        fs::write(&path, export(unet, parameters, &contract).unwrap()).unwrap();
        path
    }

    /// The program in this folder, with arguments between spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unet-train"));
        program
            .current_dir(self.0.path())
            .env("ORT_DYLIB_PATH", library())
            .args(arguments.split_whitespace());
        program
    }

    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The output of the program, which succeeds.
    pub fn says(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let [text, error] = [output.stdout, output.stderr].map(|t| String::from_utf8(t).unwrap());
        assert!(output.status.success(), "{arguments}: {text}{error}");
        text
    }

    /// The error of the program, which fails.
    pub fn refuses(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// The model in a file, and its contract.
pub fn opened(file: &Path) -> (Model, Contract) {
    let model = Model::decode(&fs::read(file).unwrap()[..]).unwrap();
    let mut entries = model.metadata_props.iter();
    let entry = entries.find(|entry| entry.key == METADATA_KEY).unwrap();
    let contract = Contract::from_json(&entry.value).unwrap();
    (model, contract)
}

/// A grey picture of 8 bits: squares of `side` pixels at (x, y), as bright as `value`, on black.
pub fn squares(places: &[(u32, u32)], side: u32, value: impl Fn(usize) -> u8) -> GrayImage {
    let mut picture = GrayImage::new(64, 48);
    for (index, (x, y)) in places.iter().enumerate() {
        for (dx, dy) in (0..side * side).map(|at| (at % side, at / side)) {
            picture.put_pixel(x + dx, y + dy, Luma([value(index)]));
        }
    }
    picture
}

/// A picture of noise, which a random network segments into something at every scale.
pub fn noise(width: u32, height: u32, seed: u64) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    let mut random = StdRng::seed_from_u64(seed);
    ImageBuffer::from_fn(width, height, |x, y| {
        Luma([1000 + 8 * ((x * y) % 97) as u16 + random.random_range(0..300)])
    })
}

/// Draws the disc of a cell into a mask.
pub fn draw_disc(mask: &mut GrayImage, (x, y): (u32, u32), radius: u32, cell: u8) {
    for (column, row, pixel) in mask.enumerate_pixels_mut() {
        if column.abs_diff(x).pow(2) + row.abs_diff(y).pow(2) <= radius.pow(2) {
            *pixel = Luma([cell]);
        }
    }
}

/// Images of bright discs on a dark, noisy ground, and masks.
pub fn draw_cells(bench: &Bench, count: usize) {
    const SIZE: u32 = 72;
    let mut rng = StdRng::seed_from_u64(1);
    for index in 0..count {
        let mut mask = GrayImage::new(SIZE, SIZE);
        for cell in 1..=5 {
            let (r, c) = (rng.random_range(0..SIZE), rng.random_range(0..SIZE));
            draw_disc(&mut mask, (c, r), rng.random_range(4..9), cell);
        }
        let mut image = GrayImage::new(SIZE, SIZE);
        for (pixel, cell) in image.pixels_mut().zip(mask.pixels()) {
            let brightness = if cell.0[0] == 0 { 40 } else { 140 };
            *pixel = Luma([brightness + rng.random_range(0..30)]);
        }
        image
            .save(bench.path(&format!("images/{index}.png")))
            .unwrap();
        mask.save(bench.path(&format!("masks/{index}.png")))
            .unwrap();
    }
}
