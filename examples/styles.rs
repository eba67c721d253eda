//! Draws generated cells in every style, with numbers, text, a legend and a scale bar, and writes
//! PNG files to look at.
//!
//! ```sh
//! cargo run --release --example styles -- FOLDER
//! ```

use std::error::Error;
use std::path::Path;

use gstunetsegment::picture::annotate::{self, Canvas, Corner};
use gstunetsegment::picture::{
    Color, DEFAULT_COLORS, Format, Frame, FrameMut, INSTANCE_COLORS, Levels, Plane, PlaneMut,
    STALE_COLORS, Style, YuvCoding, draw, instance_value, mark_stale,
};
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A cell: its position, radii and brightness.
struct Cell {
    middle: [f32; 2],
    radii: [f32; 2],
    brightness: f32,
}

struct Scene {
    width: usize,
    height: usize,
    picture: Vec<u8>,
    /// One number per pixel, 0 where there is no cell.
    labels: Vec<u32>,
    cells: Vec<Cell>,
}

/// Cells on a grid from which each strays, a few of them touching, on a ground of a brightness and
/// its noise.
fn scene((width, height): (usize, usize), pitch: usize, (ground, noise): (f32, f32)) -> Scene {
    let mut random = StdRng::seed_from_u64(7);
    let mut cells = Vec::new();
    for y in (pitch / 2..height).step_by(pitch) {
        for x in (pitch / 2..width).step_by(pitch) {
            let size = pitch as f32;
            let mut stray = || random.random_range(-0.22..0.22) * size;
            let middle = [x as f32 + stray(), y as f32 + stray()];
            cells.push(Cell {
                middle,
                radii: [0.28, 0.28]
                    .map(|radius| size * (radius + random.random_range(-0.06..0.14))),
                brightness: random.random_range(50.0..150.0),
            });
        }
    }
    let mut picture: Vec<f32> = (0..width * height)
        .map(|at| {
            ground + 25.0 * (at % width) as f32 / width as f32 + random.random_range(0.0..noise)
        })
        .collect();
    let mut labels = vec![0; width * height];
    for (cell, number) in cells.iter().zip(1..) {
        let [x, y] = cell.middle;
        let [a, b] = cell.radii;
        let range = |middle: f32, radius: f32, end: usize| {
            (middle - radius).max(0.0) as usize..((middle + radius) as usize + 1).min(end)
        };
        for row in range(y, b, height) {
            for column in range(x, a, width) {
                let (dx, dy) = ((column as f32 - x) / a, (row as f32 - y) / b);
                let inside = 1.0 - dx * dx - dy * dy;
                if inside > 0.0 {
                    picture[row * width + column] += cell.brightness * inside.sqrt();
                    labels[row * width + column] = number;
                }
            }
        }
    }
    let picture = picture
        .into_iter()
        .map(|value| value.clamp(0.0, 255.0) as u8);
    Scene {
        width,
        height,
        picture: picture.collect(),
        labels,
        cells,
    }
}

impl Scene {
    fn classes(&self) -> Vec<u8> {
        let class = |label: &u32| match label {
            0 => 0,
            label => 1 + (label % 3) as u8,
        };
        self.labels.iter().map(class).collect()
    }

    fn instances(&self) -> Vec<u8> {
        self.labels
            .iter()
            .map(|label| instance_value(*label))
            .collect()
    }

    fn canvas<'a>(&self, map: &'a mut [u8]) -> Canvas<'a> {
        Canvas {
            map,
            width: self.width,
            height: self.height,
        }
    }

    fn number(&self, map: &mut [u8]) {
        let items = self.cells.iter().zip(1..);
        let items = items.map(|(cell, number)| {
            let [x, y] = cell.middle.map(f64::from);
            (number, x, y)
        });
        annotate::numbers(&mut self.canvas(map), items);
    }

    fn furnish(&self, map: &mut [u8]) {
        let count = format!("{} cells", self.cells.len());
        let lines = [count.as_str(), "mask 240 ms old"];
        let canvas = &mut self.canvas(map);
        annotate::lines(canvas, Corner::TopLeft, &lines);
        let entries = [("interphase", 1), ("mitosis", 2), ("dead", 3)];
        annotate::legend(canvas, Corner::TopRight, entries);
        annotate::scale_bar(canvas, Corner::BottomRight, 0.65);
    }

    fn drawn(
        &self,
        map: &[u8],
        colors: &[Color],
        style: Style,
    ) -> Result<RgbImage, Box<dyn Error>> {
        let (width, height, coding) = (self.width, self.height, YuvCoding::default());
        let plane = Plane {
            data: &self.picture,
            stride: width,
        };
        let source = Frame::new(Format::Gray8, width, height, &[plane], coding)?;
        let mut bytes = vec![0; 3 * width * height];
        let plane = PlaneMut {
            data: &mut bytes[..],
            stride: 3 * width,
        };
        let mut target = FrameMut::new(Format::Rgb, width, height, [plane], coding)?;
        draw(
            Some(&source),
            &mut target,
            map,
            colors,
            style,
            Levels::IDENTITY,
        )?;
        RgbImage::from_raw(width as u32, height as u32, bytes).ok_or_else(|| "too small".into())
    }

    fn write(&self, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
        let file = |what: &str| folder.join(format!("{name}-{what}.png"));
        for (what, opacity, thickness) in [
            ("both", 0.35, 1),
            ("fill", 0.5, 0),
            ("outline", 0.0, 1),
            ("outline-3", 0.0, 3),
            ("outline-16", 0.2, 16),
        ] {
            let mut map = self.classes();
            self.furnish(&mut map);
            let style = Style { opacity, thickness };
            self.drawn(&map, &DEFAULT_COLORS, style)?.save(file(what))?;
        }
        let mut map = self.instances();
        self.number(&mut map);
        let style = Style {
            opacity: 0.35,
            thickness: 2,
        };
        self.drawn(&map, &INSTANCE_COLORS, style)?
            .save(file("numbers"))?;
        Ok(())
    }
}

/// The pictures of the documentation: three styles side by side, and numbers.
fn document(folder: &Path) -> Result<(), Box<dyn Error>> {
    const SIZE: (usize, usize) = (240, 200);
    let cells = scene(SIZE, 50, (40.0, 2.0));
    let mut styles = RgbImage::new(3 * SIZE.0 as u32 + 16, SIZE.1 as u32);
    for ((opacity, thickness), index) in [(0.5, 0), (0.0, 2), (0.35, 1)].into_iter().zip(0..) {
        let mut map = cells.classes();
        if index == 2 {
            annotate::line(&mut cells.canvas(&mut map), Corner::TopLeft, "20 cells");
            annotate::scale_bar(&mut cells.canvas(&mut map), Corner::BottomRight, 0.65);
        }
        let style = Style { opacity, thickness };
        let drawn = cells.drawn(&map, &DEFAULT_COLORS, style)?;
        image::imageops::replace(&mut styles, &drawn, index * (SIZE.0 as i64 + 8), 0);
    }
    save_small(&styles, &folder.join("overlay-styles.png"))?;
    let mut parts = RgbImage::new(styles.width(), styles.height());
    for (index, map) in [explained(&cells), filtered(&cells), stale(&cells)]
        .into_iter()
        .enumerate()
    {
        let (colors, opacity): (&[Color], f32) = match index {
            2 => (&STALE_COLORS, 1.0),
            _ => (&DEFAULT_COLORS, 0.35),
        };
        let style = Style {
            opacity,
            ..Style::default()
        };
        let drawn = cells.drawn(&map, colors, style)?;
        let left = index as i64 * (SIZE.0 as i64 + 8);
        image::imageops::replace(&mut parts, &drawn, left, 0);
    }
    save_small(&parts, &folder.join("overlay-parts.png"))?;
    let cells = scene((360, 200), 50, (90.0, 2.0));
    let mut map = cells.instances();
    cells.number(&mut map);
    let numbers = cells.drawn(&map, &INSTANCE_COLORS, Style::default())?;
    save_small(&numbers, &folder.join("overlay-numbers.png"))
}

/// With a legend, and lines of text.
fn explained(cells: &Scene) -> Vec<u8> {
    let mut map = cells.classes();
    let mut canvas = cells.canvas(&mut map);
    annotate::legend(
        &mut canvas,
        Corner::TopRight,
        [("round", 1), ("long", 2), ("small", 3)],
    );
    annotate::lines(
        &mut canvas,
        Corner::TopLeft,
        &["20 objects", "mask 0.12 s old"],
    );
    map
}

/// Of one class alone.
fn filtered(cells: &Scene) -> Vec<u8> {
    let classes = cells.classes().into_iter();
    classes
        .map(|class| if class == 2 { 2 } else { 0 })
        .collect()
}

/// As a mask that is too old.
fn stale(cells: &Scene) -> Vec<u8> {
    let mut map = vec![0; cells.width * cells.height];
    mark_stale(&cells.classes(), cells.width, &mut map);
    map
}

fn save_small(picture: &RgbImage, path: &Path) -> Result<(), Box<dyn Error>> {
    let (compression, filter) = (CompressionType::Best, FilterType::Adaptive);
    let file = std::fs::File::create(path)?;
    picture.write_with_encoder(PngEncoder::new_with_quality(file, compression, filter))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: styles FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    for (size, pitch, ground) in [((696, 520), 44, 30.0), ((2048, 2048), 150, 110.0)] {
        let (width, height) = size;
        scene(size, pitch, (ground, 14.0)).write(folder, &format!("{width}x{height}"))?;
    }
    document(folder)
}
