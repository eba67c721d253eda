//! Parsing and quoting of command-line arguments.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::str::FromStr;

/// Parses a number that must be in `range`.
pub(super) fn number<T, R>(range: R) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Debug,
    R: RangeBounds<T> + Clone,
{
    move |text| {
        let number: T = text.parse().map_err(|_| {
            let is_number = text.parse::<f64>().is_ok();
            let kind = if is_number { "whole number" } else { "number" };
            format!("it must be a {kind}, {}", in_words::<T, R>(&range))
        })?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(format!("it must be {}", in_words::<T, R>(&range)))
        }
    }
}

/// A range as it is said: "1 or more", "0.0 to 1.0".
fn in_words<T: Debug, R: RangeBounds<T>>(range: &R) -> String {
    let least = match range.start_bound() {
        Bound::Included(least) | Bound::Excluded(least) => format!("{least:?}"),
        Bound::Unbounded => return "any number".to_owned(),
    };
    match range.end_bound() {
        Bound::Included(most) => format!("{least} to {most:?}"),
        Bound::Excluded(end) => format!("{least} or more, and less than {end:?}"),
        Bound::Unbounded => format!("{least} or more"),
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
    }

    #[test]
    fn ranges_are_said_in_words() {
        let whole = number(1_usize..);
        assert_eq!(whole("0").unwrap_err(), "it must be 1 or more");
        let expected = "it must be a whole number, 1 or more";
        assert_eq!(whole("1.5").unwrap_err(), expected);
        let scale = number(0.5..=2.0);
        assert_eq!(scale("3").unwrap_err(), "it must be 0.5 to 2.0");
        assert_eq!(scale("x").unwrap_err(), "it must be a number, 0.5 to 2.0");
        let expected = "it must be 0.0 or more, and less than 1.0";
        assert_eq!(number(0.0..1.0)("1").unwrap_err(), expected);
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
