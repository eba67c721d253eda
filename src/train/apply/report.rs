//! Scores as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;

use crate::train::metrics::{Measure, Tally};

/// Names of the scores in the order of the table.
fn columns(measure: Measure) -> &'static [&'static str] {
    match measure {
        Measure::Cells => &[
            "SEG",
            "F1@0.5",
            "AP@0.5",
            "AP@0.75",
            "AP@0.9",
            "IoU",
            "Dice",
            "pixel error",
        ],
        Measure::Membranes => &["V_rand", "V_info", "pixel error", "warping error"],
    }
}

/// The scores of a model on a set of images.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model's file, lossily where its path is not UTF-8.
    pub model: String,
    /// How the data were interpreted.
    pub data: String,
    /// The kind of the scores.
    pub kind: Measure,
    /// Probability above which a pixel is foreground; `None` for models of more than two classes, of which the
    /// most likely counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Pixels of the smallest object that counts.
    pub min_area: usize,
    /// Probability above which a pixel belongs to an object's core, where objects grow from cores.
    pub core_threshold: Option<f32>,
    /// Cells entirely within this many pixels of the edge don't count.
    pub border: usize,
    /// Number of versions of each image that were averaged.
    pub versions: usize,
    /// All images together: cells are pooled, scores of membranes are means.
    pub total: Row,
    /// The best of each score over several thresholds, if any were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Row>,
    /// Each image by itself.
    pub per_image: Vec<Row>,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the image, or `total`.
    pub name: String,
    /// True and found cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<[u64; 2]>,
    /// True cells that are merged with others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<u64>,
    /// The scores by name.
    pub scores: BTreeMap<String, f64>,
}

impl Row {
    /// A line of the given name.
    pub fn new(name: &str, tally: &Tally) -> Self {
        Row {
            name: name.into(),
            cells: tally.cells(),
            merged: tally.merged(),
            scores: tally.scores().named(),
        }
    }

    /// The best of each score over several thresholds, as in challenges that judge how good a network could be;
    /// `None` without any.
    pub fn best(levels: &[(f32, Tally)]) -> Option<Self> {
        let mut best: BTreeMap<String, f64> = BTreeMap::new();
        for (_, tally) in levels {
            for (name, score) in tally.scores().named() {
                let better = if name.ends_with("error") {
                    f64::min
                } else {
                    f64::max
                };
                best.entry(name)
                    .and_modify(|best| *best = better(*best, score))
                    .or_insert(score);
            }
        }
        (!levels.is_empty()).then(|| Row {
            name: format!("best of {}", levels.len()),
            cells: None,
            merged: None,
            scores: best,
        })
    }
}

impl Report {
    /// The table: a line for each image if asked for, then the total and how it was computed.
    pub fn table(&self, per_image: bool) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = self.write(per_image, &mut text);
        text
    }

    fn write(&self, per_image: bool, text: &mut String) -> fmt::Result {
        let rows: &[Row] = if per_image { &self.per_image } else { &[] };
        let all = || rows.iter().chain([&self.total]).chain(&self.best);
        let names = all().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0);
        write!(text, "{:width$}", "")?;
        if self.kind == Measure::Cells {
            write!(text, "{:>8}{:>8}{:>8}", "cells", "found", "merged")?;
        }
        for column in columns(self.kind) {
            write!(text, "{column:>w$}", w = column_width(column))?;
        }
        for row in all() {
            write!(text, "\n{:width$}", row.name)?;
            let counts: Vec<u64> = row.cells.into_iter().flatten().chain(row.merged).collect();
            for count in &counts {
                write!(text, "{count:>8}")?;
            }
            if counts.is_empty() && self.kind == Measure::Cells {
                write!(text, "{:>24}", "")?;
            }
            for column in columns(self.kind) {
                let w = column_width(column);
                match row.scores.get(*column) {
                    Some(score) => write!(text, "{score:>w$.4}")?,
                    None => write!(text, "{:>w$}", "-")?,
                }
            }
        }
        writeln!(text, "\n{self}")
    }
}

/// Two spaces and four digits, or the heading.
fn column_width(column: &str) -> usize {
    2 + column.len().max(6)
}

/// How the scores were computed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            min_area,
            border,
            versions,
            ..
        } = self;
        let threshold = self.threshold.map(|level| format!("threshold {level}"));
        let cores = self.core_threshold;
        let parts = [
            threshold,
            (*min_area > 1).then(|| format!("objects of at least {min_area} pixels")),
            cores.map(|core| format!("with cores above {core}")),
            (*border > 0).then(|| format!("none within {border} pixels of the edge")),
            (*versions > 1).then(|| format!("mean over {versions} versions of each")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        write!(f, "{}", self.data)?;
        if !parts.is_empty() {
            write!(f, "\n{}", parts.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_shows_what_is_missing() {
        let row = |name: &str, v_rand: Option<f64>| Row {
            name: name.into(),
            cells: None,
            merged: None,
            scores: v_rand
                .map(|v_rand| ("V_rand".to_owned(), v_rand))
                .into_iter()
                .chain([("pixel error".to_owned(), 0.0625)])
                .collect(),
        };
        let report = Report {
            model: "m.onnx".into(),
            data: "1 images".into(),
            kind: Measure::Membranes,
            threshold: Some(0.5),
            min_area: 0,
            core_threshold: None,
            border: 0,
            versions: 8,
            total: row("total", Some(0.25)),
            best: None,
            per_image: vec![row("slice-1", None)],
        };
        let expected = "         V_rand  V_info  pixel error  warping error\n\
                        slice-1       -       -       0.0625              -\n\
                        total    0.2500       -       0.0625              -\n\
                        1 images\n\
                        threshold 0.5, mean over 8 versions of each\n";
        assert_eq!(report.table(true), expected);
        assert_eq!(report.table(false).lines().count(), 4);
        let classes = Report {
            threshold: None,
            min_area: 16,
            border: 3,
            versions: 1,
            ..report
        };
        let expected = "1 images\nobjects of at least 16 pixels, none within 3 pixels of the edge";
        assert_eq!(classes.to_string(), expected);
    }
}
