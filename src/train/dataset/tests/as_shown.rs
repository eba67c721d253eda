//! The network learns from what the element would show it.

use std::fs::File;

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray32Float;

use super::Folder;
use crate::contract::{Channels, Normalization};
use crate::picture::{self, Format, Frame, Normalizer, YuvCoding};
use crate::tiling::{Blend, Plan, Size, TileSize};
use crate::train::apply::picture::Picture;
use crate::train::dataset::{InputChannels, Reader, Source, annotations, load, standardised};
use crate::train::plane::Plane;
use crate::unet::UNet;

/// The element's input of a network that gets a whole frame, without its margin.
fn element(frame: &Frame, channels: Channels) -> Vec<f32> {
    let unet = UNet {
        channels: channels.count(),
        classes: 2,
        width: 1,
        depth: 1,
        padded: true,
    };
    let size = Size {
        width: frame.width(),
        height: frame.height(),
    };
    let plan = Plan::new(size, &unet.geometry(), Blend::Crop, TileSize::Inner(64)).unwrap();
    let (rows, columns) = plan.tiles().next().unwrap();
    let mut input = vec![0.0; channels.count() * plan.outer.area()];
    let scaling = Normalizer::new(Normalization::ZScore).scaling(frame, channels);
    picture::fill_tile_input(
        frame,
        channels,
        scaling,
        (rows, columns),
        plan.outer,
        &mut input,
    );
    let planes = input.chunks_exact(plan.outer.area());
    planes
        .flat_map(|plane| {
            let lines = plane.chunks_exact(plan.outer.width).skip(rows.source);
            let lines = lines.take(size.height);
            lines.flat_map(|line| line[columns.source..][..size.width].to_vec())
        })
        .collect()
}

#[test]
fn the_network_learns_from_what_the_element_shows_it() {
    const SIZE: (u32, u32) = (32, 24);
    let folder = Folder::new();
    let noise = |at: usize| (at as u32).wrapping_mul(2_654_435_761) >> 12;
    let count = (SIZE.0 * SIZE.1) as usize;
    let rgb: Vec<u8> = (0..3 * count)
        .map(|at| (noise(at) % 200 + at as u32 % 3 * 20) as u8)
        .collect();
    let deep: Vec<u16> = (0..count)
        .map(|at| (33_000 + noise(at) % 900) as u16)
        .collect();
    let picture = RgbImage::from_raw(SIZE.0, SIZE.1, rgb.clone()).unwrap();
    picture.save(folder.path("images/rgb.png")).unwrap();
    let picture = ImageBuffer::<Luma<u16>, _>::from_raw(SIZE.0, SIZE.1, deep.clone()).unwrap();
    picture.save(folder.path("images/deep.tif")).unwrap();
    for name in ["deep", "rgb"] {
        let mask = GrayImage::from_fn(SIZE.0, SIZE.1, |x, _| Luma([u8::from(x > 0)]));
        mask.save(folder.path(&format!("masks/{name}.png")))
            .unwrap();
    }
    let deep: Vec<u8> = deep.into_iter().flat_map(u16::to_le_bytes).collect();
    for channels in [InputChannels::Gray, InputChannels::Rgb] {
        let source = Source {
            channels,
            ..folder.source()
        };
        let samples = load(&source).unwrap().samples;
        for (sample, (format, bytes)) in samples
            .iter()
            .zip([(Format::Gray16Le, &deep), (Format::Rgb, &rgb)])
        {
            let stride = bytes.len() / SIZE.1 as usize;
            let planes = [picture::Plane {
                data: bytes,
                stride,
            }];
            let size = (SIZE.0 as usize, SIZE.1 as usize);
            let frame = Frame::new(format, size.0, size.1, &planes, YuvCoding::BT601).unwrap();
            let expected = element(&frame, channels.into());
            let found: Vec<f32> = sample.image.iter().flat_map(|p| p.data.clone()).collect();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{found} {expected} {format:?}"
                );
            }
        }
    }
}

#[test]
fn values_that_no_frame_holds_are_learned_as_they_are_shown() {
    let folder = Folder::new();
    let deep = ImageBuffer::<Rgb<u16>, _>::from_fn(9, 6, |x, y| {
        let (x, y) = (x as u16, y as u16);
        Rgb([900 * x, 700 * y + x, 65_000 - 31 * x * y])
    });
    deep.save(folder.path("images/deep.png")).unwrap();
    let fractions: Vec<f32> = (0..54)
        .map(|at| (at * at % 37) as f32 / 7.0 - 2.0)
        .collect();
    let mut encoder =
        TiffEncoder::new(File::create(folder.path("images/float.tif")).unwrap()).unwrap();
    encoder
        .write_image::<Gray32Float>(9, 6, &fractions)
        .unwrap();
    for name in ["deep", "float"] {
        let mask = GrayImage::from_fn(9, 6, |x, _| Luma([u8::from(x > 0)]));
        mask.save(folder.path(&format!("masks/{name}.png")))
            .unwrap();
    }
    for channels in [InputChannels::Gray, InputChannels::Rgb] {
        let source = Source {
            channels,
            ..folder.source()
        };
        let unet = UNet {
            channels: source.channels().count(),
            classes: 2,
            width: 1,
            depth: 1,
            padded: true,
        };
        let contract = unet.contract("any");
        let files = annotations(&source).unwrap().samples;
        for (sample, file) in load(&source).unwrap().samples.iter().zip(&files) {
            let picture = Reader::default().read(&file.image, |r| Picture::of(r, &contract));
            let picture = picture.unwrap();
            let expected = element(&picture.frame().unwrap(), source.channels());
            let found: Vec<f32> = sample.image.iter().flat_map(|p| p.data.clone()).collect();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let name = &sample.name;
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{found} {expected} {name} {channels:?}"
                );
            }
        }
    }
}

#[test]
fn a_constant_image_is_finite() {
    let flat = standardised(vec![Plane::filled(4, 4, 7.0)]);
    assert_eq!(flat[0].data, [0.0; 16]);
}
