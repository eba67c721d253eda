//! Draws the mask over the picture.

use super::codes::{self, CHUNK, Channel};
use super::colors::{Color, FIRST_INK, default_color, ink_color};
use super::contour::{Contour, OPAQUE};
use super::display::Levels;
use super::format::Layout;
use super::frame::{Frame, FrameMut};
use super::maps::WriteError;
use super::overlay_yuv;
use super::style::Style;

/// Draws the classes of `mask` (rows of the frame's width without padding) in a style: regions filled
/// and outlined, the background unchanged. Classes beyond the end of `colors` have their default
/// colour.
///
/// Values from [`FIRST_INK`] on are not classes but inks: opaque whatever the style, in the colours of
/// [`ink_color`] whatever `colors` holds, and without an outline, of their own or of the region they lie on.
///
/// With a grey `source` the target, of the RGB family, becomes the source displayed with `levels`, with an
/// opaque alpha channel. Without one, the target is drawn over in place; then alpha is kept, and `levels` is
/// not used.
///
/// # Errors
/// If the target is grey, the source is not grey or has another size than the target, the target is NV12 or
/// I420 and there is a source, or `mask` is shorter than the frame.
pub fn draw(
    source: Option<&Frame>,
    target: &mut FrameMut,
    mask: &[u8],
    colors: &[Color],
    style: Style,
    levels: Levels,
) -> Result<(), WriteError> {
    let (width, height) = (target.width(), target.height());
    let fits = |source: &Frame| {
        source.format().is_gray() && (source.width(), source.height()) == (width, height)
    };
    if mask.len() < width * height || !source.is_none_or(fits) {
        return Err(WriteError::new("an overlay", target));
    }
    let contour = Contour::new(&mask[..width * height], width, height, style);
    let table = ColorTable::new(target, colors);
    match (source, target.format().layout()) {
        (Some(source), Layout::Packed { bytes, .. }) => {
            if bytes == 3 {
                draw_gray::<3>(source, target, &contour, &table, levels);
            } else {
                draw_gray::<4>(source, target, &contour, &table, levels);
            }
        }
        (None, Layout::Packed { bytes, .. }) => draw_packed(target, bytes, &contour, &table),
        (None, Layout::Yuv { chroma, step }) => {
            overlay_yuv::draw(target, (chroma, step), &contour, &table);
        }
        _ => return Err(WriteError::new("an overlay", target)),
    }
    Ok(())
}

/// The colour of each class as samples of the target format, in their order there: the bytes of a pixel, or
/// luma and both chroma components.
pub(super) struct ColorTable([[u8; 3]; 256]);

impl ColorTable {
    fn new(target: &FrameMut, colors: &[Color]) -> Self {
        ColorTable(std::array::from_fn(|class| {
            let Color(color) = match (u8::try_from(class), colors.get(class)) {
                (Ok(ink @ FIRST_INK..), _) => ink_color(ink),
                (_, Some(color)) => *color,
                _ => default_color(class),
            };
            match target.format().layout() {
                Layout::Packed { rgb, .. } => {
                    let mut samples = [0; 3];
                    for (offset, sample) in rgb.into_iter().zip(color) {
                        samples[offset] = sample;
                    }
                    samples
                }
                _ => target.coding.encode(color),
            }
        }))
    }

    /// The samples of a class.
    pub fn of(&self, class: u8) -> [u8; 3] {
        self.0[usize::from(class)]
    }
}

/// Blends `weight` 256ths of a colour into a sample.
pub(super) fn blend(sample: u8, color: u8, weight: u16) -> u8 {
    let sum = u16::from(sample) * (OPAQUE - weight) + u16::from(color) * weight;
    ((sum + OPAQUE / 2) / OPAQUE) as u8
}

fn draw_gray<const BYTES: usize>(
    source: &Frame,
    target: &mut FrameMut,
    contour: &Contour,
    table: &ColorTable,
    levels: Levels,
) {
    let (mut codes, mut weights, mut shown) = ([0; CHUNK], [0; CHUNK], [0; CHUNK]);
    for y in 0..source.height() {
        let (pixels, _) = target.row(0, y).as_chunks_mut::<BYTES>();
        for (x, pixels) in (0..).step_by(CHUNK).zip(pixels.chunks_mut(CHUNK)) {
            let codes = &mut codes[..pixels.len()];
            codes::read(source, Channel::Luma, y, x, codes);
            // One step per loop vectorizes.
            for (shown, code) in shown.iter_mut().zip(codes) {
                *shown = levels.apply(*code);
            }
            for (pixel, shown) in pixels.iter_mut().zip(shown) {
                // A fourth byte is alpha, or unused.
                *pixel = std::array::from_fn(|offset| if offset < 3 { shown } else { 255 });
            }
            let weights = &mut weights[..pixels.len()];
            if contour.weights(y, x, weights) {
                paint(pixels, weights, contour.classes(y, x), table);
            }
        }
    }
}

fn draw_packed(target: &mut FrameMut, bytes: usize, contour: &Contour, table: &ColorTable) {
    let mut weights = [0; CHUNK];
    for y in 0..target.height() {
        for x in (0..target.width()).step_by(CHUNK) {
            let weights = &mut weights[..CHUNK.min(target.width() - x)];
            if !contour.weights(y, x, weights) {
                continue;
            }
            let classes = contour.classes(y, x);
            let row = &mut target.row(0, y)[bytes * x..];
            if bytes == 3 {
                paint(row.as_chunks_mut::<3>().0, weights, classes, table);
            } else {
                paint(row.as_chunks_mut::<4>().0, weights, classes, table);
            }
        }
    }
}

fn paint<const BYTES: usize>(
    pixels: &mut [[u8; BYTES]],
    weights: &[u16],
    classes: &[u8],
    table: &ColorTable,
) {
    for ((pixel, weight), class) in pixels.iter_mut().zip(weights).zip(classes) {
        if *weight > 0 {
            for (sample, color) in pixel.iter_mut().zip(table.of(*class)) {
                *sample = blend(*sample, color, *weight);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::testing::Picture;
    use super::super::yuv::YuvCoding;
    use super::*;

    const COLORS: [Color; 2] = [Color([9, 9, 9]), Color([200, 100, 0])];
    /// A region of 3 x 3 pixels, with a middle that touches no other class.
    const SIZE: (usize, usize) = (5, 5);
    const MASK: [u8; 25] = [
        0, 0, 0, 0, 0, //
        0, 1, 1, 1, 0, //
        0, 1, 1, 1, 0, //
        0, 1, 1, 1, 0, //
        0, 0, 0, 0, 0, //
    ];
    const PACKED: [(Format, [usize; 3], Option<usize>); 6] = [
        (Format::Rgb, [0, 1, 2], None),
        (Format::Bgr, [2, 1, 0], None),
        (Format::Rgba, [0, 1, 2], Some(3)),
        (Format::Bgra, [2, 1, 0], Some(3)),
        (Format::Rgbx, [0, 1, 2], Some(3)),
        (Format::Bgrx, [2, 1, 0], Some(3)),
    ];

    fn filled(opacity: f32) -> Style {
        Style {
            opacity,
            ..Style::default()
        }
    }

    /// The samples of a pixel, in the order of the bytes.
    fn pixel(picture: &mut Picture, x: usize, y: usize) -> Vec<u8> {
        let bytes = picture.format.plane_shape(0, 1, 1).0;
        picture.bytes(0, y)[bytes * x..][..bytes].to_vec()
    }

    fn expected(rgb: [u8; 3], offsets: [usize; 3], rest: Option<(usize, u8)>) -> Vec<u8> {
        let mut bytes = vec![0; if rest.is_some() { 4 } else { 3 }];
        for (offset, sample) in offsets.into_iter().zip(rgb) {
            bytes[offset] = sample;
        }
        if let Some((offset, sample)) = rest {
            bytes[offset] = sample;
        }
        bytes
    }

    #[test]
    fn grey_becomes_colour() {
        let gray16 = |format| Picture::gray(format, SIZE, YuvCoding::BT601, |_, _| 1400);
        let gray8 = Picture::gray(Format::Gray8, SIZE, YuvCoding::BT601, |_, _| 40);
        for (source, levels) in [
            (gray8, Levels::IDENTITY),
            (gray16(Format::Gray16Le), Levels::new(1000, 3550)),
            (gray16(Format::Gray16Be), Levels::new(1000, 3550)),
        ] {
            for (format, offsets, rest) in PACKED {
                let mut target = Picture::new(format, SIZE, YuvCoding::BT601);
                let rest = rest.map(|offset| (offset, 255));
                let frame = source.frame();
                draw(
                    Some(&frame),
                    &mut target.frame_mut(),
                    &MASK,
                    &COLORS,
                    filled(0.5),
                    levels,
                )
                .unwrap();
                for (place, rgb) in [
                    ((0, 0), [40, 40, 40]),
                    ((1, 1), [200, 100, 0]),
                    ((2, 2), [120, 70, 20]),
                ] {
                    let got = pixel(&mut target, place.0, place.1);
                    assert_eq!(got, expected(rgb, offsets, rest), "{format:?} {place:?}");
                }
                // Padding is not touched.
                let row = SIZE.0 * format.plane_shape(0, 1, 1).0;
                assert_eq!(target.bytes(0, 0)[row..row + 3], [0xa5; 3]);
            }
        }
    }

    #[test]
    fn colour_is_drawn_over_in_place() {
        for (format, offsets, rest) in PACKED {
            let mut target = Picture::color(format, SIZE, YuvCoding::BT601, |_, _| [10, 20, 30]);
            let rest = rest.map(|offset| (offset, 0xa5));
            draw(
                None,
                &mut target.frame_mut(),
                &MASK,
                &COLORS,
                filled(0.0),
                Levels::IDENTITY,
            )
            .unwrap();
            for (place, rgb) in [
                ((0, 0), [10, 20, 30]),
                ((1, 1), [200, 100, 0]),
                ((2, 2), [10, 20, 30]),
            ] {
                let got = pixel(&mut target, place.0, place.1);
                assert_eq!(got, expected(rgb, offsets, rest), "{format:?} {place:?}");
            }
        }
    }

    #[test]
    fn classes_beyond_the_colours_have_their_default() {
        let mut target = Picture::color(Format::Rgb, (1, 1), YuvCoding::BT601, |_, _| [0; 3]);
        draw(
            None,
            &mut target.frame_mut(),
            &[5],
            &COLORS,
            filled(1.0),
            Levels::IDENTITY,
        )
        .unwrap();
        assert_eq!(pixel(&mut target, 0, 0), default_color(5).0);
    }

    #[test]
    fn blending_reaches_both_ends() {
        for (sample, color) in [(0, 255), (255, 0), (255, 255), (3, 7)] {
            assert_eq!(blend(sample, color, 0), sample);
            assert_eq!(blend(sample, color, OPAQUE), color);
        }
        assert_eq!(blend(0, 255, 128), 128);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let source = Picture::gray(Format::Gray8, SIZE, YuvCoding::BT601, |_, _| 1);
        let small = Picture::gray(Format::Gray8, (4, 5), YuvCoding::BT601, |_, _| 1);
        let refused = |source: Option<&Picture>, format, mask: &[u8]| {
            let mut target = Picture::new(format, SIZE, YuvCoding::BT601);
            let frame = source.map(|source| source.frame());
            let target = &mut target.frame_mut();
            draw(
                frame.as_ref(),
                target,
                mask,
                &COLORS,
                filled(0.5),
                Levels::IDENTITY,
            )
            .is_err()
        };
        assert!(!refused(Some(&source), Format::Rgb, &MASK));
        assert!(refused(Some(&small), Format::Rgb, &MASK));
        assert!(refused(Some(&source), Format::I420, &MASK));
        assert!(refused(None, Format::Gray8, &MASK));
        assert!(refused(None, Format::Rgb, &MASK[1..]));
    }
}
