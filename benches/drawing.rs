//! What drawing costs, each kind alone, on a frame of 696x520 pixels.

use criterion::{Criterion, criterion_group, criterion_main};
use gstunetsegment::picture::{
    Format, Frame, FrameMut, Levels, Plane, PlaneMut, Style, YuvCoding, default_color, draw,
};

const WIDTH: usize = 696;
const HEIGHT: usize = 520;

fn mask() -> Vec<u8> {
    let class = |at: usize| {
        let (y, x) = (at / WIDTH, at % WIDTH);
        let (dy, dx) = ((y % 40) as i32 - 20, (x % 40) as i32 - 20);
        u8::from(dy * dy + dx * dx < 200)
    };
    (0..WIDTH * HEIGHT).map(class).collect()
}

fn drawing(criterion: &mut Criterion) {
    let coding = YuvCoding::default();
    let mask = mask();
    let colors: Vec<_> = (0..2).map(default_color).collect();
    let gray: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| (at * 7919 % 101) as u8)
        .collect();
    let plane = Plane {
        data: &gray,
        stride: WIDTH,
    };
    let frame = Frame::new(Format::Gray8, WIDTH, HEIGHT, &[plane], coding).unwrap();
    let mut drawn = vec![0; 3 * WIDTH * HEIGHT];
    let mut group = criterion.benchmark_group("696x520");
    for (name, source) in [("grey to RGB", Some(&frame)), ("RGB", None)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let plane = PlaneMut {
                    data: &mut drawn[..],
                    stride: 3 * WIDTH,
                };
                let mut target =
                    FrameMut::new(Format::Rgb, WIDTH, HEIGHT, [plane], coding).unwrap();
                draw(
                    source,
                    &mut target,
                    &mask,
                    &colors,
                    Style::default(),
                    Levels::IDENTITY,
                )
                .unwrap();
            });
        });
    }
    let mut i420 = vec![90; WIDTH * HEIGHT * 3 / 2];
    group.bench_function("I420", |bencher| {
        bencher.iter(|| {
            let (luma, chroma) = i420.split_at_mut(WIDTH * HEIGHT);
            let (u, v) = chroma.split_at_mut(WIDTH * HEIGHT / 4);
            let planes = [(luma, WIDTH), (u, WIDTH / 2), (v, WIDTH / 2)]
                .map(|(data, stride)| PlaneMut { data, stride });
            let mut target = FrameMut::new(Format::I420, WIDTH, HEIGHT, planes, coding).unwrap();
            draw(
                None,
                &mut target,
                &mask,
                &colors,
                Style::default(),
                Levels::IDENTITY,
            )
            .unwrap();
        });
    });
    group.finish();
}

criterion_group!(benches, drawing);
criterion_main!(benches);
