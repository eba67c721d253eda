//! The project's measures agree with an independent program's on the same masks; `scores/make.py` makes
//! the masks and says how the numbers in `scores/expected.json` came about.
#![cfg(feature = "train")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gstunetsegment::train::apply::files::{labels, pairs};
use gstunetsegment::train::components::cells;
use gstunetsegment::train::metrics::cells::drop_border;
use gstunetsegment::train::metrics::{Tally, membranes};
use gstunetsegment::train::plane::Plane;

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/scores").join(name)
}

/// The independent program's numbers.
fn expected(what: &str) -> BTreeMap<String, f64> {
    let json = fs::read(folder("expected.json")).unwrap();
    let mut all: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_slice(&json).unwrap();
    all.remove(what).unwrap()
}

/// True and found masks.
fn masks(kind: &str) -> Vec<(Plane<u32>, Plane<u32>)> {
    let pairs = pairs(&folder(kind).join("found"), &folder(kind).join("truth")).unwrap();
    assert_eq!(pairs.len(), 4);
    pairs
        .iter()
        .map(|(found, truth)| (labels(truth).unwrap(), labels(found).unwrap()))
        .collect()
}

fn agree(ours: f64, theirs: f64, name: &str) {
    // Theirs are printed with four digits.
    assert!((ours - theirs).abs() < 1e-4, "{name}: {ours}, not {theirs}");
}

#[test]
fn cells_are_scored_as_elsewhere() {
    for (what, border) in [("cells", 0), ("cells, border 6", 6)] {
        let mut tally = Tally::default();
        for (truth, found) in masks("cells") {
            let (mut truth, mut found) = (cells(truth), cells(found));
            drop_border(&mut truth, border);
            drop_border(&mut found, border);
            tally.add(&truth, &found);
        }
        let expected = expected(what);
        let ours = tally.scores().named();
        for name in ["SEG", "IoU", "AP@0.5", "AP@0.75", "AP@0.9", "F1@0.5"] {
            agree(ours[name], expected[name], &format!("{what}: {name}"));
        }
        assert_eq!(tally.cells()[0] as f64, expected["objects"]);
    }
}

#[test]
fn membranes_are_scored_as_elsewhere() {
    let mut tally = membranes::Tally::default();
    for (truth, found) in masks("membranes") {
        let inside = |mask: Plane<u32>| mask.map(|value| value > 127);
        tally.add(&membranes::Scores::of(&inside(truth), &inside(found)));
    }
    let expected = expected("membranes");
    let scores = tally.scores();
    let separation = scores.separation.unwrap();
    agree(separation.v_rand, expected["V_rand"], "V_rand");
    agree(separation.v_info, expected["V_info"], "V_info");
    agree(scores.pixel_error, expected["pixel_error"], "pixel error");
}
