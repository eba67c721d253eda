//! The same picture gives the same mask in every format, size and stride.

mod common;

use std::path::Path;

use common::{Files, caps, cells, element, harness, info, mask_of};
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstunetsegment::unet::UNet;

const NET: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 4,
    depth: 3,
    padded: false,
};

const WIDTH: usize = 201;
const HEIGHT: usize = 130;

/// Bytes of one pixel of brightness `value` in a packed or grey format.
fn pixel(format: &str, value: u8) -> Vec<u8> {
    match format {
        "GRAY8" => vec![value],
        "GRAY16_LE" => vec![value, 0],
        "GRAY16_BE" => vec![0, value],
        "RGB" | "BGR" => vec![value; 3],
        // What the last byte holds must not matter.
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

#[test]
fn luma_of_both_ranges_gives_nearly_the_same_mask() {
    // A trained network: the random one sees noise as clearly as cells.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nuclei-fluo.onnx");
    let picture = cells(WIDTH, HEIGHT, 1);
    let element = || element(&model, &[]);
    let expected = common::segment(&element(), &picture, WIDTH, HEIGHT);
    for format in ["NV12", "I420"] {
        for (colorimetry, limited) in [("bt601", true), ("1:4:0:0", false), ("bt709", true)] {
            let mut caps = caps(format, WIDTH, HEIGHT);
            caps.make_mut().set("colorimetry", colorimetry);
            let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
            let mut bytes = vec![128; info.size()];
            let stride = info.stride()[0] as usize;
            for (row, pixels) in picture.chunks_exact(WIDTH).enumerate() {
                for (byte, value) in bytes[row * stride..].iter_mut().zip(pixels) {
                    let code = 16.0 + f32::from(*value) * 219.0 / 255.0;
                    *byte = if limited { code.round() as u8 } else { *value };
                }
            }
            let mut harness =
                gstreamer_check::Harness::with_element(&element(), Some("sink"), Some("src"));
            harness.set_src_caps(caps);
            let out = harness
                .push_and_pull(gst::Buffer::from_mut_slice(bytes))
                .unwrap();
            let (found, ..) = mask_of(&out);
            let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            // 255 values in 219 codes: what is left is rounding.
            let allowed = if limited { expected.len() / 1000 } else { 0 };
            assert!(
                differing <= allowed,
                "{format} {colorimetry}: {differing} pixels differ"
            );
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
