//! The same picture gives the same mask in every format, size and stride.

mod common;

use std::path::Path;

use common::{Files, SMALL, caps, cells, element, harness, info, mask_of};
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstunetsegment::unet::UNet;

const NET: UNet = UNet { depth: 3, ..SMALL };

const WIDTH: usize = 201;
const HEIGHT: usize = 130;

/// Bytes of one pixel of brightness `value` in a packed or grey format.
fn pixel(format: &str, value: u8) -> Vec<u8> {
    match format {
        "GRAY8" => vec![value],
        "GRAY16_LE" => vec![value, 0],
        "GRAY16_BE" => vec![0, value],
        "RGB" | "BGR" => vec![value; 3],
        // The last byte must not matter.
        _ => vec![value, value, value, 77],
    }
}

/// A buffer of a grey picture whose rows lie `padding` bytes further apart than they need.
fn buffer(
    format: &str,
    picture: &[u8],
    width: usize,
    height: usize,
    padding: usize,
) -> gst::Buffer {
    let row_bytes = width * pixel(format, 0).len();
    let stride = row_bytes + padding;
    let mut bytes = vec![0xEE; stride * height];
    for (row, pixels) in picture.chunks_exact(width).enumerate() {
        let packed: Vec<u8> = pixels
            .iter()
            .flat_map(|value| pixel(format, *value))
            .collect();
        bytes[row * stride..][..row_bytes].copy_from_slice(&packed);
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    gst_video::VideoMeta::add_full(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        info(format, width, height).format(),
        width as u32,
        height as u32,
        &[0],
        &[stride as i32],
    )
    .unwrap();
    buffer
}

fn mask(element: &gst::Element, format: &str, buffer: gst::Buffer) -> Vec<u8> {
    let mut harness = harness(element, format, WIDTH, HEIGHT);
    let out = harness.push_and_pull(buffer).unwrap();
    let (mask, width, height) = mask_of(&out);
    assert_eq!((width, height), (WIDTH, HEIGHT), "{format}");
    mask
}

#[test]
fn grey_and_packed_formats_give_the_same_mask() {
    let files = Files::new();
    let model = files.model(&NET);
    let picture = cells(WIDTH, HEIGHT, 1);
    let element = || element(&model, &[]);
    let expected = common::segment(&element(), &picture, WIDTH, HEIGHT);
    assert!(expected.contains(&0) && expected.contains(&1));
    for format in [
        "GRAY8",
        "GRAY16_LE",
        "GRAY16_BE",
        "RGB",
        "BGR",
        "RGBA",
        "BGRA",
        "RGBx",
        "BGRx",
    ] {
        for padding in [0, 1, 13] {
            let buffer = buffer(format, &picture, WIDTH, HEIGHT, padding);
            let found = mask(&element(), format, buffer);
            assert!(
                found == expected,
                "{format} with {padding} bytes of padding"
            );
        }
    }
}

#[test]
fn sixteen_bits_are_seen_in_full() {
    let files = Files::new();
    let model = files.model(&NET);
    // The same picture in the top of the range, where a camera with an offset has it: the z-score
    // is the same but for rounding.
    let picture = cells(WIDTH, HEIGHT, 1);
    let element = || element(&model, &[("normalization", "z-score")]);
    let expected = common::segment(&element(), &picture, WIDTH, HEIGHT);
    let high = |swap: bool| {
        let bytes = picture.iter().flat_map(|value| {
            let value = 32_000 + 100 * u16::from(*value);
            if swap {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        });
        let row = WIDTH * 2;
        let stride = info("GRAY16_LE", WIDTH, HEIGHT).stride()[0] as usize;
        let bytes: Vec<u8> = bytes.collect();
        let padded = bytes.chunks_exact(row).flat_map(|bytes| {
            let mut bytes = bytes.to_vec();
            bytes.resize(stride, 0);
            bytes
        });
        gst::Buffer::from_mut_slice(padded.collect::<Vec<u8>>())
    };
    let little = mask(&element(), "GRAY16_LE", high(false));
    let big = mask(&element(), "GRAY16_BE", high(true));
    assert!(little == big, "the byte order matters");
    let differing = little.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert!(
        differing * 1000 <= expected.len(),
        "{differing} of {} differ",
        expected.len()
    );
}

/// How luma codes the values of a grey picture.
const RANGES: [(&str, bool); 3] = [("bt601", true), ("1:4:0:0", false), ("bt709", true)];

/// Caps of a picture in NV12 or I420, and its bytes with the brightness of a grey one.
fn luma(
    (format, colorimetry, limited): (&str, &str, bool),
    (picture, width, height): (&[u8], usize, usize),
) -> (gst::Caps, Vec<u8>) {
    let mut caps = caps(format, width, height);
    caps.make_mut().set("colorimetry", colorimetry);
    let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
    let mut bytes = vec![128; info.size()];
    let stride = info.stride()[0] as usize;
    for (row, pixels) in picture.chunks_exact(width).enumerate() {
        for (byte, value) in bytes[row * stride..].iter_mut().zip(pixels) {
            let code = 16.0 + f32::from(*value) * 219.0 / 255.0;
            *byte = if limited { code.round() as u8 } else { *value };
        }
    }
    (caps, bytes)
}

/// Pixels in which the masks of a picture in grey and in luma differ.
fn differing(
    element: impl Fn() -> gst::Element,
    kind: (&str, &str, bool),
    picture: (&[u8], usize, usize),
) -> usize {
    let (pixels, width, height) = picture;
    let expected = common::segment(&element(), pixels, width, height);
    let (caps, bytes) = luma(kind, picture);
    let mut harness = gstreamer_check::Harness::with_element(&element(), Some("sink"), Some("src"));
    harness.set_src_caps(caps);
    let out = harness.push_and_pull(gst::Buffer::from_mut_slice(bytes));
    let (found, ..) = mask_of(&out.unwrap());
    found.iter().zip(&expected).filter(|(a, b)| a != b).count()
}

/// A trained network: the random ones see noise as clearly as cells.
fn nuclei() -> gst::Element {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nuclei-fluo.onnx");
    element(&model, &[])
}

#[test]
fn luma_of_both_ranges_gives_nearly_the_same_mask() {
    let picture = cells(WIDTH, HEIGHT, 1);
    for format in ["NV12", "I420"] {
        for (colorimetry, limited) in RANGES {
            let kind = (format, colorimetry, limited);
            let found = differing(nuclei, kind, (&picture, WIDTH, HEIGHT));
            // 255 values in 219 codes: what is left is rounding.
            let allowed = if limited { picture.len() / 1000 } else { 0 };
            assert!(found <= allowed, "{kind:?}: {found} pixels differ");
        }
    }
}

/// Dim pictures of a few grey values lose some of them in the 219 codes of the limited range, before
/// anybody here sees them: more pixels change than in a picture that fills the range.
#[test]
fn real_frames_survive_luma() {
    let Some(folder) = common::data("dsb2018_fluo/images") else {
        return;
    };
    let (mut pixels, mut changed) = (0, 0);
    for (picture, width, height) in common::pictures(&folder, 12) {
        let picture = (picture.as_slice(), width, height);
        assert_eq!(differing(nuclei, ("I420", "1:4:0:0", false), picture), 0);
        changed += differing(nuclei, ("I420", "bt601", true), picture);
        pixels += width * height;
    }
    assert!(changed * 1000 <= pixels, "{changed} of {pixels} differ");
}

/// V may lie before U in a buffer, as in YV12.
#[test]
fn planes_may_lie_in_any_order() {
    let files = Files::new();
    let model = files.model(&NET);
    let picture = cells(WIDTH, HEIGHT, 1);
    let kind = ("I420", "bt601", true);
    let (caps, mut bytes) = luma(kind, (&picture, WIDTH, HEIGHT));
    let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
    let (offsets, strides) = (info.offset().to_vec(), info.stride().to_vec());
    let chroma = offsets[2] - offsets[1];
    // U and V differ.
    bytes[offsets[1]..][..chroma].fill(90);
    let overlay = |swap: bool| {
        let mut bytes = bytes.clone();
        let mut offsets = offsets.clone();
        if swap {
            let (u, v) = bytes[offsets[1]..].split_at_mut(chroma);
            u.swap_with_slice(&mut v[..chroma]);
            offsets.swap(1, 2);
        }
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        gst_video::VideoMeta::add_full(
            buffer.get_mut().unwrap(),
            gst_video::VideoFrameFlags::empty(),
            info.format(),
            WIDTH as u32,
            HEIGHT as u32,
            &offsets,
            &strides,
        )
        .unwrap();
        let element = element(&model, &[]);
        let mut harness =
            gstreamer_check::Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_src_caps(caps.clone());
        let out = harness.push_and_pull(buffer).unwrap();
        let bytes = out.map_readable().unwrap();
        let plane = |index: usize| bytes[offsets[index]..][..chroma].to_vec();
        [plane(1), plane(2)]
    };
    let usual = overlay(false);
    assert_ne!(usual[0], usual[1]);
    assert!(overlay(true) == usual);
}

#[test]
fn padding_between_rows_goes_out_as_zeros() {
    let files = Files::new();
    // Three bytes more than a multiple of four.
    let (width, height) = (WIDTH + 2, HEIGHT);
    let picture = cells(width, height, 1);
    for (output, format) in [("mask", "GRAY8"), ("probability", "GRAY8")] {
        let element = element(&files.model(&NET), &[("output", output)]);
        let mut harness = harness(&element, "GRAY8", width, height);
        let out = harness.push_and_pull(common::gray8(&picture, width, height));
        let out = out.unwrap();
        let stride = info(format, width, height).stride()[0] as usize;
        assert!(stride > width);
        let bytes = out.map_readable().unwrap();
        for row in bytes.chunks(stride) {
            assert!(row[width..].iter().all(|byte| *byte == 0), "{output}");
        }
    }
}

#[test]
fn every_size_gets_a_mask_of_its_size() {
    let files = Files::new();
    let model = files.model(&UNet { width: 2, ..NET });
    for (width, height) in [(1, 1), (17, 9), (161, 97), (696, 520), (2048, 2048)] {
        let element = element(&model, &[("tile-memory", "64")]);
        let picture = cells(width, height, 2);
        // Panics where the mask has another size.
        let mask = common::segment(&element, &picture, width, height);
        assert!(mask.iter().all(|class| *class < 2));
    }
}

#[test]
fn caps_may_change_between_frames() {
    let files = Files::new();
    let element = element(&files.model(&NET), &[]);
    let mut harness = harness(&element, "GRAY8", 64, 48);
    for (format, width, height) in [
        ("GRAY8", 64, 48),
        ("RGB", 33, 21),
        ("GRAY16_LE", 100, 3),
        ("BGRx", 5, 200),
        ("GRAY8", 64, 48),
    ] {
        harness.set_src_caps(caps(format, width, height));
        let picture = cells(width, height, 4);
        let out = harness
            .push_and_pull(buffer(format, &picture, width, height, 3))
            .unwrap();
        let (_, mask_width, mask_height) = mask_of(&out);
        assert_eq!((mask_width, mask_height), (width, height));
    }
}
