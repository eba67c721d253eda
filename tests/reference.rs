//! docs/elements.md is generated from the elements' own descriptions.

mod common;
#[path = "common/pages.rs"]
mod pages;

use std::fmt::{Display, Write};

use gst::prelude::*;
use gstreamer as gst;

/// Headings of the groups of properties, each before the first property of its group.
const GROUPS: [(&str, &str); 10] = [
    ("model-file", "Model"),
    ("active-provider", "Status"),
    ("tile-size", "Tiles and reuse"),
    ("mode", "Live video and failures"),
    ("normalization", "Input and output"),
    ("threshold", "Objects"),
    ("split", "Touching objects"),
    ("find-objects", "Further results and checks"),
    ("track", "Tracking and messages"),
    ("color-by", "Overlay"),
];

fn reference() -> String {
    common::init();
    let mut text = "# Elements\n\nEvery property of the elements, as `gst-inspect-1.0` describes it. `make docs` writes this page.\n".to_owned();
    for name in ["unetsegment", "unetmask"] {
        let factory = gst::ElementFactory::find(name).unwrap();
        let element = factory.create().build().unwrap();
        let about = factory.metadata("description").unwrap();
        write!(text, "\n## {name}\n\n{about}.\n").unwrap();
        let base = gst::glib::Type::from_name("GstBaseTransform").unwrap();
        let mut level = "###";
        for property in element.list_properties() {
            if base.is_a(property.owner_type()) {
                continue;
            }
            let name = property.name();
            if let Some((_, heading)) = GROUPS.iter().find(|(first, _)| *first == name) {
                write!(text, "\n### {heading}\n").unwrap();
                level = "####";
            }
            let blurb = property.blurb().unwrap_or("");
            write!(text, "\n{level} {name}\n\n{blurb}.\n\n").unwrap();
            writeln!(text, "{}", describe(&property)).unwrap();
            text.push_str(&values(&property));
        }
    }
    text
}

/// Kind, range, default, and when it may be set.
fn describe(property: &gst::glib::ParamSpec) -> String {
    let flags = property.flags();
    let mut parts = vec![kind(property)];
    if flags.contains(gst::glib::ParamFlags::WRITABLE) {
        parts.extend(default(property).map(|value| format!("{value} by default")));
    } else {
        parts.push("read only".into());
    }
    if flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) {
        parts.push("may be set at any time".into());
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_READY) {
        parts.push("takes effect at the next start".into());
    }
    if flags.contains(gst::PARAM_FLAG_CONTROLLABLE) {
        parts.push("controllable (GstControlSource)".into());
    }
    parts.join("; ")
}

/// The default of a property, unless it is empty: an enumeration's nick, and a number without trailing zeros.
fn default(property: &gst::glib::ParamSpec) -> Option<String> {
    use gst::glib::{EnumClass, FlagsClass, ParamSpecEnum, ParamSpecFlags};
    let r#type = property.value_type();
    if let Some(property) = property.downcast_ref::<ParamSpecEnum>() {
        let class = EnumClass::with_type(r#type).unwrap();
        let value = class.value(property.default_value_as_i32()).unwrap();
        return Some(format!("`{}`", value.nick()));
    }
    if let Some(property) = property.downcast_ref::<ParamSpecFlags>() {
        let class = FlagsClass::with_type(r#type).unwrap();
        let nicks = class.to_nick_string(property.default_value_as_u32());
        return Some(if nicks.is_empty() {
            "nothing".into()
        } else {
            format!("`{}`", nicks.replace('|', "+"))
        });
    }
    let value = property.default_value().transform::<String>().ok()?;
    let text = value.get::<Option<String>>().unwrap()?;
    if text.is_empty() {
        return None;
    }
    let number = text.parse::<f64>().map(|number| number.to_string());
    Some(format!(
        "`{}`",
        number.unwrap_or_else(|_| text.to_lowercase())
    ))
}

/// The range of a number.
fn number(least: impl Display, most: impl Display, is_unbounded: bool) -> String {
    if is_unbounded {
        format!("Number from {least}")
    } else {
        format!("Number from {least} to {most}")
    }
}

fn kind(property: &gst::glib::ParamSpec) -> String {
    use gst::glib::{ParamSpecDouble, ParamSpecInt, ParamSpecUInt};
    if let Some(range) = property.downcast_ref::<ParamSpecUInt>() {
        let most = range.maximum();
        return number(range.minimum(), most, most == u32::MAX);
    }
    if let Some(range) = property.downcast_ref::<ParamSpecInt>() {
        let most = range.maximum();
        return number(range.minimum(), most, most == i32::MAX);
    }
    if let Some(range) = property.downcast_ref::<ParamSpecDouble>() {
        return number(range.minimum(), range.maximum(), false);
    }
    let r#type = property.value_type();
    if r#type.is_a(gst::glib::Type::ENUM) {
        return "One of those below".into();
    }
    if r#type.is_a(gst::glib::Type::FLAGS) {
        return "Any of those below, joined by +".into();
    }
    match r#type.name() {
        "gboolean" => "`true` or `false`".into(),
        "gchararray" => "Text".into(),
        "GstStructure" => "Structure".into(),
        name => name.to_owned(),
    }
}

/// The values of an enumeration.
fn values(property: &gst::glib::ParamSpec) -> String {
    let mut text = String::new();
    let r#type = property.value_type();
    let mut add = |nick: &str, name: &str| writeln!(text, "- `{nick}`: {name}").unwrap();
    if let Some(class) = gst::glib::EnumClass::with_type(r#type) {
        class
            .values()
            .iter()
            .for_each(|value| add(value.nick(), value.name()));
    }
    if let Some(class) = gst::glib::FlagsClass::with_type(r#type) {
        class
            .values()
            .iter()
            .for_each(|value| add(value.nick(), value.name()));
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

#[test]
fn the_page_of_the_elements_is_current() {
    pages::assert_current("elements.md", &reference());
}
