//! Which formats go out for which come in.

use once_cell::sync::Lazy;

use super::Output;

/// Formats without colour.
const GRAY: &[&str] = &["GRAY8", "GRAY16_LE", "GRAY16_BE"];

/// Formats that an overlay over a grey picture can have, the first preferred.
const OVER_GRAY: &[&str] = &["RGBA", "BGRA", "RGBx", "BGRx", "RGB", "BGR"];

/// Every format that can come in.
const INPUT: &[&str] = &[
    "GRAY8",
    "GRAY16_LE",
    "GRAY16_BE",
    "RGB",
    "BGR",
    "RGBA",
    "BGRA",
    "RGBx",
    "BGRx",
    "NV12",
    "I420",
];

const MASK: &[&str] = &["GRAY8"];
const PROBABILITY: &[&str] = &["GRAY8", "GRAY16_LE"];

/// Caps of both pads: what goes out is a format that can come in, too.
pub static TEMPLATE: Lazy<gst::Caps> = Lazy::new(|| {
    gst_video::VideoCapsBuilder::new()
        .format_list(INPUT.iter().filter_map(|name| name.parse().ok()))
        .build()
});

/// The formats that go out when `format` comes in.
pub fn downstream(output: Output, format: &str) -> Vec<&str> {
    match output {
        Output::Overlay if GRAY.contains(&format) => OVER_GRAY.to_vec(),
        Output::Overlay | Output::None => vec![format],
        Output::Mask => MASK.to_vec(),
        Output::Probability => PROBABILITY.to_vec(),
    }
}

/// The formats that may come in so that `format` goes out.
fn upstream(output: Output, format: &str) -> Vec<&str> {
    match output {
        Output::Overlay if GRAY.contains(&format) => Vec::new(),
        Output::Overlay if OVER_GRAY.contains(&format) => {
            let mut formats = vec![format];
            formats.extend(GRAY);
            formats
        }
        Output::Overlay | Output::None => vec![format],
        Output::Mask if MASK.contains(&format) => INPUT.to_vec(),
        Output::Probability if PROBABILITY.contains(&format) => INPUT.to_vec(),
        Output::Mask | Output::Probability => Vec::new(),
    }
}

/// The caps of the other pad that go with `caps` of the pad in `direction`.
pub fn transform(output: Output, direction: gst::PadDirection, caps: &gst::CapsRef) -> gst::Caps {
    let other = match direction {
        gst::PadDirection::Src => upstream,
        _ => downstream,
    };
    let mut transformed = gst::Caps::new_empty();
    for (structure, features) in caps.iter_with_features() {
        for format in formats(structure) {
            let others = other(output, &format);
            if others.is_empty() {
                continue;
            }
            let mut structure = structure.to_owned();
            if others != [format.as_str()] {
                // They describe the colours of the other format.
                structure.remove_fields(["colorimetry", "chroma-site"]);
            }
            structure.set("format", gst::List::new(others));
            let mut one = gst::Caps::new_empty();
            one.make_mut()
                .append_structure_full(structure, Some(features.to_owned()));
            transformed.merge(one);
        }
    }
    transformed
}

/// The formats that a structure names; all that can come in where it names none.
fn formats(structure: &gst::StructureRef) -> Vec<String> {
    if let Ok(format) = structure.get::<String>("format") {
        return vec![format];
    }
    if let Ok(list) = structure.get::<gst::ListRef>("format") {
        return list
            .iter()
            .filter_map(|format| format.get::<String>().ok())
            .filter(|format| INPUT.contains(&format.as_str()))
            .collect();
    }
    INPUT.iter().map(|format| (*format).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    fn names(caps: &gst::Caps) -> Vec<String> {
        let mut names: Vec<_> = caps.iter().flat_map(formats).collect();
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
    fn what_goes_out_can_be_asked_for() {
        for output in [
            Output::Overlay,
            Output::Mask,
            Output::Probability,
            Output::None,
        ] {
            for format in INPUT {
                for out in downstream(output, format) {
                    assert!(
                        upstream(output, out).contains(format),
                        "{output:?} {format} {out}"
                    );
                }
                for input in upstream(output, format) {
                    assert!(
                        downstream(output, input).contains(format),
                        "{output:?} {format} {input}"
                    );
                }
            }
        }
    }
}
