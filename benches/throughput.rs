//! Frames per second and peak memory of one process:
//!
//! ```sh
//! cargo bench --bench throughput -- MODEL.onnx FRAMES [--mosaic 3] [--repeat 2] [--limit 5]
//!     [--out FOLDER] [--property tile-memory=256]...
//! ```
//!
//! FRAMES is a folder of grey PNG or TIFF files of 8 or 16 bits, read before the clock starts; `--mosaic 3` combines
//! nine copies of each. The first frame is also segmented once before. Prints one line: frames per second, median and
//! 95th percentile of the time of a frame, peak memory. `benches/compare.py` alternates it with other programs.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use gstreamer as gst;
use image::{DynamicImage, GrayImage};

/// Command line.
#[derive(Parser)]
struct Options {
    model: PathBuf,
    frames: PathBuf,
    /// Copies of a frame in each direction
    #[arg(long, default_value_t = 1)]
    mosaic: usize,
    /// Number of passes through the frames
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Use only this many frames; 0: all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Write the masks into this folder
    #[arg(long)]
    out: Option<PathBuf>,
    /// Property of the element, as name=value
    #[arg(long = "property")]
    properties: Vec<String>,
    /// Passed by cargo to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Frames of one size and one format.
struct Frames {
    names: Vec<String>,
    format: &'static str,
    width: usize,
    height: usize,
    bytes: Vec<Vec<u8>>,
}

impl Frames {
    fn read(options: &Options) -> Frames {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&options.frames)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        if options.limit > 0 {
            files.truncate(options.limit);
        }
        let mut frames = Frames {
            names: Vec::new(),
            format: "GRAY8",
            width: 0,
            height: 0,
            bytes: Vec::new(),
        };
        for file in files {
            let image = image::open(&file).unwrap();
            let (width, height) = (image.width() as usize, image.height() as usize);
            let (format, pixel, bytes) = match image {
                DynamicImage::ImageLuma16(image) => {
                    let bytes = image.into_raw().into_iter().flat_map(u16::to_le_bytes);
                    ("GRAY16_LE", 2, bytes.collect())
                }
                image => ("GRAY8", 1, image.into_luma8().into_raw()),
            };
            frames.format = format;
            frames.width = width * options.mosaic;
            frames.height = height * options.mosaic;
            frames
                .bytes
                .push(mosaic(&bytes, width * pixel, options.mosaic));
            let name = file.file_stem().unwrap();
            frames.names.push(name.to_string_lossy().into_owned());
        }
        frames
    }
}

/// Copies of a picture with rows of `stride` bytes, `count` in each direction.
fn mosaic(bytes: &[u8], stride: usize, count: usize) -> Vec<u8> {
    let rows: Vec<u8> = bytes
        .chunks(stride)
        .flat_map(|row| row.repeat(count))
        .collect();
    rows.repeat(count)
}

/// Peak memory of this process, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    kibibytes.and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) / 1024
}

fn write(folder: &Path, name: &str, buffer: &gst::BufferRef) {
    let (mask, width, height) = common::mask_of(buffer);
    std::fs::create_dir_all(folder).unwrap();
    let mask = mask.into_iter().map(|class| class * 255).collect();
    let image = GrayImage::from_raw(width as u32, height as u32, mask).unwrap();
    image.save(folder.join(format!("{name}.png"))).unwrap();
}

fn main() {
    common::init();
    let options = Options::parse();
    let frames = Frames::read(&options);
    let properties: Vec<(&str, &str)> = options
        .properties
        .iter()
        .map(|property| property.split_once('=').expect("--property name=value"))
        .collect();
    let element = common::element(&options.model, &properties);
    let mut harness = common::harness(&element, frames.format, frames.width, frames.height);
    let mut segment = |bytes: &Vec<u8>| {
        let buffer = gst::Buffer::from_slice(bytes.clone());
        let start = Instant::now();
        let drawn = harness.push_and_pull(buffer).unwrap();
        (start.elapsed(), drawn)
    };
    segment(&frames.bytes[0]);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..options.repeat {
        for (bytes, name) in frames.bytes.iter().zip(&frames.names) {
            let (time, drawn) = segment(bytes);
            times.push(time);
            if let Some(folder) = &options.out {
                write(folder, name, &drawn);
            }
        }
    }
    let total: Duration = times.iter().sum();
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "element frames {} of {}x{} fps {:.3} p50 {:.1} ms p95 {:.1} ms peak {} MiB",
        times.len(),
        frames.width,
        frames.height,
        times.len() as f64 / total.as_secs_f64(),
        at(50),
        at(95),
        peak()
    );
}
