//! An image as a backend of plotters, with text that needs no system font.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_7X13;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::{Pixel, geometry};
use image::{Rgb, RgbImage};
use plotters_backend::{
    BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind, text_anchor,
};

/// The image.
pub struct PlotCanvas<'a>(pub &'a mut RgbImage);

type Result<T> = std::result::Result<T, DrawingErrorKind<Infallible>>;

/// Width and height of a text.
fn size(text: &str) -> (u32, u32) {
    let letter = FONT_7X13.character_size;
    (letter.width * text.chars().count() as u32, letter.height)
}

impl PlotCanvas<'_> {
    fn blend(&mut self, (column, row): BackendCoord, color: BackendColor) {
        let (Ok(column), Ok(row)) = (u32::try_from(column), u32::try_from(row)) else {
            return;
        };
        let Some(Rgb(pixel)) = self.0.get_pixel_mut_checked(column, row) else {
            return;
        };
        let rgb: [u8; 3] = color.rgb.into();
        for (below, above) in pixel.iter_mut().zip(rgb) {
            let mixed = f64::from(*below) * (1.0 - color.alpha) + f64::from(above) * color.alpha;
            *below = mixed.round() as u8;
        }
    }
}

impl DrawingBackend for PlotCanvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    fn ensure_prepared(&mut self) -> Result<()> {
        Ok(())
    }

    fn present(&mut self) -> Result<()> {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Result<()> {
        self.blend(point, color);
        Ok(())
    }

    /// Draws upright text of one size, whatever `style` asks for.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (column, row): BackendCoord,
    ) -> Result<()> {
        let (width, height) = size(text);
        let (width, height) = (width as i32, height as i32);
        let left = match style.anchor().h_pos {
            text_anchor::HPos::Left => column,
            text_anchor::HPos::Center => column - width / 2,
            text_anchor::HPos::Right => column - width,
        };
        let top = match style.anchor().v_pos {
            text_anchor::VPos::Top => row,
            text_anchor::VPos::Center => row - height / 2,
            text_anchor::VPos::Bottom => row - height,
        };
        let letters = MonoTextStyle::new(&FONT_7X13, BinaryColor::On);
        let text = Text::with_baseline(text, Point::new(left, top), letters, Baseline::Top);
        let mut pen = TextPen(self, style.color());
        match text.draw(&mut pen) {
            Ok(_) => Ok(()),
            Err(never) => match never {},
        }
    }

    fn estimate_text_size<S: BackendTextStyle>(&self, text: &str, _: &S) -> Result<(u32, u32)> {
        Ok(size(text))
    }
}

/// Draws text in one colour.
struct TextPen<'a, 'b>(&'a mut PlotCanvas<'b>, BackendColor);

impl OriginDimensions for TextPen<'_, '_> {
    fn size(&self) -> geometry::Size {
        let (width, height) = self.0.get_size();
        Size::new(width, height)
    }
}

impl DrawTarget for TextPen<'_, '_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> std::result::Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            if color.is_on() {
                self.0.blend((point.x, point.y), self.1);
            }
        }
        Ok(())
    }
}
