//! docs/elements.md is what the elements say of themselves.

mod common;

use std::fmt::Write;
use std::path::Path;

use gst::prelude::*;
use gstreamer as gst;

/// Writes the file instead of comparing it.
const WRITE: &str = "UNETSEGMENT_WRITE_REFERENCE";

fn reference() -> String {
    common::init();
    let mut text = "# Elements\n\nEvery property of the elements, in their own words. `make docs` writes this page.\n".to_owned();
    for name in ["unetsegment", "unetmask"] {
        let factory = gst::ElementFactory::find(name).unwrap();
        let element = factory.create().build().unwrap();
        let about = factory.metadata("description").unwrap();
        write!(text, "\n## {name}\n\n{about}.\n").unwrap();
        let mut choices = String::new();
        let base = gst::glib::Type::from_name("GstBaseTransform").unwrap();
        for property in element.list_properties() {
            if base.is_a(property.owner_type()) {
                continue;
            }
            let blurb = property.blurb().unwrap_or("");
            write!(text, "\n### {}\n\n{blurb}.\n\n", property.name()).unwrap();
            writeln!(text, "{}", describe(&property)).unwrap();
            choices.push_str(&values(&property));
            text.push_str(&choices);
            choices.clear();
        }
    }
    text
}

/// Kind, range, default, and when it may be set.
fn describe(property: &gst::glib::ParamSpec) -> String {
    let default = property.default_value().transform::<String>();
    let default = default
        .ok()
        .and_then(|value| value.get::<Option<String>>().unwrap());
    let kind = kind(property);
    let flags = property.flags();
    let mut parts = vec![kind];
    match default {
        _ if !flags.contains(gst::glib::ParamFlags::WRITABLE) => parts.push("read only".into()),
        Some(default) if !default.is_empty() => {
            parts.push(format!("`{}` by default", plain(&default, property)))
        }
        _ => (),
    }
    if flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) {
        parts.push("may be set at any time".into());
    } else if flags.contains(gst::PARAM_FLAG_MUTABLE_READY) {
        parts.push("counts from the next start on".into());
    }
    if flags.contains(gst::PARAM_FLAG_CONTROLLABLE) {
        parts.push("can follow a curve".into());
    }
    parts.join("; ")
}

/// The nick of an enumeration's value, and a number without a tail of zeros.
fn plain(default: &str, property: &gst::glib::ParamSpec) -> String {
    if let Some(value) = property.downcast_ref::<gst::glib::ParamSpecEnum>() {
        let value = value.default_value_as_i32();
        let class = gst::glib::EnumClass::with_type(property.value_type()).unwrap();
        return class.value(value).unwrap().nick().to_owned();
    }
    if property.is::<gst::glib::ParamSpecFlags>() {
        return "0".into();
    }
    default
        .parse::<f64>()
        .map_or(default.to_lowercase(), |number| number.to_string())
}

fn kind(property: &gst::glib::ParamSpec) -> String {
    use gst::glib::{ParamSpecDouble, ParamSpecInt, ParamSpecUInt};
    if let Some(range) = property.downcast_ref::<ParamSpecUInt>() {
        return match range.maximum() {
            u32::MAX => format!("Number from {}", range.minimum()),
            most => format!("Number from {} to {most}", range.minimum()),
        };
    }
    if let Some(range) = property.downcast_ref::<ParamSpecInt>() {
        return match range.maximum() {
            i32::MAX => format!("Number from {}", range.minimum()),
            most => format!("Number from {} to {most}", range.minimum()),
        };
    }
    if let Some(range) = property.downcast_ref::<ParamSpecDouble>() {
        return format!("Number from {} to {}", range.minimum(), range.maximum());
    }
    let r#type = property.value_type();
    if r#type.is_a(gst::glib::Type::ENUM) {
        return "One of those below".into();
    }
    if r#type.is_a(gst::glib::Type::FLAGS) {
        return "Any of those below, with + between them".into();
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
    match text.is_empty() {
        true => text,
        false => format!("\n{text}"),
    }
}

#[test]
fn the_page_of_the_elements_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/elements.md");
    let text = reference();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    // Not assert_eq, which would print both pages.
    assert!(
        written == text,
        "docs/elements.md is out of date: make docs"
    );
}
