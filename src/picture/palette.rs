//! Colours of classes.

use serde::{Deserialize, Serialize};

/// A colour, `#rrggbb` in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color(pub [u8; 3]);

impl TryFrom<String> for Color {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("\"{text}\" is not a colour of the form #rrggbb");
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(wrong)?;
        let [_, r, g, b] = u32::from_str_radix(digits, 16)
            .map_err(|_| wrong())?
            .to_be_bytes();
        Ok(Color([r, g, b]))
    }
}

impl From<Color> for String {
    fn from(Color([r, g, b]): Color) -> String {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// Colours for classes that name none, background first: the palette of Okabe and Ito (2008), which
/// people with the common kinds of colour blindness can tell apart.
pub const DEFAULT_COLORS: [Color; 8] = [
    Color([0x00, 0x00, 0x00]),
    Color([0xe6, 0x9f, 0x00]),
    Color([0x56, 0xb4, 0xe9]),
    Color([0x00, 0x9e, 0x73]),
    Color([0xf0, 0xe4, 0x42]),
    Color([0x00, 0x72, 0xb2]),
    Color([0xd5, 0x5e, 0x00]),
    Color([0xcc, 0x79, 0xa7]),
];

/// The default colour of class `index`; the palette repeats after its last colour, without the
/// background's.
pub fn default_color(index: usize) -> Color {
    let foreground = DEFAULT_COLORS.len() - 1;
    match index {
        0 => DEFAULT_COLORS[0],
        _ => DEFAULT_COLORS[1 + (index - 1) % foreground],
    }
}

/// The first map value that is an ink: text, bars and the like, drawn as they are.
pub const FIRST_INK: u8 = 248;

/// The ink of rims, black.
pub const INK_BLACK: u8 = 254;

/// The ink of letters, white.
pub const INK_WHITE: u8 = 255;

/// The colour of an ink, [`FIRST_INK`] to 255: white, black, grey below them, and for the rest the
/// first default colours of classes. Values that are no inks have the colour of the first ink.
pub fn ink_color(value: u8) -> Color {
    match value {
        INK_WHITE => Color([255; 3]),
        INK_BLACK => Color([0; 3]),
        253 => Color([128; 3]),
        _ => default_color(1 + usize::from(value.saturating_sub(FIRST_INK))),
    }
}

/// Instance colours repeat after so many numbers.
const HUES: usize = DEFAULT_COLORS.len() - 1;

/// Values of [`instance_value`]: as many as are no inks, in whole rounds of the colours.
const INSTANCE_VALUES: usize = (FIRST_INK as usize - 1) / HUES * HUES;

/// The colours of the values that [`instance_value`] gives, background first, for
/// [`draw`](super::draw): those of [`DEFAULT_COLORS`], in an order in which consecutive numbers, and
/// the next but one, look as different as these colours can to people with any kind of colour
/// blindness.
pub const INSTANCE_COLORS: [Color; 1 + INSTANCE_VALUES] = {
    const ORDER: [usize; HUES] = [1, 2, 5, 7, 4, 3, 6];
    let mut colors = [DEFAULT_COLORS[0]; 1 + INSTANCE_VALUES];
    let mut value = 1;
    while value < colors.len() {
        colors[value] = DEFAULT_COLORS[ORDER[(value - 1) % HUES]];
        value += 1;
    }
    colors
};

/// The map value of object `number`: 1 to 245, again and again; 0, the background, for 0. There are
/// more values than colours, so that objects of the same colour that touch keep the outline between
/// them.
pub fn instance_value(number: u32) -> u8 {
    match number.checked_sub(1) {
        None => 0,
        Some(index) => 1 + (index % INSTANCE_VALUES as u32) as u8,
    }
}

/// The colour of object `number`, and the background's for 0.
pub fn instance_color(number: u32) -> Color {
    INSTANCE_COLORS[usize::from(instance_value(number))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_and_refused() {
        assert_eq!(
            Color::try_from("#e69f00".to_owned()),
            Ok(Color([0xe6, 0x9f, 0]))
        );
        for wrong in ["e69f00", "#e69f0", "#+69f00", "#é9f00", "#gg0000"] {
            assert!(Color::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
