//! Time of each kind of drawing, on a frame of 696x520 pixels with two hundred cells.

use criterion::{Criterion, criterion_group, criterion_main};
use gstunetsegment::picture::annotate::{self, Canvas, Corner};
use gstunetsegment::picture::{
    Format, Frame, FrameMut, INSTANCE_COLORS, Levels, Plane, PlaneMut, Style, YuvCoding, draw,
};

const WIDTH: usize = 696;
const HEIGHT: usize = 520;
/// Pixels from one cell to the next.
const PITCH: usize = 40;

fn mask() -> Vec<u8> {
    let class = |at: usize| {
        let (y, x) = (at / WIDTH, at % WIDTH);
        let (dy, dx) = ((y % PITCH) as i32 - 20, (x % PITCH) as i32 - 20);
        u8::from(dy * dy + dx * dx < 200)
    };
    (0..WIDTH * HEIGHT).map(class).collect()
}

/// Draws the mask in several styles, from grey and in place.
fn styles(criterion: &mut Criterion) {
    let (coding, levels) = (YuvCoding::default(), Levels::IDENTITY);
    let (mask, colors) = (mask(), &INSTANCE_COLORS[..2]);
    let gray: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| (at * 7919 % 101) as u8)
        .collect();
    let plane = Plane {
        data: &gray,
        stride: WIDTH,
    };
    let frame = Frame::new(Format::Gray8, WIDTH, HEIGHT, &[plane], coding).unwrap();
    let mut rgb = vec![0; 3 * WIDTH * HEIGHT];
    let mut i420 = vec![90; WIDTH * HEIGHT * 3 / 2];
    let mut group = criterion.benchmark_group("696x520");
    for thickness in [0, 1, 3, 16] {
        let style = Style {
            thickness,
            ..Style::default()
        };
        for (name, source) in [("grey to RGB", Some(&frame)), ("RGB in place", None)] {
            group.bench_function(format!("{name}, outline={thickness}"), |bencher| {
                bencher.iter(|| {
                    let plane = PlaneMut {
                        data: &mut rgb[..],
                        stride: 3 * WIDTH,
                    };
                    let target = FrameMut::new(Format::Rgb, WIDTH, HEIGHT, [plane], coding);
                    draw(source, &mut target.unwrap(), &mask, colors, style, levels).unwrap();
                });
            });
        }
        group.bench_function(format!("I420 in place, outline={thickness}"), |bencher| {
            bencher.iter(|| {
                let (luma, chroma) = i420.split_at_mut(WIDTH * HEIGHT);
                let (u, v) = chroma.split_at_mut(WIDTH * HEIGHT / 4);
                let planes = [(luma, WIDTH), (u, WIDTH / 2), (v, WIDTH / 2)]
                    .map(|(data, stride)| PlaneMut { data, stride });
                let target = FrameMut::new(Format::I420, WIDTH, HEIGHT, planes, coding);
                draw(None, &mut target.unwrap(), &mask, colors, style, levels).unwrap();
            });
        });
    }
    group.finish();
}

/// Draws annotations on the mask.
fn annotations(criterion: &mut Criterion) {
    let mut map = mask();
    let mut canvas = Canvas {
        map: &mut map,
        width: WIDTH,
        height: HEIGHT,
    };
    let across = WIDTH / PITCH;
    let middles = (0..200).map(|index| {
        let middle = |place: usize| (place * PITCH + PITCH / 2) as f64;
        (
            index as u32 + 100,
            middle(index % across),
            middle(index / across),
        )
    });
    let mut group = criterion.benchmark_group("696x520");
    group.bench_function("200 object numbers", |bencher| {
        bencher.iter(|| annotate::numbers(&mut canvas, middles.clone()));
    });
    group.bench_function("legend, scale bar and two lines of text", |bencher| {
        bencher.iter(|| {
            let lines = ["192 cells", "mask 240 ms old"];
            let entries = [("interphase", 1), ("mitosis", 2), ("dead", 3)];
            annotate::lines(&mut canvas, Corner::TopLeft, &lines);
            annotate::legend(&mut canvas, Corner::TopRight, entries);
            annotate::scale_bar(&mut canvas, Corner::BottomRight, 0.65);
        });
    });
    group.finish();
}

criterion_group!(benches, styles, annotations);
criterion_main!(benches);
