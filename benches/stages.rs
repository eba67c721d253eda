//! Time of each stage of a frame outside the network, for a picture of 2088x1560 pixels.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use gstunetsegment::contract::{Activation, Channels, Geometry, Normalization, Sizes};
use gstunetsegment::labels::{Labeller, ObjectRules, Split};
use gstunetsegment::picture::{
    Format, Frame, FrameMut, Levels, Normalizer, Plane, PlaneMut, Scaling, Style, YuvCoding,
    default_color, draw, fill_tile_input,
};
use gstunetsegment::reuse::{Reuse, ReuseCache};
use gstunetsegment::tiling::{Blend, Decision, Plan, Size, Stitcher, TileSize};

const SIZE: Size = Size {
    width: 2088,
    height: 1560,
};

const GEOMETRY: Geometry = Geometry {
    margin: 0,
    halo: 96,
    edge: Geometry::EDGE,
    stride: 16,
    sizes: Sizes::Steps { min: 16, step: 16 },
};

/// Discs on a grid, with texture in between.
fn picture() -> Vec<u16> {
    let value = |at: usize| {
        let (y, x) = (at / SIZE.width, at % SIZE.width);
        let (dy, dx) = ((y % 80) as i32 - 40, (x % 80) as i32 - 40);
        let inside = dy * dy + dx * dx < 625;
        400 + (at * 7919 % 101) as u16 + if inside { 900 } else { 0 }
    };
    (0..SIZE.area()).map(value).collect()
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn stages(criterion: &mut Criterion) {
    let values = picture();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let plane = Plane {
        data: &bytes,
        stride: 2 * SIZE.width,
    };
    let coding = YuvCoding::default();
    let frame = Frame::new(Format::Gray16Le, SIZE.width, SIZE.height, &[plane], coding).unwrap();
    let mask: Vec<u8> = values.iter().map(|value| u8::from(*value > 900)).collect();
    let mut group = criterion.benchmark_group("2088x1560");
    group.throughput(Throughput::Elements(SIZE.area() as u64));
    group.sample_size(20);
    statistics(&mut group, &frame);
    filling(&mut group, &frame);
    stitching(&mut group);
    changes(&mut group, &frame);
    objects(&mut group, &mask);
    overlay(&mut group, &frame, &mask);
    group.finish();
}

fn statistics(group: &mut Group, frame: &Frame) {
    let mut normalizer = Normalizer::new(Normalization::ZScore);
    group.bench_function("statistics of 16-bit pixels", |bencher| {
        bencher.iter(|| black_box(normalizer.scaling(frame, Channels::Gray)));
    });
}

/// The tiles of a frame.
fn plan(blend: Blend) -> Plan {
    let max_pixels = 1 << 20;
    Plan::new(SIZE, &GEOMETRY, blend, TileSize::Planned { max_pixels }).unwrap()
}

fn filling(group: &mut Group, frame: &Frame) {
    let plan = plan(Blend::Crop);
    let mut input = vec![0.0; plan.outer.area()];
    group.bench_function("fill mirrored tiles", |bencher| {
        bencher.iter(|| {
            for tile in plan.tiles() {
                let scaling = Scaling::IDENTITY;
                fill_tile_input(frame, Channels::Gray, scaling, tile, plan.outer, &mut input);
            }
        });
    });
}

fn stitching(group: &mut Group) {
    let mut mask = vec![0; SIZE.area()];
    for (name, blend) in [("crop", Blend::Crop), ("gaussian", Blend::Gaussian)] {
        let plan = plan(blend);
        let decision = Decision::new(Activation::Softmax, 2, 0.5);
        let mut stitcher = Stitcher::new(&plan, decision).unwrap();
        let values = 0..2 * plan.output.area();
        let scores: Vec<f32> = values.map(|at| (at % 7) as f32).collect();
        let scores = &scores[..];
        group.bench_function(
            format!("stitch scores into a mask, blend={name}"),
            |bencher| {
                bencher.iter(|| {
                    stitcher.begin();
                    for tile in plan.tiles() {
                        stitcher.add(tile, (scores, plan.output), &mut mask, None);
                    }
                    stitcher.finish(&mut mask, None);
                });
            },
        );
    }
}

fn changes(group: &mut Group, frame: &Frame) {
    let reuse = Reuse::Threshold { most_frames: 1000 };
    let mut cache = ReuseCache::new(reuse, &plan(Blend::Crop), &GEOMETRY, true).unwrap();
    group.bench_function("find changes, reuse=threshold", |bencher| {
        bencher.iter(|| {
            black_box(cache.update(frame, Channels::Gray, Scaling::IDENTITY)).unwrap();
        });
    });
}

fn objects(group: &mut Group, mask: &[u8]) {
    let rules = ObjectRules {
        min_area: 16,
        ..ObjectRules::default()
    };
    find(group, "find objects", (mask, None), rules);
    let (mask, probability) = pairs();
    for (name, split) in [("cores", Split::Cores), ("distance", Split::Distance)] {
        let rules = ObjectRules { split, ..rules };
        let name = format!("find objects, pairs that touch, split={name}");
        find(group, &name, (&mask, Some(&probability)), rules);
    }
}

/// Discs with a radius of 14 pixels, two in each rectangle of 60 x 40, that overlap by 6, and a probability that falls
/// from 1 in the middle of each to one half.
fn pairs() -> (Vec<u8>, Vec<f32>) {
    let probability = |at: usize| {
        let (x, y) = ((at % SIZE.width % 60) as f32, (at / SIZE.width % 40) as f32);
        let inside = |middle: f32| 1.0 - 0.5 * ((x - middle).powi(2) + (y - 20.0).powi(2)) / 196.0;
        inside(18.0).max(inside(40.0)).max(0.0)
    };
    let probability: Vec<f32> = (0..SIZE.area()).map(probability).collect();
    let mask = probability.iter().map(|p| u8::from(*p > 0.5)).collect();
    (mask, probability)
}

fn find(
    group: &mut Group,
    name: &str,
    (mask, probability): (&[u8], Option<&[f32]>),
    rules: ObjectRules,
) {
    let mut labeller = Labeller::default();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let found = labeller.label(mask, probability, SIZE.width, &rules);
            black_box(found).unwrap();
        });
    });
}

fn overlay(group: &mut Group, frame: &Frame, mask: &[u8]) {
    let mut drawn = vec![0; 3 * SIZE.area()];
    let colors: Vec<_> = (0..2).map(default_color).collect();
    group.bench_function("draw overlay, 16-bit grey to RGB", |bencher| {
        bencher.iter(|| {
            let plane = PlaneMut {
                data: &mut drawn[..],
                stride: 3 * SIZE.width,
            };
            let coding = YuvCoding::default();
            let target = FrameMut::new(Format::Rgb, SIZE.width, SIZE.height, [plane], coding);
            let mut target = target.unwrap();
            draw(
                Some(frame),
                &mut target,
                mask,
                &colors,
                Style::default(),
                Levels::IDENTITY,
            )
            .unwrap();
        });
    });
}

criterion_group!(benches, stages);
criterion_main!(benches);
