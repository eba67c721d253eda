//! Drawing on frames: the objects that count, filled holes, the colours of objects, and text.

mod common;

use common::discs::{HEIGHT, WIDTH, finder, frame};
use common::{gray8, mask_of};
use gst::prelude::*;
use gstreamer as gst;

#[test]
fn overlays_show_only_objects_that_count() {
    let discs = [(20.0, 20.0, 9.0), (60.0, 10.0, 2.0)];
    let shown = |properties: &[(&str, &str)]| {
        let all = [&[("opacity", "1")], properties].concat();
        let (_element, mut harness, _) = finder(&all);
        let out = harness.push_and_pull(frame(0, &discs)).unwrap();
        let (mask, ..) = mask_of(&out);
        let (pixels, _) = common::pixels(&harness, &out);
        // Pixels without drawing are grey.
        let bytes = pixels.len() / mask.len();
        let drawn = |(x, y): (usize, usize)| {
            let at = (y * WIDTH + x) * bytes;
            pixels[at] != pixels[at + 1] || pixels[at + 1] != pixels[at + 2]
        };
        let at = |x: usize, y: usize| (mask[y * WIDTH + x], drawn((x, y)));
        [at(20, 20), at(60, 10), at(90, 60)]
    };
    let nothing = (0, false);
    assert_eq!(shown(&[]), [(1, true), (1, true), nothing]);
    // The speck stays in the mask.
    let large = ("min-area", "50");
    assert_eq!(shown(&[large]), [(1, true), (1, false), nothing]);
    assert_eq!(
        shown(&[("max-area", "50")]),
        [(1, false), (1, true), nothing]
    );
    let numbered = ("annotations", "numbers");
    assert_eq!(shown(&[large, numbered])[1..], [(1, false), nothing]);
}

/// The colour of a pixel of an RGBA frame.
fn color(buffer: &gst::BufferRef, x: usize, y: usize) -> [u8; 3] {
    let bytes = buffer.map_readable().unwrap();
    let at = 4 * (y * WIDTH + x);
    [bytes[at], bytes[at + 1], bytes[at + 2]]
}

/// A hole that counts is drawn as its object is, whatever the colours mean, and the mask keeps it.
#[test]
fn overlays_show_filled_holes() {
    let ring: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| {
            let away = ((at % WIDTH) as f64 - 40.0).hypot((at / WIDTH) as f64 - 30.0);
            if (8.0..18.0).contains(&away) { 200 } else { 20 }
        })
        .collect();
    for more in [
        &[][..],
        &[("min-area", "2")],
        &[("color-by", "object")],
        &[("color-by", "object"), ("show-classes", "1")],
    ] {
        let shown = |fills: &str| {
            let style = [("opacity", "1"), ("outline", "0"), ("fill-holes", fills)];
            let (_element, mut harness, _) = finder(&[&style, more].concat());
            let out = harness.push_and_pull(gray8(&ring, WIDTH, HEIGHT)).unwrap();
            assert_eq!(mask_of(&out).0[30 * WIDTH + 40], 0);
            [color(&out, 40, 30), color(&out, 40, 17), color(&out, 2, 2)]
        };
        let [hole, object, ground] = shown("true");
        assert_eq!(hole, object, "{more:?}");
        assert_eq!(ground, [20; 3], "{more:?}");
        assert_eq!(shown("false"), [[20; 3], object, ground], "{more:?}");
    }
}

#[test]
fn an_object_keeps_its_colour() {
    let properties = [
        ("color-by", "object"),
        ("track", "true"),
        ("opacity", "1.0"),
        ("min-area", "4"),
    ];
    let (element, mut harness, _) = finder(&properties);
    let mut seen = Vec::new();
    for step in 0..5 {
        let discs = [
            (20.0 + 4.0 * f64::from(step), 20.0, 8.0),
            (70.0, 40.0 - 7.0 * f64::from(step), 8.0),
        ];
        let out = harness
            .push_and_pull(frame(u64::from(step as u8), &discs))
            .unwrap();
        let colors = discs.map(|(x, y, _)| color(&out, x as usize, y as usize));
        assert_ne!(colors[0], colors[1]);
        seen.push(colors);
    }
    assert!(seen.iter().all(|colors| *colors == seen[0]), "{seen:?}");
    // A class that is not shown leaves the picture as it was.
    element.set_property("show-classes", "2");
    let out = harness
        .push_and_pull(frame(5, &[(36.0, 20.0, 8.0)]))
        .unwrap();
    assert_eq!(color(&out, 36, 20), [200; 3]);
}

#[test]
fn annotations_are_written_in_their_places() {
    let differs = |annotations: &str, region: fn(usize, usize) -> bool| {
        let with = |text: &str| {
            let properties = [
                ("annotations", text),
                ("pixel-size", "0.5"),
                ("opacity", "0.0"),
            ];
            let (_element, mut harness, _) = finder(&properties);
            let out = harness
                .push_and_pull(frame(0, &[(48.0, 32.0, 9.0)]))
                .unwrap();
            out.map_readable().unwrap().to_vec()
        };
        let (plain, written) = (with("0"), with(annotations));
        let changed = (0..WIDTH * HEIGHT)
            .filter(|at| plain[4 * at..][..4] != written[4 * at..][..4])
            .collect::<Vec<_>>();
        assert!(changed.len() > 20, "{annotations}: {}", changed.len());
        let inside = changed.iter().all(|at| region(at % WIDTH, at / WIDTH));
        assert!(inside, "{annotations}");
    };
    differs("numbers", |x, y| x.abs_diff(48) < 9 && y.abs_diff(32) < 9);
    differs("count", |_, y| y < HEIGHT / 2);
    differs("age", |_, y| y < HEIGHT / 2);
    differs("legend", |x, y| x > WIDTH / 8 && y < HEIGHT / 2);
    differs("scale-bar", |x, y| x > WIDTH / 8 && y > HEIGHT / 2);
    differs("numbers+count", |_, y| y < HEIGHT / 2 + 9);
}
