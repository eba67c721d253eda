//! The project's measures agree with an independent program's on the same masks; `scores/make.py` makes
//! the masks and says how the numbers in `scores/expected.json` came about. Dice and the pixel error of cells, which
//! that program does not tell, were counted with NumPy. The warping error is not compared: unit tests beside it count
//! it by hand.
#![cfg(feature = "train")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gstunetsegment::train::dataset::{Annotated, MaskKind, Source, annotations};
use gstunetsegment::train::metrics::cells::drop_border;
use gstunetsegment::train::metrics::{Measure, Tally};
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

/// The true and the found objects of each mask.
fn objects(kind: &str, meaning: MaskKind) -> Vec<[Plane<u32>; 2]> {
    let [truth, found] = ["truth", "found"].map(|name| folder(kind).join(name));
    let read = |masks, others| {
        let source = Source {
            kind: Some(meaning),
            ..Source::new(others, masks)
        };
        let masks = annotations(&source).unwrap().samples.into_iter();
        masks.map(|Annotated { truth, .. }| truth.objects())
    };
    let truths = read(&truth, &found);
    assert_eq!(truths.len(), 4);
    let pairs = truths.zip(read(&found, &truth));
    pairs.map(|(truth, found)| [truth, found]).collect()
}

fn agree(ours: f64, theirs: f64, name: &str) {
    // Theirs are printed with four digits.
    assert!((ours - theirs).abs() < 1e-4, "{name}: {ours}, not {theirs}");
}

#[test]
fn cells_are_scored_as_elsewhere() {
    for (what, border) in [("cells", 0), ("cells, border 6", 6)] {
        let mut tally = Tally::new(Measure::Cells);
        for [mut truth, mut found] in objects("cells", MaskKind::Instances) {
            drop_border(&mut truth, border);
            drop_border(&mut found, border);
            tally.add(&truth, &found, 0);
        }
        let expected = expected(what);
        let ours = tally.scores().named();
        // All of them.
        for (name, ours) in &ours {
            agree(*ours, expected[name], &format!("{what}: {name}"));
        }
        assert_eq!(tally.cells().unwrap()[0] as f64, expected["objects"]);
    }
}

#[test]
fn membranes_are_scored_as_elsewhere() {
    let mut tally = Tally::new(Measure::Membranes);
    for [truth, found] in objects("membranes", MaskKind::Membranes) {
        tally.add(&truth, &found, 0);
    }
    let expected = expected("membranes");
    let ours = tally.scores().named();
    agree(ours["V_rand"], expected["V_rand"], "V_rand");
    agree(ours["V_info"], expected["V_info"], "V_info");
    agree(ours["pixel error"], expected["pixel_error"], "pixel error");
}
