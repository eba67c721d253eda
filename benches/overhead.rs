//! What the element costs beside the network: a frame through the element against the bare run of
//! the network on tensors of the same shape, in turn, so that a machine whose speed drifts does not
//! decide.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::segmenter::{Segmenter, Tiles};
use gstunetsegment::tiling::Size;

/// The shipped model, as seen from the package.
const MODEL: &str = "models/nuclei-fluo.onnx";

/// Pairs for the ratio; an odd number has a middle.
const PAIRS: usize = 21;

const FRAME: Size = Size {
    width: 696,
    height: 520,
};

/// The network alone, with tensors of the shape that the element plans for the frame.
fn bare(path: &Path) -> Model {
    let mut segmenter = Segmenter::open(path, &Options::default(), Tiles::default()).unwrap();
    let plan = segmenter.prepare(FRAME).unwrap();
    assert_eq!(plan.len(), 1, "the comparison is of one run with one run");
    let outer = plan.outer;
    let mut model = Model::open(path, &Options::default()).unwrap();
    model.shape(outer.height, outer.width).unwrap();
    model
}

fn element(path: &Path, properties: &[(&str, &str)]) -> Harness {
    let element = common::element(path, properties);
    common::harness(&element, "GRAY16_LE", FRAME.width, FRAME.height)
}

fn frame() -> gst::Buffer {
    let picture = common::cells(FRAME.width, FRAME.height, 1);
    let bytes: Vec<u8> = picture
        .iter()
        .flat_map(|value| (u16::from(*value) * 16).to_le_bytes())
        .collect();
    gst::Buffer::from_slice(bytes)
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn overhead(criterion: &mut Criterion) {
    common::init();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    let mut model = bare(&path);
    let frame = frame();
    for output in ["overlay", "mask", "none"] {
        let mut harness = element(&path, &[("output", output)]);
        let mut through = || {
            black_box(harness.push_and_pull(frame.copy()).unwrap());
        };
        through();
        let mut ratios: Vec<f64> = (0..PAIRS)
            .map(|_| {
                let alone = time(|| {
                    black_box(model.run().unwrap());
                });
                time(&mut through).as_secs_f64() / alone.as_secs_f64()
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "element (output={output}) / bare run, {PAIRS} pairs: median {:.3}, from {:.3} to {:.3}",
            ratios[PAIRS / 2],
            ratios[0],
            ratios[PAIRS - 1]
        );
    }
    let mut group = criterion.benchmark_group("a frame of 696x520, 16 bits");
    group.sample_size(10);
    group.bench_function("bare run", |bencher| {
        bencher.iter(|| black_box(model.run().unwrap().len()));
    });
    let mut harness = element(&path, &[]);
    group.bench_function("element", |bencher| {
        bencher.iter(|| black_box(harness.push_and_pull(frame.copy()).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, overhead);
criterion_main!(benches);
