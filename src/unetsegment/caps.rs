//! Which output formats are possible for which input formats, and the other way round.

use once_cell::sync::Lazy;

use super::Output;
use crate::picture::Format;

/// Formats of an overlay over a grey picture, the first preferred.
const OVER_GRAY: &[Format] = &[
    Format::Rgba,
    Format::Bgra,
    Format::Rgbx,
    Format::Bgrx,
    Format::Rgb,
    Format::Bgr,
];

const MASK: &[Format] = &[Format::Gray8];
const LABELS: &[Format] = &[Format::Gray16Le];
const PROBABILITY: &[Format] = &[Format::Gray8, Format::Gray16Le];

/// Caps of both pads: every output format is an input format, too.
pub static TEMPLATE: Lazy<gst::Caps> = Lazy::new(|| {
    let formats = Format::ALL.iter();
    gst_video::VideoCapsBuilder::new()
        .format_list(formats.filter_map(|format| format.name().parse().ok()))
        .build()
});

/// The output formats for the input `format`.
pub fn downstream(output: Output, format: Format) -> Vec<Format> {
    match output {
        Output::Overlay if format.is_gray() => OVER_GRAY.to_vec(),
        Output::Overlay | Output::None => vec![format],
        Output::Mask => MASK.to_vec(),
        Output::Labels => LABELS.to_vec(),
        Output::Probability | Output::Uncertainty => PROBABILITY.to_vec(),
    }
}

/// The input formats for which `format` can go out.
fn upstream(output: Output, format: Format) -> Vec<Format> {
    // The same format first, so that upstream need not convert.
    let mut formats = vec![format];
    formats.extend(Format::ALL.into_iter().filter(|other| *other != format));
    formats.retain(|input| downstream(output, *input).contains(&format));
    formats
}

/// The caps of the other pad that are compatible with `caps` of the pad in `direction`.
pub fn transform(output: Output, direction: gst::PadDirection, caps: &gst::CapsRef) -> gst::Caps {
    let other = match direction {
        gst::PadDirection::Src => upstream,
        _ => downstream,
    };
    let mut transformed = gst::Caps::new_empty();
    for (structure, features) in caps.iter_with_features() {
        for format in formats(structure) {
            let others = other(output, format);
            if others.is_empty() {
                continue;
            }
            let mut structure = structure.to_owned();
            if others != [format] {
                // They describe the colours of the other format.
                structure.remove_fields(["colorimetry", "chroma-site"]);
            }
            let names = others.into_iter().map(Format::name);
            structure.set("format", gst::List::new(names));
            let mut one = gst::Caps::new_empty();
            one.make_mut()
                .append_structure_full(structure, Some(features.to_owned()));
            transformed.merge(one);
        }
    }
    transformed
}

/// The formats of a structure that the element supports; all of them if it has no format.
fn formats(structure: &gst::StructureRef) -> Vec<Format> {
    if let Ok(name) = structure.get::<&str>("format") {
        return Format::from_name(name).into_iter().collect();
    }
    if let Ok(names) = structure.get::<gst::ListRef>("format") {
        let names = names.iter().filter_map(|name| name.get::<&str>().ok());
        return names.filter_map(Format::from_name).collect();
    }
    Format::ALL.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    fn names(caps: &gst::Caps) -> Vec<&'static str> {
        let formats = caps.iter().flat_map(formats);
        let mut names: Vec<_> = formats.map(Format::name).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn grey_gets_colour_and_colour_stays() {
        let gray = caps("video/x-raw, format=GRAY16_LE, width=4, height=3, colorimetry=bt601");
        let out = transform(Output::Overlay, gst::PadDirection::Sink, &gray);
        assert_eq!(names(&out), ["BGR", "BGRA", "BGRx", "RGB", "RGBA", "RGBx"]);
        assert!(
            out.iter()
                .all(|structure| !structure.has_field("colorimetry"))
        );
        let colour = caps("video/x-raw, format=NV12, colorimetry=bt709");
        let out = transform(Output::Overlay, gst::PadDirection::Sink, &colour);
        assert_eq!(names(&out), ["NV12"]);
        assert!(
            out.iter()
                .all(|structure| structure.has_field("colorimetry"))
        );
    }

    #[test]
    fn downstream_and_upstream_agree() {
        for output in Output::ALL {
            for format in Format::ALL {
                for out in downstream(output, format) {
                    assert!(
                        upstream(output, out).contains(&format),
                        "{output:?} {format:?} {out:?}"
                    );
                }
                for input in upstream(output, format) {
                    assert!(
                        downstream(output, input).contains(&format),
                        "{output:?} {format:?} {input:?}"
                    );
                }
            }
        }
    }
}
