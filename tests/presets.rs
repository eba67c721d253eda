//! The presets that go with the plugin.

mod common;

use common::programs::root;
use gst::prelude::*;
use gstreamer as gst;

/// The presets that are installed with the plugin are found, and set what they say, whichever was loaded before.
#[test]
fn presets_set_what_they_say() {
    common::init();
    gst::Preset::set_app_dir(root().join("presets")).unwrap();
    let element = || gst::ElementFactory::make("unetsegment").build().unwrap();
    let text = std::fs::read_to_string(root().join("presets/GstUNetSegment.prs")).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .filter(|name| *name != "_presets_")
        .collect();
    let mut found = element()
        .dynamic_cast::<gst::Preset>()
        .unwrap()
        .preset_names();
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
    let preset = element.dynamic_cast_ref::<gst::Preset>().unwrap();
    for name in names.iter().chain(names.iter().rev()) {
        assert_eq!(keys_of(name), keys_of(names[0]), "{name}");
        assert!(preset.load_preset(name).is_ok(), "{name}");
        for (property, value) in lines_of(name) {
            let set = element.property_value(property);
            let set = set.serialize().unwrap();
            assert_eq!(set, value, "{name}: {property}");
        }
    }
}
