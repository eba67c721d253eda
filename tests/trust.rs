//! How far a mask can be trusted: what the network is unsure of, and whether tiles have left a trace.

mod common;

use common::{
    BRIGHTNESS, Files, SMALL, append, brightness, cells, element, foreign, gray8, harness, pixels,
};
use gst::prelude::*;
use gstreamer as gst;

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// What the element lets out for a frame, and the fields of the first message of this name.
fn seen(
    model: &std::path::Path,
    properties: &[(&str, &str)],
    name: &str,
) -> (Vec<u8>, Option<gst::Structure>) {
    let element = element(model, properties);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let frame = || gray8(&cells(WIDTH, HEIGHT, 3), WIDTH, HEIGHT);
    let out = harness.push_and_pull(frame()).unwrap();
    let bytes = pixels(&harness, &out).0;
    // The second frame has nothing to tell of seams.
    harness.push_and_pull(frame()).unwrap();
    let messages = std::iter::from_fn(|| bus.pop());
    let fields = messages.filter_map(|message| Some(message.structure()?.to_owned()));
    let mut named = fields.filter(|fields| fields.name() == name);
    let first = named.next();
    if name == "unetsegment-seams" {
        assert!(named.next().is_none(), "seams were told twice");
    }
    (bytes, first)
}

/// White is where either class is as likely, and the message has the mean.
#[test]
fn uncertainty_is_the_entropy_of_the_probability() {
    let files = Files::new();
    let model = files.write("brightness.onnx", &brightness());
    let with = |more: &[(&str, &str)]| -> (Vec<u8>, Option<gst::Structure>) {
        let all: Vec<_> = BRIGHTNESS.iter().chain(more).copied().collect();
        seen(&model, &all, "unetsegment")
    };
    let (probability, _) = with(&[("output", "probability")]);
    let (uncertainty, message) = with(&[
        ("output", "uncertainty"),
        ("measure-uncertainty", "true"),
        ("post-messages", "true"),
    ]);
    let entropy = |p: f64| match p > 0.0 && p < 1.0 {
        true => -(p * p.log2() + (1.0 - p) * (1.0 - p).log2()),
        false => 0.0,
    };
    let mut largest = 0;
    for (p, found) in probability.iter().zip(&uncertainty) {
        // Between what half a step up and down of the probability make of it.
        let bounds =
            [-0.5, 0.5].map(|half| entropy(((f64::from(*p) + half) / 255.0).clamp(0.0, 1.0)));
        let (low, high) = (bounds[0].min(bounds[1]), bounds[0].max(bounds[1]));
        let found = f64::from(*found) / 255.0;
        let around = if (126..=129).contains(p) { 1.0 } else { high };
        assert!(
            (low - 0.003..=around + 0.003).contains(&found),
            "{p}: {found}"
        );
        largest = largest.max((found * 255.0) as u8);
    }
    assert!(largest > 100, "nothing is uncertain: {largest}");
    let mean = uncertainty
        .iter()
        .map(|bits| f64::from(*bits) / 255.0)
        .sum::<f64>();
    let mean = mean / uncertainty.len() as f64;
    let told: f64 = message.unwrap().get("uncertainty").unwrap();
    assert!((told - mean).abs() < 0.002, "{told}, {mean}");
    let (_, message) = with(&[("post-messages", "true")]);
    assert!(!message.unwrap().has_field("uncertainty"));
}

/// Tiles of a network that sees only so far leave no seams; those of one that looks at the whole picture do.
#[test]
fn seams_are_looked_for_once() {
    let files = Files::new();
    let tiles = [
        ("tile-size", "40"),
        ("check-seams", "true"),
        ("output", "mask"),
    ];
    let told = |model: &std::path::Path| seen(model, &tiles, "unetsegment-seams").1.unwrap();
    let none = told(&files.model(&SMALL));
    assert!(none.get::<u32>("tiles").unwrap() > 1);
    assert_eq!(none.get::<u64>("differing").unwrap(), 0);
    assert_eq!(none.get::<f64>("share").unwrap(), 0.0);
    let normalising = foreign(&SMALL, |graph| append(graph, "InstanceNormalization"));
    let some = told(&files.write("normalising.onnx", &normalising));
    let (differing, share) = (
        some.get::<u64>("differing").unwrap(),
        some.get::<f64>("share").unwrap(),
    );
    assert!(differing > 0);
    assert_eq!(share, differing as f64 / (WIDTH * HEIGHT) as f64);
}
