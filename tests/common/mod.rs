//! Shared by the tests: models with random weights, pictures, and the element in a harness.
#![allow(dead_code)] // Each test is a program of its own and uses a part of this.

pub mod discs;
pub mod frames;
mod models;
pub mod pipelines;
pub mod process;
pub mod programs;
pub mod scene;
pub mod schedulings;
pub mod skips;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Once;

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;
use gstunetsegment::mask_meta;
use gstunetsegment::unet::UNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[allow(unused_imports)] // For the same reason.
pub use models::{BRIGHTNESS, SLOW, SMALL, append, brightness, described, foreign, model};

/// The value for the short form of a test, or for the long one that `make soak` runs (`UNETSEGMENT_SOAK=1`).
pub fn short_or_long<T>(short: T, long: T) -> T {
    match std::env::var_os("UNETSEGMENT_SOAK") {
        Some(_) => long,
        None => short,
    }
}

/// Registers the element, once, and finds ONNX Runtime where `make` has put it.
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

/// Models and other files of one test, which are removed with it.
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

/// The element that segments bright pixels, by the model of [`brightness`].
pub fn bright(files: &Files, properties: &[(&str, &str)]) -> gst::Element {
    let model = files.write("brightness.onnx", &brightness());
    element(&model, &[&BRIGHTNESS, properties].concat())
}

/// A harness around the element, fed with `format`.
pub fn harness(element: &gst::Element, format: &str, width: usize, height: usize) -> Harness {
    let mut harness = Harness::with_element(element, Some("sink"), Some("src"));
    harness.set_src_caps(caps(format, width, height));
    harness
}

/// Flushes the element, and begins a segment for the frames that come.
pub fn flush(harness: &mut Harness) {
    let pad = harness.element().unwrap().static_pad("sink").unwrap();
    assert!(pad.send_event(gst::event::FlushStart::new()));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    begin_segment(harness);
}

/// Begins a segment, without which no frame may follow a flush or the start of a stream.
pub fn begin_segment(harness: &mut Harness) {
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(harness.push_event(gst::event::Segment::new(&segment)));
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

/// Frame `number` of a stream of 25 a second: a grey picture and its time.
pub fn timed(picture: &[u8], width: usize, height: usize, number: u64) -> gst::Buffer {
    let mut buffer = gray8(picture, width, height);
    let time = gst::ClockTime::from_mseconds(40 * number);
    buffer.get_mut().unwrap().set_pts(time);
    buffer
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
    let bus = watch::bus_of(element);
    // A model that takes long to load is refused after the start.
    let _ = element.set_state(gst::State::Paused);
    let text = error_on(&bus);
    element.set_state(gst::State::Null).unwrap();
    text
}

/// The text of the first error on `bus`, which is awaited.
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

/// The folder of real pictures, or `None` where the test is [skipped](skips): they may not be redistributed.
pub fn data(name: &str) -> Option<PathBuf> {
    let folders = match std::env::var_os("UNETSEGMENT_DATA") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => ["data", "../shared/data"]
            .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .to_vec(),
    };
    let mut places = folders.iter().map(|folder| folder.join(name));
    let found = places.find(|place| place.is_dir());
    if found.is_none() {
        let place = folders[0].join(name);
        let reason = format!("no pictures in {} (set UNETSEGMENT_DATA)", place.display());
        skips::skip("data", &reason);
    }
    found
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
