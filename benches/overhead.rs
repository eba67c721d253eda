//! Overhead of the element: a frame through the element compared with bare runs of the network on tensors of the same
//! shapes, alternating, so that drifting machine speed doesn't affect the ratio. Then a whole pipeline, which decodes
//! and draws on threads of its own.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::inference::{Options, library};
use gstunetsegment::segmenter::{Segmenter, TileOptions};
use gstunetsegment::tiling::Size;

use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::{Outlet, Tensor};

/// The shipped model with most weights, relative to the package.
const MODEL: &str = "models/nuclei-fluo.onnx";

/// Frame sizes of usual microscope cameras.
const SIZES: [(usize, usize); 2] = [(696, 520), (2088, 1560)];

/// Number of frames of the pipeline that are timed, and of those before and after them: more than fit into queues and
/// element, so that as many are decoded while these are timed.
const FRAMES: usize = 12;
const BEFORE: usize = 8;
const AFTER: usize = 8;

/// The network alone: a session with the element's options, and bound tensors.
struct Bare {
    session: Session,
    binding: IoBinding,
    /// What the binding refers to.
    _tensors: [Tensor<f32>; 2],
    /// Runs per frame.
    runs: usize,
}

impl Bare {
    /// Uses tensors of the shape that the element plans for frames of `size`.
    fn new(path: &Path, size: Size) -> Self {
        let (options, tiles) = (Options::default(), TileOptions::default());
        let mut segmenter = Segmenter::open(path, &options, tiles).unwrap();
        let plan = segmenter.prepare(size).unwrap();
        let (runs, outer, output) = (plan.len(), plan.outer, plan.output);
        let tensor = |channels: usize, size: Size| {
            let shape = [1, channels, size.height, size.width];
            let mut tensor = Tensor::<f32>::new(&Allocator::default(), shape).unwrap();
            tensor.extract_tensor_mut().1.fill(0.0);
            tensor
        };
        let input = tensor(segmenter.contract().channels.count(), outer);
        let mut output = tensor(segmenter.model().outputs(), output);
        let environment = library::environment(&library::Search::default()).unwrap();
        let builder = Session::builder(&environment).unwrap();
        let mut builder = builder.with_intra_op_spinning(false).unwrap();
        let session = builder.commit_from_file(path).unwrap();
        let mut binding = session.create_binding().unwrap();
        let name = |outlets: &[Outlet]| outlets[0].name().to_owned();
        binding.bind_input(name(session.inputs()), &input).unwrap();
        let to = name(session.outputs());
        binding.bind_output(to, &mut output).unwrap();
        Bare {
            session,
            binding,
            _tensors: [input, output],
            runs,
        }
    }

    fn time(&mut self) -> Duration {
        time(|| {
            for _ in 0..self.runs {
                self.session.run_binding(&self.binding).unwrap();
            }
        })
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A 16-bit frame.
fn frame(size: Size) -> gst::Buffer {
    let picture = common::cells(size.width, size.height, 1);
    let bytes: Vec<u8> = picture
        .iter()
        .flat_map(|value| (u16::from(*value) * 16).to_le_bytes())
        .collect();
    gst::Buffer::from_slice(bytes)
}

fn element(path: &Path, output: &str, size: Size) -> Harness {
    let element = common::element(path, &[("output", output)]);
    common::harness(&element, "GRAY16_LE", size.width, size.height)
}

/// Median, smallest and largest value as text.
fn spread(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    let (first, last) = (ratios[0], ratios[ratios.len() - 1]);
    format!("{:.3} ({first:.3} to {last:.3})", ratios[ratios.len() / 2])
}

fn frames(path: &Path, size: Size, pairs: usize) {
    let mut bare = Bare::new(path, size);
    let frame = frame(size);
    for output in ["overlay", "mask", "none"] {
        let mut harness = element(path, output, size);
        let mut through = || {
            time(|| {
                harness.push_and_pull(frame.copy()).unwrap();
            })
        };
        through();
        let mut ratio = || {
            let alone = bare.time();
            through().as_secs_f64() / alone.as_secs_f64()
        };
        let ratios = spread((0..pairs).map(|_| ratio()).collect());
        println!(
            "{}x{}, output={output}: time in the element / {} bare run(s), {pairs} pairs: {ratios}",
            size.width, size.height, bare.runs,
        );
    }
}

/// The time of [`FRAMES`] frames in a pipeline that decodes, segments and draws.
fn pipeline(path: &Path, pictures: &Path) -> Duration {
    let text = format!(
        "multifilesrc location={}/t%03d.png stop-index={} caps=image/png,framerate=1000/1 ! pngdec ! \
         videoconvert ! video/x-raw,format=RGB ! queue max-size-buffers=2 ! unetsegment name=unet ! \
         queue max-size-buffers=2 ! videoconvert ! video/x-raw,format=I420 ! fakesink name=sink sync=false",
        pictures.display(),
        BEFORE + FRAMES + AFTER
    );
    let pipeline = gst::parse::launch(&text).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let unet = pipeline.by_name("unet").unwrap();
    unet.set_property("model-file", path.to_str().unwrap());
    let (send, receive) = mpsc::channel();
    let sink = pipeline
        .by_name("sink")
        .unwrap()
        .static_pad("sink")
        .unwrap();
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let _ = send.send(Instant::now());
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let times: Vec<Instant> = receive.iter().take(BEFORE + FRAMES + 1).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    times[BEFORE + FRAMES] - times[BEFORE]
}

fn main() {
    common::init();
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    for (width, height) in SIZES {
        let pairs = if width < 1000 { 21 } else { 5 };
        frames(&path, Size { width, height }, pairs);
    }
    let Some(pictures) = common::data("u373_video/images") else {
        return;
    };
    let (width, height) = SIZES[0];
    let mut bare = Bare::new(&path, Size { width, height });
    let ratios = (0..5).map(|_| {
        let alone: Duration = (0..FRAMES).map(|_| bare.time()).sum();
        alone.as_secs_f64() / pipeline(&path, &pictures).as_secs_f64()
    });
    println!(
        "decode ! queue ! unetsegment ! queue ! convert: frames per second / those of bare runs, 5 pairs: {}",
        spread(ratios.collect())
    );
}
