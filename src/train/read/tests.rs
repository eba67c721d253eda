use std::fs;
use std::path::PathBuf;

use ::png::{BitDepth, ColorType, Encoder};
use tempfile::TempDir;

use super::*;
use crate::contract::Channels;
use crate::train::plane::Plane;

/// A file with these bytes, in a folder that is deleted in the end.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read_page(bytes: &[u8], index: usize) -> Result<Raster, ReadError> {
    let (_folder, path) = file(bytes);
    Pages::open(&path)?.read(index)
}

fn refusal(bytes: &[u8]) -> String {
    read_page(bytes, 0).unwrap_err().to_string()
}

fn png(size: (u32, u32), color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 200, 100, 50, 255, 255, 255]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A page of a TIFF file, of one strip without compression.
#[derive(Clone)]
struct TiffPage {
    width: u32,
    height: u32,
    bits: u32,
    channels: u32,
    photometric: u32,
    /// 1 for pixel by pixel, 2 for channel by channel.
    planar: u32,
    /// 1 for whole numbers, 3 for floating point.
    format: u32,
    /// 1 for a smaller copy of another page.
    subfile: u32,
    data: Vec<u8>,
}

impl TiffPage {
    fn grey(width: u32, height: u32, bits: u32, data: &[u8]) -> Self {
        TiffPage {
            width,
            height,
            bits,
            channels: 1,
            photometric: 1,
            planar: 1,
            format: 1,
            subfile: 0,
            data: data.to_vec(),
        }
    }
}

/// A little-endian TIFF file.
fn tiff(pages: &[TiffPage]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    // Where the place of the next directory is to be written.
    let mut link = 4;
    for page in pages {
        // A strip for each plane, and two lists where one number does not do.
        let planes = if page.planar == 2 { page.channels } else { 1 };
        let data = file.len() as u32;
        file.extend(&page.data);
        let length = page.data.len() as u32 / planes;
        let list = |file: &mut Vec<u8>, values: Vec<u32>, bytes: usize| -> u32 {
            let list: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes()[..bytes].to_vec())
                .collect();
            // A list of four bytes takes the place of its own address.
            if list.len() <= 4 {
                let mut inline = [0; 4];
                inline[..list.len()].copy_from_slice(&list);
                return u32::from_le_bytes(inline);
            }
            let place = file.len() as u32;
            file.extend(list);
            place
        };
        let bits = list(&mut file, vec![page.bits; page.channels as usize], 2);
        let formats = list(&mut file, vec![page.format; page.channels as usize], 2);
        let offsets = (0..planes).map(|plane| data + plane * length).collect();
        let offsets = list(&mut file, offsets, 4);
        let lengths = list(&mut file, vec![length; planes as usize], 4);
        let directory = file.len() as u32;
        file[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        let entries: [(u16, u16, u32, u32); 12] = [
            (254, 4, 1, page.subfile),
            (256, 4, 1, page.width),
            (257, 4, 1, page.height),
            (258, 3, page.channels, bits),
            (259, 3, 1, 1),
            (262, 3, 1, page.photometric),
            (273, 4, planes, offsets),
            (277, 3, 1, page.channels),
            (278, 4, 1, page.height),
            (279, 4, planes, lengths),
            (284, 3, 1, page.planar),
            (339, 3, page.channels, formats),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(count.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        link = file.len();
        file.extend([0; 4]);
    }
    file
}

fn labels(bytes: &[u8]) -> Vec<u32> {
    read_page(bytes, 0).unwrap().labels().unwrap().data
}

fn image(bytes: &[u8], channels: Channels) -> Vec<Vec<f32>> {
    let planes = read_page(bytes, 0).unwrap().image(channels).unwrap();
    planes.into_iter().map(|plane| plane.data).collect()
}

#[test]
fn a_mask_keeps_the_numbers_of_its_file() {
    use ColorType::{Grayscale, Indexed, Rgb, Rgba};
    // Three pixels of 1, 2 and 4 bits: what the file says, not what a screen would show.
    let one = png(
        (3, 2),
        Grayscale,
        BitDepth::One,
        &[0b1010_0000, 0b0110_0000],
    );
    assert_eq!(labels(&one), [1, 0, 1, 0, 1, 1]);
    let two = png((3, 1), Grayscale, BitDepth::Two, &[0b0110_1100]);
    assert_eq!(labels(&two), [1, 2, 3]);
    let four = png((3, 1), Grayscale, BitDepth::Four, &[0x1f, 0x70]);
    assert_eq!(labels(&four), [1, 15, 7]);
    let palette = png((3, 1), Indexed, BitDepth::Two, &[0b0110_0000]);
    assert_eq!(labels(&palette), [1, 2, 0]);
    let sixteen = png((2, 1), Grayscale, BitDepth::Sixteen, &[1, 44, 255, 255]);
    assert_eq!(labels(&sixteen), [300, 65535]);
    let rgb = png((2, 1), Rgb, BitDepth::Eight, &[7, 7, 7, 0, 0, 0]);
    assert_eq!(labels(&rgb), [7, 0]);
    let opaque = png((2, 1), Rgba, BitDepth::Eight, &[7, 7, 7, 255, 0, 0, 0, 255]);
    assert_eq!(labels(&opaque), [7, 0]);

    let bilevel = TiffPage::grey(3, 2, 1, &[0b1010_0000, 0b0110_0000]);
    assert_eq!(labels(&tiff(&[bilevel])), [1, 0, 1, 0, 1, 1]);
    let wide = TiffPage::grey(2, 1, 32, &[0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(labels(&tiff(&[wide])), [65536, u32::MAX]);
    let floats = [0.0_f32, 70_000.0].map(f32::to_le_bytes).concat();
    let float = TiffPage {
        format: 3,
        ..TiffPage::grey(2, 1, 32, &floats)
    };
    assert_eq!(labels(&tiff(&[float])), [0, 70_000]);
}

#[test]
fn white_is_zero_is_for_images_only() {
    let page = TiffPage {
        photometric: 0,
        ..TiffPage::grey(3, 1, 8, &[0, 255, 3])
    };
    assert_eq!(labels(&tiff(std::slice::from_ref(&page))), [0, 255, 3]);
    assert_eq!(image(&tiff(&[page]), Channels::Gray), [[255.0, 0.0, 252.0]]);
    let page = TiffPage {
        photometric: 0,
        ..TiffPage::grey(3, 1, 1, &[0b0100_0000])
    };
    assert_eq!(labels(&tiff(std::slice::from_ref(&page))), [0, 1, 0]);
    assert_eq!(image(&tiff(&[page]), Channels::Gray), [[1.0, 0.0, 1.0]]);
    let floats = [0.0_f32, 1.0, 7.0].map(f32::to_le_bytes).concat();
    let page = TiffPage {
        photometric: 0,
        format: 3,
        ..TiffPage::grey(3, 1, 32, &floats)
    };
    assert_eq!(labels(&tiff(std::slice::from_ref(&page))), [0, 1, 7]);
    assert_eq!(image(&tiff(&[page]), Channels::Gray), [[1.0, 0.0, -6.0]]);
}

#[test]
fn colour_becomes_brightness_or_three_channels() {
    let rgb = [200, 100, 50, 255, 255, 255];
    let palette = png((2, 1), ColorType::Indexed, BitDepth::Two, &[0b0110_0000]);
    let chunky = TiffPage {
        channels: 3,
        photometric: 2,
        ..TiffPage::grey(2, 1, 8, &rgb)
    };
    let planar = TiffPage {
        planar: 2,
        data: vec![200, 255, 100, 255, 50, 255],
        ..chunky.clone()
    };
    let files = [
        png((2, 1), ColorType::Rgb, BitDepth::Eight, &rgb),
        palette,
        tiff(&[chunky]),
        tiff(&[planar]),
    ];
    for file in files {
        // (77 * 200 + 150 * 100 + 29 * 50) / 256 = 124.4, rounded down as in the element.
        assert_eq!(image(&file, Channels::Gray), [[124.0, 255.0]]);
        let colors = [[200.0, 255.0], [100.0, 255.0], [50.0, 255.0]];
        assert_eq!(image(&file, Channels::Rgb), colors);
    }
    let grey = png(
        (2, 1),
        ColorType::Grayscale,
        BitDepth::Sixteen,
        &[1, 44, 0, 9],
    );
    assert_eq!(image(&grey, Channels::Rgb), [[300.0, 9.0]; 3]);
    let opacity = [9, 0, 8, 255];
    let opacity = png((2, 1), ColorType::GrayscaleAlpha, BitDepth::Eight, &opacity);
    assert_eq!(image(&opacity, Channels::Gray), [[9.0, 8.0]]);
}

#[test]
fn pages_are_read_in_any_order_and_previews_are_no_pages() {
    let page = |value| TiffPage::grey(2, 1, 8, &[value, value + 1]);
    let preview = TiffPage {
        subfile: 1,
        ..TiffPage::grey(1, 1, 8, &[99])
    };
    let (_folder, path) = file(&tiff(&[page(1), preview, page(3), page(5)]));
    let mut pages = Pages::open(&path).unwrap();
    assert_eq!(pages.count(), 3);
    for (index, expected) in [(2, [5, 6]), (0, [1, 2]), (1, [3, 4]), (1, [3, 4])] {
        let labels = pages.read(index).unwrap().labels().unwrap();
        assert_eq!(labels.data, expected);
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    assert!(refusal(b"").contains("neither PNG nor TIFF"));
    assert!(refusal(b"\xff\xd8\xff\xe0 JFIF").contains("neither PNG nor TIFF"));
    let noise: Vec<u8> = (0..64 * 64_u32)
        .map(|at| ((at * at * 31) >> 3) as u8)
        .collect();
    let whole = png((64, 64), ColorType::Grayscale, BitDepth::Eight, &noise);
    assert!(refusal(&whole[..whole.len() / 2]).contains("cut off"));
    let mut broken = whole.clone();
    broken[45] ^= 0xff;
    assert!(refusal(&broken).contains("the PNG file is damaged"));
    // The checksum of the header.
    let mut broken = whole.clone();
    broken[29] ^= 0xff;
    let error = refusal(&broken);
    assert!(error.contains("while decoding IHDR chunk)"), "{error}");

    // Directories lie behind the pixels, so that a file without its end has none.
    let whole = tiff(&[TiffPage::grey(64, 64, 8, &noise)]);
    assert!(refusal(&whole[..whole.len() / 2]).contains("cut off"));
    let short = TiffPage::grey(64, 640, 8, &noise);
    assert!(refusal(&tiff(&[short])).contains("cut off"));
    // More addresses of strips than memory holds: a number in the directory, which is at the end.
    let mut endless = whole.clone();
    let count = endless.len() - 72;
    endless[count..count + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    assert!(refusal(&endless).contains("the TIFF file is damaged"));
    let empty = TiffPage::grey(0, 0, 8, &[]);
    let refusal = refusal(&tiff(&[empty]));
    assert!(
        refusal.contains("0x0") || refusal.contains("damaged"),
        "{refusal}"
    );
}

#[test]
fn pictures_that_would_fill_the_memory_are_refused() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 92_000, 92_000);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    drop(encoder.write_header().unwrap());
    let message = "larger than 536870912 numbers";
    assert!(refusal(&bytes).contains(message), "{}", refusal(&bytes));
    let page = |width, height, bits| tiff(&[TiffPage::grey(width, height, bits, &[0; 8])]);
    for large in [page(92_000, 92_000, 1), page(u32::MAX, u32::MAX, 64)] {
        assert!(refusal(&large).contains(message), "{}", refusal(&large));
    }
    // More than the decoder reads by default; here the pixels are missing.
    let error = refusal(&page(12_000, 12_000, 16));
    assert!(error.contains("cut off"), "{error}");
}

#[test]
fn kinds_of_pixels_without_meaning_are_refused() {
    let page = |photometric, channels, bits, data: &[u8]| TiffPage {
        photometric,
        channels,
        ..TiffPage::grey(1, 1, bits, data)
    };
    let two = refusal(&tiff(&[page(1, 2, 8, &[1, 2])]));
    assert!(
        two.contains("of 2 channels with 8 bits each") && two.contains("grey or RGB"),
        "{two}"
    );
    let cmyk = refusal(&tiff(&[page(5, 4, 8, &[1, 2, 3, 4])]));
    assert!(cmyk.contains("of the kind CMYK with 8 bits"), "{cmyk}");
    let palette = refusal(&tiff(&[page(3, 1, 8, &[1])]));
    assert!(palette.contains("palette"), "{palette}");

    let raster = |bytes: &[u8]| read_page(bytes, 0).unwrap();
    let floats = |values: [f32; 2]| {
        let bytes = values.map(f32::to_le_bytes).concat();
        let page = TiffPage {
            format: 3,
            ..TiffPage::grey(1, 2, 32, &bytes)
        };
        raster(&tiff(&[page]))
    };
    let error = floats([1.0, f32::NAN]).image(Channels::Gray).unwrap_err();
    assert!(
        error.to_string().contains("row 1, column 0 is NaN"),
        "{error}"
    );
    let far = [1.0_f64, -1e300].map(f64::to_le_bytes).concat();
    let far = TiffPage {
        format: 3,
        ..TiffPage::grey(1, 2, 64, &far)
    };
    let error = raster(&tiff(&[far])).image(Channels::Gray).unwrap_err();
    let expected = "row 1, column 0 is -1e300: only finite numbers of 32 bits";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(
        floats([0.25, -3.5]).image(Channels::Gray).unwrap(),
        [Plane {
            height: 2,
            width: 1,
            data: vec![0.25, -3.5]
        }]
    );
    for value in [0.5, -1.0, f32::NAN, 1e10] {
        let error = floats([1.0, value]).labels().unwrap_err();
        let expected = format!("row 1, column 0 is {}", f64::from(value));
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let mask = |color, data: &[u8]| {
        let raster = raster(&png((2, 1), color, BitDepth::Eight, data));
        raster.labels().unwrap_err().to_string()
    };
    assert!(mask(ColorType::Rgb, &[9, 9, 9, 9, 9, 8]).contains("coloured"));
    assert!(mask(ColorType::GrayscaleAlpha, &[1, 255, 2, 0]).contains("transparent"));
}
