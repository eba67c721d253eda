//! What the tests share: models with random weights, pictures, and the element in a harness.
#![allow(dead_code)] // Each test is a program of its own and uses a part of this.

pub mod programs;
pub mod scene;
pub mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Once;

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;
use gstunetsegment::contract::Contract;
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::mask_meta;
use gstunetsegment::onnx;
use gstunetsegment::onnx::export::{Parameters, export};
use gstunetsegment::unet::UNet;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A small network of the paper's kind.
pub const SMALL: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 4,
    depth: 2,
    padded: false,
};

/// Makes the element known, once, and ONNX Runtime where `make` has put it.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let name = format!(
                "{}onnxruntime{}",
                std::env::consts::DLL_PREFIX,
                std::env::consts::DLL_SUFFIX
            );
            let library = root.join(".cache/onnxruntime").join(name);
            assert!(library.exists(), "no ONNX Runtime: run `make setup`");
            // SAFETY: nothing else runs in this process yet that reads the environment.
            unsafe { std::env::set_var("ORT_DYLIB_PATH", library) };
        }
        gst::init().unwrap();
        gstunetsegment::plugin_register_static().unwrap();
    });
}

/// Random weights of the usual size (He et al.), so that every layer has something to say.
fn parameters(unet: &UNet) -> BTreeMap<String, Parameters> {
    let mut random = StdRng::seed_from_u64(1);
    let layers = unet.layers().into_iter();
    layers
        .map(|layer| {
            let shape = layer.shape();
            let count: usize = shape.iter().product();
            let deviation = (2.0 / (count / layer.outputs) as f32).sqrt();
            // The sum of three uniform numbers in -1..1 has a standard deviation of 1.
            let mut normal = || (0..3).map(|_| random.random_range(-1.0..1.0)).sum::<f32>();
            let parameters = Parameters {
                weight: (0..count).map(|_| normal() * deviation).collect(),
                bias: (0..layer.outputs).map(|_| normal() * 0.1).collect(),
            };
            (layer.name, parameters)
        })
        .collect()
}

/// Shifts the last bias of a network of two classes so that half of a picture is foreground: a mask
/// of one class would hide every mistake.
fn balance(unet: &UNet, parameters: &mut BTreeMap<String, Parameters>) {
    init();
    let bytes = export(unet, parameters, &unet.contract("to balance")).unwrap();
    let files = Files::new();
    let mut model = Model::open(&files.write("model.onnx", &bytes), &Options::default()).unwrap();
    let (height, width) = unet.geometry().legal(300, 300).unwrap();
    model.shape(height, width).unwrap();
    let picture = cells(width, height, 9);
    let mean = picture.iter().map(|value| f32::from(*value)).sum::<f32>() / picture.len() as f32;
    let planes = model.input().chunks_exact_mut(width * height);
    for plane in planes {
        for (input, value) in plane.iter_mut().zip(&picture) {
            *input = (f32::from(*value) - mean) / 40.0;
        }
    }
    let scores = model.run().unwrap();
    let (background, foreground) = scores.split_at(scores.len() / 2);
    let mut lead: Vec<f32> = foreground
        .iter()
        .zip(background)
        .map(|(f, b)| f - b)
        .collect();
    lead.sort_by(f32::total_cmp);
    parameters.get_mut("last").unwrap().bias[1] -= lead[lead.len() / 2];
}

/// The bytes of a model with random weights.
pub fn model(unet: &UNet) -> Vec<u8> {
    described(unet, &unet.contract("random"))
}

/// The bytes of a model with random weights and the given contract.
pub fn described(unet: &UNet, contract: &Contract) -> Vec<u8> {
    let mut parameters = parameters(unet);
    if unet.classes == 2 && matches!(unet.channels, 1 | 3) {
        balance(unet, &mut parameters);
    }
    export(unet, &parameters, contract).unwrap()
}

/// The model of `unet` as another program would have written it: without a contract, and changed.
pub fn foreign(unet: &UNet, change: impl FnOnce(&mut onnx::Graph)) -> Vec<u8> {
    let mut model = onnx::Model::decode(model(unet).as_slice()).unwrap();
    model.metadata_props.clear();
    change(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

/// Adds an operator behind the last one of `graph`, of a network with two classes.
pub fn append(graph: &mut onnx::Graph, op: &str) {
    let output = graph.output[0].name.clone();
    let before = format!("before {op}");
    graph.node.last_mut().unwrap().output = vec![before.clone()];
    let number = |name: &str, i| onnx::Attribute {
        name: name.into(),
        i,
        r#type: onnx::AttributeType::Int as i32,
        ..Default::default()
    };
    let mut input = vec![before];
    if op == "InstanceNormalization" {
        for name in ["scale", "shift"] {
            input.push(name.into());
            graph.initializer.push(onnx::Tensor {
                dims: vec![2],
                data_type: onnx::DataType::Float as i32,
                float_data: vec![1.0; 2],
                name: name.into(),
                ..Default::default()
            });
        }
    }
    graph.node.push(onnx::Node {
        input,
        output: vec![output],
        name: op.into(),
        op_type: op.into(),
        attribute: match op {
            "Softmax" => vec![number("axis", 1)],
            "Cast" => vec![number("to", onnx::DataType::Float as i64)],
            _ => vec![],
        },
        ..Default::default()
    });
}

/// Models and other files of one test; they go with it.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn model(&self, unet: &UNet) -> PathBuf {
        let name = format!(
            "{}-{}-{}-{}.onnx",
            unet.channels, unet.width, unet.depth, unet.padded
        );
        self.write(&name, &model(unet))
    }
}

/// A grey picture of bright discs on a noisy, shaded ground, rows without gaps. Values `0..=255`.
pub fn cells(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let count = 1 + width * height / 2_000;
    let discs: Vec<[f32; 4]> = (0..count)
        .map(|_| {
            [
                random.random_range(0.0..width as f32),
                random.random_range(0.0..height as f32),
                random.random_range(6.0..18.0),
                random.random_range(50.0..150.0),
            ]
        })
        .collect();
    let mut picture: Vec<f32> = (0..width * height)
        .map(|at| 30.0 + 20.0 * (at % width) as f32 / width as f32 + random.random_range(0.0..12.0))
        .collect();
    for [x, y, radius, brightness] in discs {
        let around = |middle: f32, length: usize| {
            let low = (middle - radius).max(0.0) as usize;
            low..((middle + radius) as usize + 1).min(length)
        };
        for row in around(y, height) {
            for column in around(x, width) {
                let (dx, dy) = (column as f32 - x, row as f32 - y);
                let inside = 1.0 - (dx * dx + dy * dy) / (radius * radius);
                picture[row * width + column] += brightness * inside.max(0.0);
            }
        }
    }
    picture
        .into_iter()
        .map(|value| value.clamp(0.0, 255.0) as u8)
        .collect()
}

/// Caps of a raw picture without a framerate, as cameras without a fixed one have.
pub fn caps(format: &str, width: usize, height: usize) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(0, 1))
        .build()
}

/// The element with `properties`, in a harness.
pub fn element(model: &Path, properties: &[(&str, &str)]) -> gst::Element {
    init();
    let element = gst::ElementFactory::make("unetsegment")
        .property("model-file", model.to_str().unwrap())
        .build()
        .unwrap();
    for (name, value) in properties {
        element.set_property_from_str(name, value);
    }
    element
}

/// A harness around the element, fed with `format`.
pub fn harness(element: &gst::Element, format: &str, width: usize, height: usize) -> Harness {
    let mut harness = Harness::with_element(element, Some("sink"), Some("src"));
    harness.set_src_caps(caps(format, width, height));
    harness
}

/// A buffer of a grey picture in GStreamer's own row stride.
pub fn gray8(picture: &[u8], width: usize, height: usize) -> gst::Buffer {
    let info = info("GRAY8", width, height);
    let stride = info.stride()[0] as usize;
    let mut bytes = vec![0; info.size()];
    for (row, pixels) in picture.chunks_exact(width).enumerate() {
        bytes[row * stride..][..width].copy_from_slice(pixels);
    }
    gst::Buffer::from_mut_slice(bytes)
}

pub fn info(format: &str, width: usize, height: usize) -> gst_video::VideoInfo {
    gst_video::VideoInfo::from_caps(&caps(format, width, height)).unwrap()
}

/// The mask that a frame carries: its pixels, width and height.
pub fn mask_of(buffer: &gst::BufferRef) -> (Vec<u8>, usize, usize) {
    let mask = mask_meta::of(buffer).expect("the frame carries a mask");
    let info = gst_video::VideoInfo::from_caps(&mask.caps).unwrap();
    let pixels = mask.mask.map_readable().unwrap().to_vec();
    (pixels, info.width() as usize, info.height() as usize)
}

/// The pixels of a frame in rows without gaps, and its format.
pub fn pixels(harness: &Harness, buffer: &gst::BufferRef) -> (Vec<u8>, String) {
    let caps = harness.sinkpad().unwrap().current_caps().unwrap();
    let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
    let stride = info.stride()[0] as usize;
    let row = info.width() as usize * info.comp_pstride(0) as usize;
    let rows = frame.plane_data(0).unwrap().chunks(stride);
    let pixels = rows.flat_map(|bytes| bytes[..row].to_vec()).collect();
    (pixels, info.format().to_str().to_string())
}

/// The mask of a grey picture.
pub fn segment(element: &gst::Element, picture: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut harness = harness(element, "GRAY8", width, height);
    let out = harness
        .push_and_pull(gray8(picture, width, height))
        .unwrap();
    let (mask, mask_width, mask_height) = mask_of(&out);
    assert_eq!((mask_width, mask_height), (width, height));
    mask
}

/// The text of the error with which the element refuses to start.
pub fn refusal(element: &gst::Element) -> String {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    // One that takes long to load is refused after the start.
    let _ = element.set_state(gst::State::Paused);
    let text = error_on(&bus);
    element.set_state(gst::State::Null).unwrap();
    text
}

/// The text of the first error on `bus`, which may take a while to come.
pub fn error_on(bus: &gst::Bus) -> String {
    let message = bus
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(120),
            &[gst::MessageType::Error],
        )
        .expect("no error message");
    match message.view() {
        gst::MessageView::Error(error) => error.error().to_string(),
        _ => unreachable!(),
    }
}

/// The folder of real pictures, or `None` with the reason printed: they may not be redistributed.
pub fn data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("UNETSEGMENT_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let folder = folder.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: no pictures in {} (set UNETSEGMENT_DATA)",
        folder.display()
    );
    None
}

/// The first `count` pictures of a folder, as 8-bit grey: pixels, width, height.
pub fn pictures(folder: &Path, count: usize) -> Vec<(Vec<u8>, usize, usize)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(
        paths.len() >= count,
        "{} has only {} pictures",
        folder.display(),
        paths.len()
    );
    paths[..count]
        .iter()
        .map(|path| {
            let picture = image::open(path).unwrap().into_luma8();
            let (width, height) = picture.dimensions();
            (picture.into_raw(), width as usize, height as usize)
        })
        .collect()
}

/// A model whose mask is the picture: foreground is what is brighter than 127. To be used with
/// the properties [`BRIGHTNESS`].
pub fn brightness() -> Vec<u8> {
    foreign(&SMALL, |graph| {
        let mut layer = graph.node.pop().unwrap();
        layer.input = ["image", "weight", "bias"].map(String::from).to_vec();
        graph.node = vec![layer];
        let tensor = |name: &str, dims: &[i64], values: &[f32]| {
            onnx::Tensor::of_floats(name.into(), dims, values)
        };
        graph.initializer = vec![
            tensor("weight", &[2, 1, 1, 1], &[0.0, 20.0]),
            tensor("bias", &[2], &[0.0, -10.0]),
        ];
    })
}

/// Properties that go with [`brightness`].
pub const BRIGHTNESS: [(&str, &str); 2] = [("normalization", "fixed"), ("value-range", "0,255")];
