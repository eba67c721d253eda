//! The presets that are installed with the plugin.

mod common;

use std::sync::Once;

use common::programs::root;
use common::scene::Scene;
use gst::prelude::*;
use gstreamer as gst;

/// An element that finds the presets of this folder.
fn element() -> gst::Element {
    static ONCE: Once = Once::new();
    common::init();
    let element = || gst::ElementFactory::make("unetsegment").build().unwrap();
    ONCE.call_once(|| {
        gst::Preset::set_app_dir(root().join("presets")).unwrap();
        // Reads the file, which GStreamer does not guard against other threads.
        presets(&element()).preset_names();
    });
    element()
}

fn presets(element: &gst::Element) -> &gst::Preset {
    element.dynamic_cast_ref().unwrap()
}

/// All presets are found and set what they say, whichever was loaded before.
#[test]
fn presets_set_what_they_say() {
    let text = std::fs::read_to_string(root().join("presets/GstUNetSegment.prs")).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .filter(|name| *name != "_presets_")
        .collect();
    let mut found = presets(&element()).preset_names();
    found.retain(|name| names.contains(&name.as_str()));
    assert_eq!((found.len(), names.len()), (5, 5), "{found:?}");
    let lines_of = |name: &str| -> Vec<(&str, &str)> {
        let section = text.split(&format!("[{name}]\n")).nth(1).unwrap();
        let lines = section.lines().take_while(|line| !line.is_empty());
        let lines = lines.filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| !key.starts_with("_meta")).collect()
    };
    let keys_of = |name: &str| -> std::collections::BTreeSet<&str> {
        lines_of(name).into_iter().map(|(key, _)| key).collect()
    };
    let element = element();
    for name in names.iter().chain(names.iter().rev()) {
        assert_eq!(keys_of(name), keys_of(names[0]), "{name}");
        assert!(presets(&element).load_preset(name).is_ok(), "{name}");
        for (property, value) in lines_of(name) {
            let set = element.property_value(property);
            let set = set.serialize().unwrap();
            assert_eq!(set, value, "{name}: {property}");
        }
    }
}

/// Noise alone does not make the network compute a still scene again, though the model normalizes by the whole frame.
#[test]
fn time_lapse_reuses_a_still_scene() {
    let (width, height) = (400, 320);
    let element = element();
    presets(&element).load_preset("time-lapse").unwrap();
    let model = root().join("models/nuclei-fluo.onnx");
    element.set_property("model-file", model.to_str().unwrap());
    let mut harness = common::harness(&element, "GRAY8", width, height);
    let still = (common::cells(width, height, 5), width, height);
    let mut scene = Scene::new(still, (60, 150), 0, 8.0);
    for _ in 0..4 {
        let frame = gst::Buffer::from_slice(scene.frame(0));
        harness.push_and_pull(frame).unwrap();
    }
    let stats: gst::Structure = element.property("stats");
    let reused: f64 = stats.get("reused").unwrap();
    // Nothing of the first of four frames.
    assert!(reused > 0.6, "{reused}");
}
