//! Data that can't be trained on: each is refused by the real program before training starts, with a
//! message that names the file.
#![cfg(feature = "train")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, RgbaImage};
use tempfile::TempDir;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32, Gray32Float, Gray64, GrayI16};
use tiff::encoder::{TiffEncoder, TiffValue};

/// Sides of the pictures.
const SIZE: u32 = 24;
const PIXELS: usize = (SIZE * SIZE) as usize;

/// A folder of data, which is deleted in the end.
struct Data(TempDir);

impl Data {
    /// An empty folder.
    fn empty() -> Self {
        Data(tempfile::tempdir().unwrap())
    }

    /// Four images with good masks: `images/a.png`, `masks/a.png` and so on to `d.png`.
    fn good() -> Self {
        let data = Data::empty();
        for name in ["a", "b", "c", "d"] {
            data.gray(&format!("images/{name}.png"), |x, y| (x * 7 + y * 3) as u8);
            data.gray(&format!("masks/{name}.png"), two_cells);
        }
        data
    }

    /// A path in the folder, whose own folder is there.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn gray(&self, name: &str, value: impl Fn(u32, u32) -> u8) -> &Self {
        let image = GrayImage::from_fn(SIZE, SIZE, |x, y| Luma([value(x, y)]));
        image.save(self.path(name)).unwrap();
        self
    }

    fn write(&self, name: &str, bytes: &[u8]) -> &Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn remove(&self, name: &str) -> &Self {
        let path = self.path(name);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
        self
    }

    /// A TIFF file with these pages.
    fn tiff<C: ColorType>(&self, name: &str, pages: &[Vec<C::Inner>]) -> &Self
    where
        [C::Inner]: TiffValue,
    {
        let mut encoder = TiffEncoder::new(File::create(self.path(name)).unwrap()).unwrap();
        for page in pages {
            encoder.write_image::<C>(SIZE, SIZE, page).unwrap();
        }
        self
    }

    fn train(&self, options: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_unet-train"))
            .current_dir(self.0.path())
            .args(
                "train --overwrite --output model.onnx --width 2 --depth 1 --tile 32 --steps 1"
                    .split(' '),
            )
            .args(options)
            .output()
            .unwrap()
    }

    /// The message of a run on `images` and `masks` that is refused, which names `file`.
    fn refusal(&self, file: &str) -> String {
        self.refusal_with(file, &["--images", "images", "--masks", "masks"])
    }

    /// The message of a run with `options` that is refused, which names `file`.
    fn refusal_with(&self, file: &str, options: &[&str]) -> String {
        let begin = Instant::now();
        let output = self.train(options);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(file), "no {file} in: {error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(!self.0.path().join("model.onnx").exists());
        // Generous, for machines that do other things meanwhile.
        assert!(begin.elapsed() < Duration::from_secs(20));
        error
    }

    /// Trains on `images` and `masks`, which works.
    fn works(&self, options: &[&str]) -> String {
        let folders = ["--images", "images", "--masks", "masks"];
        let output = self.train(&[&folders, options].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert!(self.0.path().join("model.onnx").exists());
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Two squares with the numbers 1 and 2.
fn two_cells(x: u32, y: u32) -> u8 {
    match (x / 6, y / 6) {
        (1, 1) => 1,
        (3, 2) => 2,
        _ => 0,
    }
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "no \"{part}\" in: {text}");
}

#[test]
fn good_data_work() {
    let text = Data::good().works(&[]);
    contains(&text, "4 images from a folder of images and one of masks");
}

#[test]
fn a_folder_that_is_missing() {
    let data = Data::good();
    contains(
        &data.remove("images").refusal("images"),
        "can't read the folder",
    );
    let data = Data::good();
    contains(
        &data.remove("masks").refusal("masks"),
        "can't read the folder",
    );
}

#[test]
fn a_folder_without_pictures() {
    let data = Data::good();
    data.remove("images").write("images/readme.txt", b"none");
    contains(&data.refusal("images"), "no .png, .tif or .tiff file");
}

#[test]
fn an_image_without_a_mask() {
    let error = Data::good().remove("masks/b.png").refusal("images/b.png");
    contains(&error, "has no partner of the same name in masks");
    contains(&error, "--annotated-only");
}

#[test]
fn a_mask_without_an_image() {
    let error = Data::good().remove("images/c.png").refusal("masks/c.png");
    contains(&error, "has no partner of the same name in images");
}

#[test]
fn a_mask_of_another_size() {
    let data = Data::good();
    GrayImage::new(30, 10)
        .save(data.path("masks/b.png"))
        .unwrap();
    let error = data.refusal("masks/b.png");
    contains(
        &error,
        "images/b.png is 24x24 pixels, but its mask masks/b.png is 30x10",
    );
}

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
fn numbers_that_are_not_finite() {
    let data = Data::good();
    let mut pixels: Vec<f32> = (0..PIXELS).map(|at| at as f32).collect();
    data.remove("images/b.png")
        .tiff::<Gray32Float>("images/b.tif", &[pixels.clone()]);
    data.works(&[]);
    data.remove("model.onnx");
    pixels[2 * SIZE as usize + 5] = f32::NAN;
    data.tiff::<Gray32Float>("images/b.tif", &[pixels]);
    contains(&data.refusal("images/b.tif"), "row 2, column 5 is NaN");
}

#[test]
fn masks_whose_values_are_no_labels() {
    let data = Data::good();
    data.remove("masks/b.png")
        .tiff::<Gray32Float>("masks/b.tif", &[vec![0.5; PIXELS]]);
    contains(
        &data.refusal("masks/b.tif"),
        "row 0, column 0 is 0.5: labels are whole numbers",
    );
    data.tiff::<GrayI16>("masks/b.tif", &[vec![-3; PIXELS]]);
    contains(
        &data.refusal("masks/b.tif"),
        "is -3: labels are whole numbers",
    );
    data.tiff::<Gray64>("masks/b.tif", &[vec![1 << 40; PIXELS]]);
    contains(
        &data.refusal("masks/b.tif"),
        "labels are whole numbers from 0 to 4294967295",
    );
}

#[test]
fn labels_above_65535_work() {
    let data = Data::good();
    let mask: Vec<u32> = (0..PIXELS as u32)
        .map(|at| 65_536 * u32::from(at % SIZE < 9))
        .collect();
    data.remove("masks/b.png")
        .tiff::<Gray32>("masks/b.tif", &[mask]);
    data.works(&[]);
}

#[test]
fn masks_that_are_all_empty() {
    let data = Data::good();
    for name in ["a", "b", "c", "d"] {
        data.gray(&format!("masks/{name}.png"), |_, _| 0);
    }
    contains(&data.refusal("masks"), "every mask in masks is empty");
    // One that is empty is an image without cells, from which much is to be learned.
    let data = Data::good();
    data.gray("masks/b.png", |_, _| 0).works(&[]);
}

#[test]
fn a_mask_in_colour() {
    let data = Data::good();
    let mask = RgbImage::from_fn(SIZE, SIZE, |x, _| Rgb([x as u8, 9, 9]));
    mask.save(data.path("masks/c.png")).unwrap();
    contains(&data.refusal("masks/c.png"), "coloured; a mask is grey");
    // Grey that is stored as colour is still grey.
    let mask = RgbImage::from_fn(SIZE, SIZE, |x, y| Rgb([two_cells(x, y); 3]));
    mask.save(data.path("masks/c.png")).unwrap();
    data.works(&[]);
}

#[test]
fn a_mask_that_is_partly_transparent() {
    let data = Data::good();
    let mask = GrayAlphaImage::from_fn(SIZE, SIZE, |x, y| {
        LumaA([two_cells(x, y), if x < 3 { 0 } else { 255 }])
    });
    mask.save(data.path("masks/c.png")).unwrap();
    contains(&data.refusal("masks/c.png"), "transparent");
}

#[test]
fn images_with_an_alpha_channel_work() {
    let data = Data::good();
    let image = RgbaImage::from_fn(SIZE, SIZE, |x, y| {
        image::Rgba([x as u8, y as u8, 9, x as u8])
    });
    image.save(data.path("images/c.png")).unwrap();
    data.works(&["--channels", "rgb"]);
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
    data.works(&[]);
}

#[test]
fn a_class_that_nobody_has_named() {
    let data = Data::good();
    let options = [
        "--images",
        "images",
        "--masks",
        "masks",
        "--classes",
        "ground,nucleus,rim",
    ];
    data.gray("masks/c.png", |x, y| {
        if (x, y) == (4, 3) { 3 } else { two_cells(x, y) }
    });
    let error = data.refusal_with("masks/c.png", &options);
    contains(
        &error,
        "the value 3 at row 3, column 4, but with 3 classes the largest is 2",
    );
    data.works(&["--classes", "ground,nucleus,rim", "--ignore", "3"]);
}

#[test]
fn a_class_that_no_mask_shows() {
    let options = [
        "--images",
        "images",
        "--masks",
        "masks",
        "--classes",
        "ground,nucleus,rim,wall",
    ];
    let error = Data::good().refusal_with("masks", &options);
    contains(
        &error,
        "no mask in masks has a pixel of the class wall (value 3)",
    );
}

#[test]
fn masks_to_judge_by_need_not_show_all_classes() {
    let data = Data::good();
    data.gray("better/d.png", |x, y| two_cells(x, y) % 2)
        .write("list.txt", b"d.PNG\n");
    data.works(&[
        "--classes",
        "ground,nucleus,rim",
        "--validation-list",
        "list.txt",
        "--validation-masks",
        "better",
    ]);
}

#[test]
fn masks_of_nothing_but_what_is_to_be_ignored() {
    let data = Data::good();
    for name in ["a", "b", "c", "d"] {
        data.gray(&format!("masks/{name}.png"), |_, _| 255);
    }
    let options = ["--images", "images", "--masks", "masks", "--ignore", "255"];
    let error = data.refusal_with("masks", &options);
    contains(&error, "nothing but 255, the value to ignore");
}

#[test]
fn stacks_of_different_lengths() {
    let data = Data::empty();
    data.tiff::<Gray8>("train-volume.tif", &vec![vec![3; PIXELS]; 3]);
    data.tiff::<Gray8>("train-labels.tif", &vec![vec![255; PIXELS]; 2]);
    let error = data.refusal_with("train-volume.tif", &["--images", "."]);
    contains(&error, "3 image(s)");
    contains(&error, "train-labels.tif holds 2 mask(s)");
}

#[test]
fn a_stack_where_a_frame_should_be() {
    let data = Data::empty();
    data.tiff::<Gray8>("01/t000.tif", &vec![vec![3; PIXELS]; 3]);
    data.gray("01_GT/SEG/man_seg000.tif", two_cells);
    contains(
        &data.refusal_with("t000.tif", &["--images", "."]),
        "3 pages",
    );
}

#[test]
fn a_page_of_a_stack_that_is_damaged() {
    let data = Data::empty();
    data.tiff::<Gray8>("images.tif", &vec![vec![3; PIXELS]; 2]);
    data.tiff::<Gray32Float>("masks.tif", &[vec![1.0; PIXELS], vec![0.25; PIXELS]]);
    let options = ["--images", "images.tif", "--masks", "masks.tif"];
    contains(
        &data.refusal_with("masks.tif", &options),
        "(page 1, the first is 0)",
    );
}

#[test]
fn a_challenge_folder_without_truth() {
    let data = Data::empty();
    data.gray("01/t000.tif", two_cells)
        .gray("01/t001.tif", two_cells);
    let error = data.refusal_with("01_GT/SEG", &["--images", "."]);
    contains(&error, "01 has no truth of the kind that was asked for");
    contains(&error, "01_ST/SEG");
}

#[test]
fn truth_for_a_frame_that_is_not_there() {
    let data = Data::empty();
    data.gray("01/t000.tif", two_cells);
    for frame in ["000", "007"] {
        data.gray(&format!("01_GT/SEG/man_seg{frame}.tif"), two_cells);
    }
    contains(
        &data.refusal_with("man_seg007.tif", &["--images", "."]),
        "no partner",
    );
}

#[test]
fn images_without_a_word_about_masks() {
    let data = Data::good();
    let error = data.refusal_with("images", &["--images", "images"]);
    contains(&error, "--masks is missing");
}

#[test]
fn images_that_are_their_own_masks() {
    let options = ["--images", "images", "--masks", "./images"];
    contains(
        &Data::good().refusal_with("images", &options),
        "for the images and for the masks",
    );
}

#[test]
fn two_files_of_one_name() {
    let data = Data::good();
    let error = data.gray("images/a.tif", two_cells).refusal("images/a.tif");
    contains(&error, "images/a.png and images/a.tif have the same name");
}

#[test]
fn one_image_alone() {
    let data = Data::empty();
    data.gray("images/a.png", |x, _| x as u8)
        .gray("masks/a.png", two_cells);
    contains(
        &data.refusal("1 image(s)"),
        "at least one must be on each side",
    );
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
    data.works(&[]);
}

#[test]
fn a_list_that_names_an_unknown_image() {
    let data = Data::good();
    data.write("list.txt", b"a.png\nx.png\n");
    let options = [
        "--images",
        "images",
        "--masks",
        "masks",
        "--validation-list",
        "list.txt",
    ];
    contains(
        &data.refusal_with("list.txt", &options),
        "names x.png in line 2",
    );
    data.remove("list.txt");
    contains(
        &data.refusal_with("list.txt", &options),
        "can't read the list",
    );
}

#[test]
fn a_sequence_that_is_not_there() {
    let options = [
        "--images",
        "images",
        "--masks",
        "masks",
        "--validation-sequence",
        "02",
    ];
    contains(
        &Data::good().refusal_with("02", &options),
        "not in sequences",
    );
}

#[test]
fn a_folder_with_the_name_of_a_picture() {
    let data = Data::good();
    fs::create_dir(data.path("images/e.png")).unwrap();
    contains(&data.refusal("images/e.png"), "is no file");
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let data = Data::good();
    let name = Path::new(OsStr::from_bytes(b"caf\xe9.png"));
    fs::copy(data.path("images/a.png"), data.path("images").join(name)).unwrap();
    contains(&data.refusal("images/caf"), "not valid UTF-8");
}

#[test]
fn a_class_mask_of_16_bits_beyond_all_classes() {
    let data = Data::good();
    let mask = ImageBuffer::<Luma<u16>, _>::from_pixel(SIZE, SIZE, Luma([700]));
    mask.save(data.path("masks/b.png")).unwrap();
    let options = [
        "--images",
        "images",
        "--masks",
        "masks",
        "--kind",
        "classes",
        "--classes",
        "no,yes,more",
    ];
    contains(
        &data.refusal_with("masks/b.png", &options),
        "the value 700 at row 0, column 0",
    );
}
