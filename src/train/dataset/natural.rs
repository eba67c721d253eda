//! Natural order of names: `t9` before `t10`.

use std::cmp::Ordering;

/// Compares two names, with each run of digits in them as one number. Names that differ only in leading zeros are not
/// equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let (first, second) = (take(&mut left), take(&mut right));
        let order = match (number(first), number(second)) {
            // Without leading zeros the longer one is the larger.
            (Some(first), Some(second)) => first.len().cmp(&second.len()).then(first.cmp(second)),
            _ => first.cmp(second),
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then(a.cmp(b))
}

/// Splits off the digits, or everything up to the next digit, at the start of `text`, which is not empty.
fn take<'a>(text: &mut &'a str) -> &'a str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    let (run, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    run
}

/// The digits without leading zeros, if these are digits.
fn number(run: &str) -> Option<&str> {
    run.starts_with(|c: char| c.is_ascii_digit())
        .then(|| run.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let ordered = [
            "",
            "0",
            "1",
            "01",
            "2",
            "10",
            "a",
            "a1b9",
            "a1b10",
            "a02",
            "a2",
            "a10",
            "b",
            "t99999999999999999999",
            "t100000000000000000000",
            "é1",
        ];
        for (at, a) in ordered.iter().enumerate() {
            for (other, b) in ordered.iter().enumerate() {
                // Leading zeros come first where nothing else differs.
                let same_number = |a: &str, b: &str| (a, b) == ("1", "01") || (a, b) == ("01", "1");
                if !same_number(a, b) {
                    assert_eq!(compare(a, b), at.cmp(&other), "{a} {b}");
                }
            }
        }
        assert_eq!(compare("1", "01"), compare("01", "1").reverse());
        assert_ne!(compare("1", "01"), Ordering::Equal);
    }
}
