//! The user's own colours, in place of those of the model or of [`INSTANCE_COLORS`].

use std::fmt;
use std::str::FromStr;

use super::colors::{Color, FIRST_INK, INSTANCE_COLORS, instance_value};

/// Most colours: the number of map values between the background and the inks.
const MAX_COLORS: usize = FIRST_INK as usize - 1;

/// Colours that classes and objects take in turn, written as `#rrggbb,#rrggbb,...`. The default is empty: classes and
/// objects have their own colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The first `count` of them.
    colors: [Color; MAX_COLORS],
    count: usize,
}

impl Default for Palette {
    fn default() -> Self {
        Palette {
            colors: [Color([0; 3]); MAX_COLORS],
            count: 0,
        }
    }
}

impl Palette {
    fn colors(&self) -> &[Color] {
        &self.colors[..self.count]
    }

    /// The colour of a class; `None` for the background and for classes beyond the last colour, which keep their own.
    pub fn of_class(&self, class: u8) -> Option<Color> {
        let index = usize::from(class).checked_sub(1)?;
        self.colors().get(index).copied()
    }

    /// The colour of a map value of [`instance_value`](Self::instance_value); `None` for the background.
    pub fn of_instance(&self, value: u8) -> Option<Color> {
        let index = usize::from(value).checked_sub(1)?;
        match self.count {
            0 => INSTANCE_COLORS.get(usize::from(value)).copied(),
            count => self.colors().get(index % count).copied(),
        }
    }

    /// The map value of object `number`, like [`instance_value`] for the built-in colours: repeating all values that
    /// are not inks, in whole rounds of the colours; 0, the background, for 0.
    pub fn instance_value(&self, number: u32) -> u8 {
        if self.count == 0 {
            return instance_value(number);
        }
        let values = (MAX_COLORS / self.count * self.count) as u32;
        match number.checked_sub(1) {
            None => 0,
            // Called for each pixel, where a division takes as long as all the rest; few numbers need one.
            Some(index) if index < values => 1 + index as u8,
            Some(index) => 1 + (index % values) as u8,
        }
    }
}

impl FromStr for Palette {
    type Err = String;

    /// Comma-separated colours; an empty text is an empty palette.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut palette = Palette::default();
        if text.trim().is_empty() {
            return Ok(palette);
        }
        for color in text.split(',') {
            let color = Color::try_from(color.trim().to_owned()).map_err(|error| {
                format!("{error}; a palette is a comma-separated list of colours, such as #e69f00,#56b4e9, or empty")
            })?;
            let Some(place) = palette.colors.get_mut(palette.count) else {
                return Err(format!("a palette has at most {MAX_COLORS} colours"));
            };
            *place = color;
            palette.count += 1;
        }
        Ok(palette)
    }
}

impl fmt::Display for Palette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colors: Vec<String> = self.colors().iter().map(|color| (*color).into()).collect();
        f.write_str(&colors.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::super::colors::instance_color;
    use super::*;

    const RED: Color = Color([255, 0, 0]);
    const BLUE: Color = Color([0, 0, 255]);

    #[test]
    fn colours_are_read_as_they_are_written() {
        for text in ["", "#ff0000", "#ff0000,#0000ff,#ff0000"] {
            assert_eq!(text.parse::<Palette>().unwrap().to_string(), text);
        }
        let spaced: Palette = " #FF0000 , #0000fF ".parse().unwrap();
        assert_eq!(spaced.to_string(), "#ff0000,#0000ff");
        assert_eq!(" ".parse(), Ok(Palette::default()));
        for (wrong, named) in [
            ("red", "\"red\""),
            ("#ff0000;#00ff00", "\"#ff0000;#00ff00\""),
            ("#ff0000,", "\"\""),
            ("#ff0000,#0f0", "\"#0f0\""),
        ] {
            let error = wrong.parse::<Palette>().unwrap_err();
            assert!(error.starts_with(named), "{error}");
            assert!(error.contains("such as #e69f00,#56b4e9"), "{error}");
        }
        let many = |count| vec!["#123456"; count].join(",").parse::<Palette>();
        assert!(many(MAX_COLORS).is_ok());
        assert!(many(MAX_COLORS + 1).unwrap_err().contains("247"));
    }

    #[test]
    fn classes_take_them_in_turn_as_far_as_they_go() {
        let palette: Palette = "#ff0000,#0000ff".parse().unwrap();
        let colors = [0, 1, 2, 3, 255].map(|class| palette.of_class(class));
        assert_eq!(colors, [None, Some(RED), Some(BLUE), None, None]);
        assert_eq!(Palette::default().of_class(1), None);
    }

    #[test]
    fn objects_take_them_again_and_again() {
        let some = "#ff0000,#0000ff,#00ff00".parse().unwrap();
        let most = vec!["#ff0000"; MAX_COLORS].join(",").parse().unwrap();
        for palette in [some, most, Palette::default()] {
            assert_eq!(
                (palette.instance_value(0), palette.of_instance(0)),
                (0, None)
            );
            for number in (1..1000).chain([u32::MAX]) {
                let value = palette.instance_value(number);
                assert!((1..FIRST_INK).contains(&value));
                let expected = match palette.count {
                    0 => instance_color(number),
                    count => palette.colors[(number - 1) as usize % count],
                };
                assert_eq!(palette.of_instance(value), Some(expected), "{number}");
            }
        }
        // There are more values than colours, so that objects of the same colour that touch keep their outline.
        assert_ne!(some.instance_value(1), some.instance_value(4));
    }
}
