//! Parsing and quoting of command-line arguments.

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::path::Path;
use std::str::FromStr;

/// Parses a number that must be in `range`.
pub(super) fn number<T, R>(range: R) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd,
    R: RangeBounds<T> + Debug + Clone,
{
    move |text| {
        let number = text
            .parse()
            .map_err(|_| format!("it must be a number in {range:?}"))?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(format!("it must be in {range:?}"))
        }
    }
}

/// The command line as it could be typed again, without the path of the program.
pub fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default();
    std::iter::once(program.to_string_lossy().into_owned())
        .chain(arguments.map(|argument| quoted(&argument)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// An argument as it is typed in a shell: in quotes if it holds a space or another character that shells interpret.
pub fn quoted(argument: &str) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./=,:".contains(c);
    if !argument.is_empty() && argument.chars().all(known) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let share = number(0.0..1.0);
        assert_eq!(share("0.25"), Ok(0.25));
        for wrong in ["1", "-0.1", "NaN", "half"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(number(1_usize..)("0").unwrap_err(), "it must be in 1..");
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        let typed = |arguments: &[&str]| {
            let program = "/usr/bin/unet-train".to_owned();
            let arguments = arguments.iter().map(|argument| (*argument).to_owned());
            command_line(std::iter::once(program).chain(arguments))
        };
        assert_eq!(
            typed(&["train", "--data", "Ann's cells, CC0"]),
            r"unet-train train --data 'Ann'\''s cells, CC0'"
        );
        assert_eq!(
            typed(&["train", "--data", "", "--name", "a"]),
            "unet-train train --data '' --name a"
        );
        assert_eq!(quoted("m ü.run/config.toml"), "'m ü.run/config.toml'");
    }
}
