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
