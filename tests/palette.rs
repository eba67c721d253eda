//! The user's colours on the overlay: of classes, of objects, in the legend, and changed while frames flow.

mod common;

use common::watch::{bus_of, warnings};
use common::{BRIGHTNESS, Files, SMALL, element, foreign, gray8, harness, pixels};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::onnx::Tensor;
use gstunetsegment::picture::{default_color, instance_color};
use gstunetsegment::unet::UNet;

const WIDTH: usize = 96;
const HEIGHT: usize = 64;

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 160, 32];
const BLUE: [u8; 3] = [0, 0, 255];
/// Values of the classes 0, 1 and 2 in a picture.
const VALUES: [u8; 3] = [20, 128, 240];

/// A model of three classes, by brightness: above 1/4 the second, above 3/4 the third.
fn shades() -> Vec<u8> {
    let unet = UNet {
        classes: 3,
        ..SMALL
    };
    foreign(&unet, |graph| {
        let mut layer = graph.node.pop().unwrap();
        layer.input = ["image", "weight", "bias"].map(String::from).to_vec();
        graph.node = vec![layer];
        graph.initializer = vec![
            Tensor::of_floats("weight".into(), &[3, 1, 1, 1], &[0.0, 20.0, 40.0]),
            Tensor::of_floats("bias".into(), &[3], &[0.0, -5.0, -20.0]),
        ];
    })
}

fn finder(properties: &[(&str, &str)]) -> (gst::Element, Harness) {
    common::init();
    let files = Files::new();
    let model = files.write("shades.onnx", &shades());
    let all = BRIGHTNESS.iter().chain(&[("opacity", "1.0")]);
    let all: Vec<_> = all.chain(properties).copied().collect();
    let element = element(&model, &all);
    let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    (element, harness)
}

/// Bars of 8 columns, each of a class; what lies between them is background.
fn bars(classes: &[usize]) -> gst::Buffer {
    let picture: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|at| match (at % WIDTH / 8, at / WIDTH) {
            (bar, 40..56) if bar % 2 == 1 => classes.get(bar / 2).map_or(VALUES[0], |c| VALUES[*c]),
            _ => VALUES[0],
        })
        .collect();
    gray8(&picture, WIDTH, HEIGHT)
}

/// The colours of the first `count` bars of an overlay.
fn colors(harness: &mut Harness, classes: &[usize]) -> Vec<[u8; 3]> {
    let out = harness.push_and_pull(bars(classes)).unwrap();
    let (bytes, format) = pixels(harness, &out);
    assert_eq!(format, "RGBA");
    let at = |x: usize, y: usize| {
        let (pixels, _) = bytes.as_chunks::<4>();
        let [r, g, b, _] = pixels[y * WIDTH + x];
        [r, g, b]
    };
    // The background stays as it was.
    assert_eq!(at(4, 48), [VALUES[0]; 3]);
    let middles = (0..classes.len()).map(|bar| at(16 * bar + 12, 48));
    middles.collect()
}

#[test]
fn classes_have_the_colours_asked_for() {
    let (element, mut harness) = finder(&[("palette", "#ff0000,#00a020")]);
    assert_eq!(colors(&mut harness, &[1, 2, 1]), [RED, GREEN, RED]);
    // The other classes keep the model's.
    let [first, second] = [1, 2].map(|class| default_color(class).0);
    element.set_property("palette", "#0000FF");
    assert_eq!(colors(&mut harness, &[1, 2]), [BLUE, second]);
    element.set_property("palette", "");
    assert_eq!(colors(&mut harness, &[1, 2]), [first, second]);
    // More than there are classes.
    element.set_property("palette", "#ff0000,#00a020,#0000ff,#0000ff");
    assert_eq!(colors(&mut harness, &[1, 2]), [RED, GREEN]);
    // Also if only some classes are shown.
    element.set_property("show-classes", "2");
    assert_eq!(colors(&mut harness, &[1, 2]), [[VALUES[1]; 3], GREEN]);
}

#[test]
fn objects_take_the_colours_in_turn() {
    let (element, mut harness) = finder(&[("color-by", "object"), ("palette", "#ff0000,#0000ff")]);
    let classes = [1, 2, 1, 1, 2];
    assert_eq!(colors(&mut harness, &classes), [RED, BLUE, RED, BLUE, RED]);
    element.set_property("palette", "#00a020");
    assert_eq!(colors(&mut harness, &classes), [GREEN; 5]);
    element.set_property("palette", None::<String>);
    let usual = [1, 2, 3, 4, 5].map(|number| instance_color(number).0);
    assert_eq!(colors(&mut harness, &classes), usual);
}

#[test]
fn the_legend_shows_the_same_colours() {
    let (element, mut harness) = finder(&[("annotations", "legend"), ("palette", "#ff0000")]);
    let mut shown = |color: [u8; 3]| {
        // Nothing but the legend has a colour.
        let out = harness.push_and_pull(bars(&[])).unwrap();
        let (bytes, _) = pixels(&harness, &out);
        bytes.chunks(4).any(|pixel| pixel[..3] == color)
    };
    let [first, second] = [1, 2].map(|class| default_color(class).0);
    assert!(shown(RED) && shown(second) && !shown(first) && !shown(BLUE));
    element.set_property("palette", "#ff0000,#0000ff");
    assert!(shown(RED) && shown(BLUE) && !shown(second));
}

#[test]
fn an_invalid_palette_is_reported() {
    let (element, mut harness) = finder(&[("palette", "#ff0000")]);
    let bus = bus_of(&element);
    element.set_property("palette", "#ff0000,green");
    let text = warnings(&bus).remove(0);
    for part in ["palette stays", "\"green\"", "#rrggbb", "comma-separated"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(element.property::<String>("palette"), "#ff0000");
    assert_eq!(colors(&mut harness, &[1]), [RED]);
    // Before a start there may be no bus.
    drop(harness);
    element.set_state(gst::State::Null).unwrap();
    element.set_property("palette", "#ff00");
    assert!(common::refusal(&element).contains("palette: \"#ff00\""));
}
