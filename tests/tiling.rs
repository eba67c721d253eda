//! Tiling is invisible: a network gives the same answer for a frame in tiles as for the whole.

use gstunetsegment::contract::{Activation, Channels, Geometry, Sizes};
use gstunetsegment::picture::{Format, Frame, Plane, Scaling, YuvCoding, fill_tile_input};
use gstunetsegment::tiling::{Blend, Decision, Plan, Size, Span, Stitcher, TileSize};
use proptest::prelude::*;

/// The input of a network: one channel, rows without gaps.
struct Input {
    size: Size,
    pixels: Vec<f32>,
}

/// A camera's frame: 16 bits a pixel, low byte first.
struct Source {
    size: Size,
    bytes: Vec<u8>,
}

impl Source {
    /// Numbers without pattern; `seed` chooses them.
    fn noise(size: Size, seed: u32) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [(state >> 16) as u8, (state >> 24) as u8]
        };
        let bytes = (0..size.area()).flat_map(|_| next()).collect();
        Source { size, bytes }
    }

    fn pixels(&self) -> impl Iterator<Item = f32> {
        let samples = self.bytes.chunks_exact(2);
        samples.map(|bytes| f32::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    /// The network's input for one tile.
    fn outer(&self, plan: &Plan, tile: (&Span, &Span)) -> Input {
        let Size { width, height } = self.size;
        let plane = Plane {
            data: &self.bytes,
            stride: 2 * width,
        };
        let coding = YuvCoding::default();
        let frame = Frame::new(Format::Gray16Le, width, height, &[plane], coding).unwrap();
        let size = plan.outer;
        let mut pixels = vec![f32::NAN; size.area()];
        fill_tile_input(
            &frame,
            Channels::Gray,
            Scaling::IDENTITY,
            tile,
            size,
            &mut pixels,
        );
        Input { size, pixels }
    }
}

/// A network of one channel in and out: what it answers for a pixel, of which it is given the place
/// in its input.
type Network<'a> = &'a dyn Fn(&Input, usize, usize) -> f32;

fn run(network: Network, input: &Input, margin: usize) -> Vec<f32> {
    let Size { width, height } = input.size;
    (margin..height - margin)
        .flat_map(|y| (margin..width - margin).map(move |x| network(input, y, x)))
        .collect()
}

/// The answer for a frame by the tiles of a plan. Probabilities are passed through as they are, so
/// that the map of the foreground is the network's output.
fn tiled(network: Network, frame: &Source, plan: &Plan, margin: usize) -> Vec<f32> {
    let mut stitcher = Stitcher::new(plan, Decision::new(Activation::None, 1, 0.5)).unwrap();
    let mut mask = vec![7; frame.size.area()];
    let mut answer = vec![f32::NAN; frame.size.area()];
    stitcher.begin();
    for tile in plan.tiles() {
        let output = run(network, &frame.outer(plan, tile), margin);
        stitcher.add(tile, (&output, plan.output), &mut mask, Some(&mut answer));
    }
    stitcher.finish(&mut mask, Some(&mut answer));
    for (class, p) in mask.iter().zip(&answer) {
        assert_eq!(*class, u8::from(*p > 0.5));
    }
    answer
}

/// Reaches as far as a pooling layer over cells of 4x4 pixels and a wide convolution do. What lies
/// beyond the input counts as 0, as in a convolution with padding.
fn pooling(input: &Input, y: usize, x: usize) -> f32 {
    const REACH: isize = 5;
    let Size { width, height } = input.size;
    let here = |y: isize, x: isize| {
        let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        if inside {
            input.pixels[y as usize * width + x as usize]
        } else {
            0.0
        }
    };
    let (top, left) = ((y / 4 * 4) as isize, (x / 4 * 4) as isize);
    let cell = (top..top + 4).flat_map(|y| (left..left + 4).map(move |x| (y, x)));
    let largest = cell.map(|(y, x)| here(y, x)).fold(0.0, f32::max);
    let (y, x) = (y as isize, x as isize);
    largest + here(y - REACH, x) + 2.0 * here(y + REACH, x) + 4.0 * here(y, x - REACH)
}

fn sides() -> impl Strategy<Value = Size> {
    (1_usize..200, 1_usize..200).prop_map(|(width, height)| Size { width, height })
}

/// Networks of free size, and of fixed size with room for margin and halo.
fn geometries() -> impl Strategy<Value = Geometry> {
    let stride = prop_oneof![Just(1_usize), Just(2), Just(4), Just(16)];
    (0_usize..24, 0_usize..24, stride, 1_usize..32, 0_usize..300).prop_map(
        |(margin, beyond, stride, step, fixed)| {
            let halo = margin + beyond;
            // As if every third network had a fixed size.
            let least = 2 * (halo + stride) + stride;
            let sizes = match fixed % 3 {
                0 => Sizes::Fixed {
                    height: least + fixed / 3,
                    width: least + fixed / 4,
                },
                _ => Sizes::Steps {
                    min: 2 * margin + 1,
                    step,
                },
            };
            Geometry {
                margin,
                halo,
                edge: Geometry::EDGE,
                stride,
                sizes,
            }
        },
    )
}

fn tile_sizes() -> impl Strategy<Value = TileSize> {
    prop_oneof![
        (8_usize..256).prop_map(TileSize::Inner),
        (4_096_usize..100_000).prop_map(|max_pixels| TileSize::Planned { max_pixels }),
    ]
}

fn blends() -> impl Strategy<Value = Blend> {
    prop_oneof![
        Just(Blend::Crop),
        Just(Blend::Average),
        Just(Blend::Gaussian)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn identity_and_x_plus_1_come_back(
        size in sides(),
        geometry in geometries(),
        tile_size in tile_sizes(),
        blend in blends(),
        seed: u32,
    ) {
        let frame = Source::noise(size, seed);
        let plan = Plan::new(size, &geometry, blend, tile_size).unwrap();
        for plus in [0.0, 1.0] {
            let network = |input: &Input, y, x| input.pixels[y * input.size.width + x] + plus;
            let answer = tiled(&network, &frame, &plan, geometry.margin);
            for (got, pixel) in answer.iter().zip(frame.pixels()) {
                let expected = pixel + plus;
                // Weights add up to 1 to the last digits of a float.
                let tolerance = if plan.blends() { expected * 1e-5 } else { 0.0 };
                prop_assert!((got - expected).abs() <= tolerance, "{got} for {expected}");
            }
        }
    }

    #[test]
    fn targets_cover_each_pixel_once(
        size in sides(),
        geometry in geometries(),
        tile_size in tile_sizes(),
        blend in blends(),
    ) {
        let plan = Plan::new(size, &geometry, blend, tile_size).unwrap();
        prop_assert_eq!(plan.len(), plan.tiles().count());
        prop_assert_eq!(plan.outer.width, plan.output.width + 2 * geometry.margin);
        prop_assert_eq!(
            geometry.legal(plan.outer.height, plan.outer.width),
            Some((plan.outer.height, plan.outer.width))
        );
        let mut covered = vec![0.0; size.area()];
        for (rows, columns) in plan.tiles() {
            for (index, y) in rows.target.clone().enumerate() {
                for (at, x) in columns.target.clone().enumerate() {
                    let weight = |span: &Span, index: usize| {
                        if plan.blends() { span.weights[index] } else { 1.0 }
                    };
                    covered[y * size.width + x] += weight(rows, index) * weight(columns, at);
                }
            }
        }
        let tolerance = if plan.blends() { 1e-5 } else { 0.0 };
        prop_assert!(covered.iter().all(|sum| (sum - 1.0_f32).abs() <= tolerance));
    }

    #[test]
    fn spans_have_their_halo_and_keep_the_grid(
        size in sides(),
        geometry in geometries(),
        tile_size in tile_sizes(),
        blend in blends(),
    ) {
        let plan = Plan::new(size, &geometry, blend, tile_size).unwrap();
        let Plan { outer, halo, rows, columns, .. } = &plan;
        let along_height = rows.iter().map(|span| {
            (span, size.height, outer.height, halo.height, rows.len())
        });
        let along_width = columns.iter().map(|span| {
            (span, size.width, outer.width, halo.width, columns.len())
        });
        for (span, length, outer, halo, count) in along_height.chain(along_width) {
            let start = span.outer_start;
            let off_grid = (start + geometry.margin as isize).rem_euclid(geometry.stride as isize);
            prop_assert_eq!(off_grid, 0);
            // A frame that a fixed size just takes in may have less.
            prop_assert!(halo >= geometry.halo || count == 1);
            // Beyond the frame there is no more than the network has use for.
            let edge = halo.min(geometry.margin + 32);
            let before = if span.target.start == 0 { edge } else { halo };
            let after = if span.target.end == length { edge } else { halo };
            prop_assert!(start + before as isize <= span.target.start as isize);
            prop_assert!((span.target.end + after) as isize <= start + outer as isize);
            let source = start + (geometry.margin + span.source) as isize;
            prop_assert_eq!(source, span.target.start as isize);
        }
    }

    #[test]
    fn tiles_of_a_pooling_network_equal_the_whole(
        size in sides(),
        margin in 0_usize..12,
        beyond in 0_usize..48,
        tile_size in tile_sizes(),
        blend in blends(),
        seed: u32,
    ) {
        let geometry = Geometry {
            margin,
            halo: (margin + beyond).max(5),
            edge: Geometry::EDGE,
            stride: 4,
            sizes: Sizes::Steps { min: 28, step: 4 },
        };
        let frame = Source::noise(size, seed);
        let whole = TileSize::Planned { max_pixels: usize::MAX };
        let whole = Plan::new(size, &geometry, blend, whole).unwrap();
        prop_assert_eq!(whole.len(), 1);
        let expected = tiled(&pooling, &frame, &whole, margin);
        let plan = Plan::new(size, &geometry, blend, tile_size).unwrap();
        let got = tiled(&pooling, &frame, &plan, margin);
        for (got, expected) in got.iter().zip(&expected) {
            let tolerance = if plan.blends() { expected * 1e-5 } else { 0.0 };
            prop_assert!((got - expected).abs() <= tolerance, "{got} for {expected}");
        }
    }
}

/// The same tiles, off the grid by one pixel, give another answer: the test above would notice it.
#[test]
fn tiles_off_the_grid_change_the_answer() {
    let geometry = Geometry {
        margin: 6,
        halo: 8,
        edge: Geometry::EDGE,
        stride: 4,
        sizes: Sizes::Steps { min: 28, step: 4 },
    };
    let size = Size {
        width: 97,
        height: 61,
    };
    let frame = Source::noise(size, 1);
    let plan = |tile_size| Plan::new(size, &geometry, Blend::Crop, tile_size).unwrap();
    let whole = tiled(&pooling, &frame, &plan(TileSize::Inner(200)), 6);
    let mut moved = plan(TileSize::Inner(32));
    assert_eq!(tiled(&pooling, &frame, &moved, 6), whole);
    for span in &mut moved.columns[1..] {
        span.outer_start -= 1;
        span.source += 1;
    }
    assert_ne!(tiled(&pooling, &frame, &moved, 6), whole);
}
