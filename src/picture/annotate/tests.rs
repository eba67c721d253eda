//! Annotations on a map, and on pictures.

use super::*;
use crate::picture::testing::Picture;
use crate::picture::{
    Color, FIRST_INK, Format, INK_WHITE, Levels, Style, YuvCoding, draw, ink_color,
};

const CORNERS: [Corner; 4] = [
    Corner::TopLeft,
    Corner::TopRight,
    Corner::BottomLeft,
    Corner::BottomRight,
];

struct Map {
    values: Vec<u8>,
    width: usize,
    height: usize,
}

impl Map {
    fn new(width: usize, height: usize) -> Self {
        Map {
            values: vec![0; width * height],
            width,
            height,
        }
    }

    fn canvas(&mut self) -> Canvas<'_> {
        Canvas {
            map: &mut self.values,
            width: self.width,
            height: self.height,
        }
    }

    /// The smallest rectangle that holds everything of this value: first and last column and row.
    fn bounds(&self, value: u8) -> Option<[usize; 4]> {
        let places = (0..self.values.len()).filter(|at| self.values[*at] == value);
        places.fold(None, |bounds, at| {
            let (x, y) = (at % self.width, at / self.width);
            let [left, right, top, bottom] = bounds.unwrap_or([x, x, y, y]);
            Some([left.min(x), right.max(x), top.min(y), bottom.max(y)])
        })
    }
}

/// Draws everything, with usual and unusual arguments.
fn draw_all(canvas: &mut Canvas) {
    let far = [f64::NAN, f64::INFINITY, f64::MAX, -1e300, -3.0, 0.0, 2.5];
    let items = far.into_iter().flat_map(|x| far.map(|y| (u32::MAX, x, y)));
    numbers(canvas, items);
    let long = "\u{3bc}\u{1f52c}\nÄ ".repeat(1000);
    let texts = [long.as_str(); 40];
    let entries = [(long.as_str(), 3); 40];
    for corner in CORNERS {
        line(canvas, corner, "");
        lines(canvas, corner, &texts);
        lines(canvas, corner, &[]);
        legend(canvas, corner, entries);
        legend(canvas, corner, []);
        for scale in [
            0.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            1e-300,
            1e300,
            0.65,
            1e-3,
        ] {
            scale_bar(canvas, corner, scale);
        }
    }
}

#[test]
fn any_canvas_will_do() {
    for (width, height) in [
        (0, 0),
        (1, 1),
        (5, 5),
        (1, 300),
        (300, 1),
        (16, 40),
        (3000, 41),
    ] {
        draw_all(&mut Map::new(width, height).canvas());
    }
    // Maps shorter than their size, or of a huge size.
    let mut map = vec![0; 1000];
    for (width, height) in [(30, 40), (usize::MAX, 2), (3, usize::MAX), (0, 7)] {
        let map = &mut map[..];
        draw_all(&mut Canvas { map, width, height });
    }
}

#[test]
fn text_is_placed_in_its_corner() {
    for corner in CORNERS {
        let mut map = Map::new(200, 100);
        lines(&mut map.canvas(), corner, &["HH", "H"]);
        let [left, right, top, bottom] = map.bounds(INK_WHITE).unwrap();
        let is_right = matches!(corner, Corner::TopRight | Corner::BottomRight);
        let is_bottom = matches!(corner, Corner::BottomLeft | Corner::BottomRight);
        assert!(if is_right { left > 170 } else { right < 30 }, "{corner:?}");
        assert!(if is_bottom { top > 65 } else { bottom < 35 }, "{corner:?}");
        // The shorter line is aligned with the edge too.
        let below = (top + bottom) / 2 + 2;
        map.values[..below * 200].fill(0);
        let [second_left, second_right, ..] = map.bounds(INK_WHITE).unwrap();
        let same = if is_right {
            second_right == right
        } else {
            second_left == left
        };
        assert!(same, "{corner:?}");
    }
}

/// The picture is covered between the letters of a line and around a scale bar.
#[test]
fn text_has_an_opaque_background() {
    let draws: [fn(&mut Canvas); 2] = [
        |canvas| line(canvas, Corner::BottomRight, "12 i"),
        |canvas| scale_bar(canvas, Corner::BottomRight, 0.65),
    ];
    for draw in draws {
        let mut map = Map::new(320, 240);
        map.values.fill(1);
        draw(&mut map.canvas());
        let inks = (0..map.values.len()).filter(|at| map.values[*at] >= FIRST_INK);
        let places: Vec<_> = inks.map(|at| (at % 320, at / 320)).collect();
        let (left, right) = (
            places.iter().map(|p| p.0).min(),
            places.iter().map(|p| p.0).max(),
        );
        let (top, bottom) = (places.first().unwrap().1, places.last().unwrap().1);
        let area = (right.unwrap() + 1 - left.unwrap()) * (bottom + 1 - top);
        assert_eq!(places.len(), area);
    }
}

#[test]
fn letters_grow_with_the_frame() {
    let height = |width, height| {
        let mut map = Map::new(width, height);
        line(&mut map.canvas(), Corner::TopLeft, "H");
        let [_, _, top, bottom] = map.bounds(INK_WHITE).unwrap();
        bottom + 1 - top
    };
    let heights = [
        (64, 48),
        (696, 520),
        (1024, 1024),
        (2048, 2048),
        (4096, 4096),
    ];
    let heights = heights.map(|(w, h)| height(w, h));
    assert!(heights.is_sorted(), "{heights:?}");
    assert!(heights[1] >= 8 && heights[3] >= 24, "{heights:?}");
}

/// Every white pixel is surrounded by white and black only.
#[test]
fn letters_have_a_rim() {
    for size in [120, 1200] {
        let mut map = Map::new(size, size);
        line(&mut map.canvas(), Corner::TopLeft, "5 µm Äg");
        assert!(map.bounds(INK_BLACK).is_some());
        for at in (0..size * size).filter(|at| map.values[*at] == INK_WHITE) {
            for beside in [
                at - 1,
                at + 1,
                at - size,
                at + size,
                at - size - 1,
                at + size + 1,
            ] {
                assert!(map.values[beside] >= INK_BLACK);
            }
        }
    }
}

#[test]
fn numbers_are_centred_at_their_places() {
    let mut map = Map::new(200, 200);
    numbers(&mut map.canvas(), [(88, 70.0, 120.0)].into_iter());
    let [left, right, top, bottom] = map.bounds(INK_BLACK).unwrap();
    assert!((left + right).abs_diff(140) <= 3, "{left} {right}");
    assert!((top + bottom).abs_diff(240) <= 3, "{top} {bottom}");
    // A number at the border is moved into the frame.
    let mut map = Map::new(200, 200);
    numbers(&mut map.canvas(), [(88, 0.0, 199.0)].into_iter());
    let [left, _, _, bottom] = map.bounds(INK_WHITE).unwrap();
    assert!(left < 3 && bottom > 196);
}

#[test]
fn micro_sign_and_mu_look_the_same() {
    let drawn = |text| {
        let mut map = Map::new(60, 40);
        line(&mut map.canvas(), Corner::TopLeft, text);
        map.values
    };
    assert_eq!(drawn("\u{b5}m"), drawn("\u{3bc}m"));
    assert_ne!(drawn("\u{b5}m"), drawn("?m"));
    assert_eq!(drawn("\u{1f52c}"), drawn("?"));
}

#[test]
fn legends_show_the_values() {
    let mut map = Map::new(300, 200);
    legend(&mut map.canvas(), Corner::TopRight, [("a", 4), ("abc", 9)]);
    let [_, right, _, bottom] = map.bounds(4).unwrap();
    let [_, right_too, top, _] = map.bounds(9).unwrap();
    assert!(right == right_too && bottom < top);
    // A swatch lies on background, so that it has an outline.
    let [left, _, top, _] = map.bounds(4).unwrap();
    assert_eq!(map.values[top * 300 + left - 1], 0);
    assert_eq!(map.values[top * 300 + left - 2], INK_BLACK);
}

/// White ink is white and black ink black on every format, whatever the style and the colours.
#[test]
fn inks_are_opaque_on_every_format() {
    let size = (24, 24);
    let mut map = vec![1; 24 * 24];
    for (x, y) in (8..16).flat_map(|y| (0..8).map(move |x| (x, y))) {
        map[y * 24 + x] = INK_WHITE;
        map[y * 24 + x + 16] = INK_BLACK;
    }
    let style = Style {
        opacity: 0.0,
        thickness: 3,
    };
    let colors = [Color([7, 90, 200]); 256];
    let levels = Levels::IDENTITY;
    let coding = YuvCoding::BT709;
    let ground = [60, 60, 60];
    let gray = Picture::gray(Format::Gray8, size, coding, |_, _| 60);
    let expected = |format: Format| {
        Picture::color(format, size, coding, |x, y| match map[y * 24 + x] {
            value @ FIRST_INK.. => ink_color(value).0,
            _ => ground,
        })
    };
    let packed = [Format::Rgb, Format::Bgr, Format::Rgba, Format::Bgrx];
    for format in packed.into_iter().chain([Format::Nv12, Format::I420]) {
        let mut drawn = Picture::color(format, size, coding, |_, _| ground);
        draw(None, &mut drawn.frame_mut(), &map, &colors, style, levels).unwrap();
        assert!(drawn == expected(format), "{format:?}");
    }
    for format in [Format::Rgb, Format::Bgr] {
        let mut drawn = Picture::new(format, size, coding);
        let frame = gray.frame();
        draw(
            Some(&frame),
            &mut drawn.frame_mut(),
            &map,
            &colors,
            style,
            levels,
        )
        .unwrap();
        assert!(drawn == expected(format), "{format:?}");
    }
}
