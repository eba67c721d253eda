//! Single files: those that can't be read, and unusual ones that can.

use std::fs::{self, File};

use image::{GrayImage, Luma, RgbaImage};
use tiff::encoder::colortype::{Gray8, Gray16, Gray32Float};

use crate::{Data, PIXELS, SIZE, contains, two_cells};

#[test]
fn a_png_file_that_is_cut_off() {
    let data = Data::good();
    let bytes = fs::read(data.path("images/b.png")).unwrap();
    data.write("images/b.png", &bytes[..60]);
    contains(&data.refusal("images/b.png"), "cut off");
}

#[test]
fn a_png_file_that_is_damaged() {
    let data = Data::good();
    let mut bytes = fs::read(data.path("masks/b.png")).unwrap();
    // In the compressed pixels, whose checksum then fails.
    bytes[50] ^= 0x55;
    data.write("masks/b.png", &bytes);
    contains(&data.refusal("masks/b.png"), "damaged");
}

#[test]
fn a_tiff_file_that_is_cut_off() {
    let data = Data::good();
    data.remove("images/b.png")
        .tiff::<Gray16>("images/b.tif", &[vec![7; PIXELS]]);
    let bytes = fs::read(data.path("images/b.tif")).unwrap();
    data.write("images/b.tif", &bytes[..bytes.len() / 2]);
    contains(&data.refusal("images/b.tif"), "cut off");
}

#[test]
fn a_file_that_is_no_picture() {
    let data = Data::good();
    data.write("images/a.png", b"<html>404 Not Found</html>");
    contains(&data.refusal("images/a.png"), "neither PNG nor TIFF");
}

#[test]
fn an_empty_file() {
    let data = Data::good();
    contains(
        &data.write("masks/d.png", b"").refusal("masks/d.png"),
        "no picture",
    );
}

#[test]
fn a_picture_without_pixels() {
    let data = Data::good();
    // The header says 0 x 0; its checksum is right.
    let mut header = b"IHDR\0\0\0\0\0\0\0\0\x08\0\0\0\0".to_vec();
    header.extend(crc(&header).to_be_bytes());
    let bytes = [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", header.as_slice()].concat();
    let error = data.write("images/b.png", &bytes).refusal("images/b.png");
    contains(&error, "dimensions");
}

/// The checksum of a chunk of a PNG file.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn a_small_file_that_would_fill_the_memory() {
    let data = Data::good();
    let mut header = b"IHDR".to_vec();
    for side in [92_000_u32; 2] {
        header.extend(side.to_be_bytes());
    }
    // One bit a pixel, grey.
    header.extend(b"\x01\0\0\0\0");
    header.extend(crc(&header).to_be_bytes());
    let bytes = [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", header.as_slice()].concat();
    let error = data.write("images/b.png", &bytes).refusal("images/b.png");
    contains(&error, "it is larger than");
}

#[test]
fn a_page_of_a_stack_that_is_damaged() {
    let data = Data::empty();
    data.tiff::<Gray8>("images.tif", &vec![vec![3; PIXELS]; 2]);
    data.tiff::<Gray32Float>("masks.tif", &[vec![1.0; PIXELS], vec![0.25; PIXELS]]);
    let error = data.refusal_with("masks.tif", "--images images.tif --masks masks.tif");
    contains(&error, "(page 1, the first is 0)");
}

#[test]
fn numbers_that_are_not_finite() {
    let data = Data::good();
    let mut pixels: Vec<f32> = (0..PIXELS).map(|at| at as f32).collect();
    data.remove("images/b.png")
        .tiff::<Gray32Float>("images/b.tif", &[pixels.clone()]);
    data.works("");
    data.remove("model.onnx");
    pixels[2 * SIZE as usize + 5] = f32::NAN;
    data.tiff::<Gray32Float>("images/b.tif", &[pixels]);
    let error = data.refusal("images/b.tif");
    contains(&error, "row 2, column 5 is NaN");
    contains(&error, "Replace such pixels");
}

#[test]
fn images_with_an_alpha_channel_work() {
    let data = Data::good();
    let image = RgbaImage::from_fn(SIZE, SIZE, |x, y| {
        image::Rgba([x as u8, y as u8, 9, x as u8])
    });
    image.save(data.path("images/c.png")).unwrap();
    data.works("--channels rgb");
}

#[test]
fn a_mask_of_one_bit_and_one_with_a_palette_work() {
    let data = Data::good();
    for (name, color, depth) in [
        ("a", png::ColorType::Grayscale, png::BitDepth::One),
        ("b", png::ColorType::Indexed, png::BitDepth::Eight),
    ] {
        let file = File::create(data.path(&format!("masks/{name}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, SIZE, SIZE);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.set_palette(vec![0, 0, 0, 200, 0, 0, 0, 200, 0]);
        let pixels = (0..SIZE * SIZE).map(|at| two_cells(at % SIZE, at / SIZE));
        let data = match depth {
            png::BitDepth::One => vec![0b0011_1000; PIXELS / 8],
            _ => pixels.collect(),
        };
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&data)
            .unwrap();
    }
    data.works("");
}

#[test]
fn images_smaller_than_a_tile_work() {
    let data = Data::empty();
    for name in ["a", "b"] {
        for (folder, value) in [("images", 40), ("masks", 1)] {
            let picture = GrayImage::from_fn(2, 1, |x, _| Luma([value * x as u8]));
            picture
                .save(data.path(&format!("{folder}/{name}.png")))
                .unwrap();
        }
    }
    data.works("");
}

#[test]
fn a_folder_with_the_name_of_a_picture() {
    let data = Data::good();
    fs::create_dir(data.path("images/e.png")).unwrap();
    contains(&data.refusal("images/e.png"), "but is a folder");
}

#[cfg(unix)]
#[test]
fn links_with_the_name_of_a_picture() {
    for (target, what) in [
        ("nowhere.png", "a link to a file that is not there"),
        ("e.png", "a link that can't be followed"),
        ("/dev/null", "a pipe, a socket or a device"),
    ] {
        let data = Data::good();
        std::os::unix::fs::symlink(target, data.path("images/e.png")).unwrap();
        contains(&data.refusal("images/e.png"), what);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_lists_can_not_hold() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    for name in [b"caf\xe9.png", b"caf\n.png"] {
        let data = Data::good();
        let name = Path::new(OsStr::from_bytes(name));
        fs::copy(data.path("images/a.png"), data.path("images").join(name)).unwrap();
        contains(
            &data.refusal("images/caf"),
            "not valid UTF-8, or has a line break",
        );
    }
}
