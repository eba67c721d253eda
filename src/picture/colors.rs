//! Colours of classes and objects, and the inks for text and scale bars.

use serde::{Deserialize, Serialize};

/// A colour, written as `#rrggbb`.
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

/// Colours for classes without one, background first: the palette of Okabe and Ito (2008), which people
/// with the common kinds of colour blindness can distinguish.
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

/// The first map value that is an ink: text, scale bars and the like, drawn opaque.
pub const FIRST_INK: u8 = 248;

/// The ink of rims, black.
pub const INK_BLACK: u8 = 254;

/// The ink of letters, white.
pub const INK_WHITE: u8 = 255;

/// The colour of an ink, [`FIRST_INK`] to 255: from the top white, black and grey, the rest the first
/// default colours of classes. Values that are not inks have the colour of the first ink.
pub fn ink_color(value: u8) -> Color {
    match value {
        INK_WHITE => Color([255; 3]),
        INK_BLACK => Color([0; 3]),
        253 => Color([128; 3]),
        _ => default_color(1 + usize::from(value.saturating_sub(FIRST_INK))),
    }
}

/// Instance colours repeat after this many numbers.
const HUES: usize = DEFAULT_COLORS.len() - 1;

/// Number of values of [`instance_value`]: all that are not inks, in whole rounds of the colours.
const INSTANCE_VALUES: usize = (FIRST_INK as usize - 1) / HUES * HUES;

/// The colours of the values of [`instance_value`], background first, for [`draw`](super::draw): those of
/// [`DEFAULT_COLORS`], in an order in which each number looks as different from the next two as these
/// colours allow, for people with any kind of colour blindness.
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

/// The map value of object `number`: 1 to 245, repeating; 0, the background, for 0. There are more values
/// than colours, so that touching objects of the same colour keep the outline between them.
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

    #[test]
    fn inks_have_their_colours() {
        assert_eq!(ink_color(INK_WHITE), Color([255; 3]));
        assert_eq!(ink_color(INK_BLACK), Color([0; 3]));
        for ink in FIRST_INK..253 {
            assert!(DEFAULT_COLORS[1..].contains(&ink_color(ink)));
        }
    }

    #[test]
    fn instances_have_values_that_are_no_inks() {
        assert_eq!([0, 1, 2, 245, 246].map(instance_value), [0, 1, 2, 245, 1]);
        assert!((1..FIRST_INK).contains(&instance_value(u32::MAX)));
        assert_eq!(instance_color(0), DEFAULT_COLORS[0]);
        for number in 1..1000 {
            let colors = [1, 2].map(|more| instance_color(number + more));
            assert!(!colors.contains(&instance_color(number)), "{number}");
        }
    }

    /// A colour in CIE 1976 L*a*b*, as seen with complete protanopia, deuteranopia or tritanopia: the matrices
    /// of Machado, Oliveira and Fernandes (2009) for severity 1.
    fn seen(Color(color): Color, sight: [[f64; 3]; 3]) -> [f64; 3] {
        let times = |matrix: [[f64; 3]; 3], v: [f64; 3]| {
            matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
        };
        let linear = color.map(|sample| match f64::from(sample) / 255.0 {
            low @ ..=0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        });
        let xyz = [
            [0.4124, 0.3576, 0.1805],
            [0.2126, 0.7152, 0.0722],
            [0.0193, 0.1192, 0.9505],
        ];
        let [x, y, z] = times(
            xyz,
            times(sight, linear).map(|sample| sample.clamp(0.0, 1.0)),
        );
        let [x, y, z] = [x / 0.9505, y, z / 1.089].map(|t| match t {
            0.008856.. => t.cbrt(),
            _ => 7.787 * t + 16.0 / 116.0,
        });
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// Any two colours differ by 16 just noticeable differences, those of numbers up to two apart by 17.
    #[test]
    fn colour_blind_people_can_distinguish_instances() {
        let sights = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        ];
        for sight in sights {
            let seen = |number| seen(instance_color(number), sight);
            for (a, b) in (1..=7).flat_map(|a| (a + 1..a + 7).map(move |b| (a, b))) {
                let squares = seen(a)
                    .into_iter()
                    .zip(seen(b))
                    .map(|(a, b)| (a - b).powi(2));
                let distance = squares.sum::<f64>().sqrt();
                let least = if b - a <= 2 { 17.0 } else { 16.0 };
                assert!(distance > least, "{a} {b} {distance} {sight:?}");
            }
        }
    }
}
