//! Masks: labels and classes.

use image::{GrayAlphaImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage};
use tiff::encoder::colortype::{Gray32, Gray32Float, Gray64, GrayI16};

use crate::{Data, PIXELS, SIZE, contains, two_cells};

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
        "labels are whole numbers from 0 to 4294967295. Save the mask with such numbers",
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
    data.works("");
}

#[test]
fn masks_that_are_all_empty() {
    let data = Data::good();
    for name in ["a", "b", "c", "d"] {
        data.gray(&format!("masks/{name}.png"), |_, _| 0);
    }
    contains(&data.refusal("masks"), "every mask in masks is empty");
    // A single empty one is an image without cells, which is useful for training.
    let data = Data::good();
    let text = data.gray("masks/b.png", |_, _| 0).works("");
    contains(&text, "note: 1 mask(s) are empty, such as b:");
}

/// Programs that number classes from 1 write background as 1.
#[test]
fn masks_without_background() {
    for (background, cell) in [(1, 2), (1, 255), (255, 255)] {
        let data = Data::good();
        for name in ["a", "b", "c", "d"] {
            data.gray(&format!("masks/{name}.png"), |x, y| {
                if two_cells(x, y) == 0 {
                    background
                } else {
                    cell
                }
            });
        }
        let error = data.refusal("masks/a.png");
        contains(&error, "masks/a.png has no background");
        contains(&error, "--kind instances");
        for kind in ["--kind binary", "--kind membranes"] {
            let error = data.refusal_of("masks/a.png", kind);
            contains(&error, "has no background");
        }
        data.works("--kind instances");
        // One with background is enough, but the others are named.
        let text = data.gray("masks/d.png", two_cells).works("");
        contains(&text, "note: 3 mask(s) have hardly any background");
        contains(&text, "masks/a.png");
    }
}

#[test]
fn classes_numbered_from_1() {
    let data = Data::good().with_masks(|x, y| 1 + two_cells(x, y).min(1));
    let error = data.refusal_of("masks", "--classes ground,one,two");
    contains(&error, "has the value 0, which is ground");
}

#[test]
fn a_second_number_that_may_mean_something_else() {
    let data = Data::good().with_masks(|x, y| match (two_cells(x, y), x < 3) {
        (0, true) => 255,
        (0, false) => 0,
        (_, _) => 1,
    });
    contains(&data.works(""), "note: 255 counts as one cell in 4 masks");
    let text = data.works("--kind binary");
    contains(&text, "masks/a.png, both 1 and 255 count as cell");
    assert!(!data.works("--ignore 255").contains("255 marks"));
}

#[test]
fn masks_with_smoothed_edges() {
    let data = Data::good();
    for name in ["a", "b", "c", "d"] {
        data.gray(&format!("masks/{name}.png"), |x, y| {
            let far = f32::hypot(x as f32 - 12.0, y as f32 - 12.0);
            ((10.0 - far) * 85.0).clamp(0.0, 255.0) as u8
        });
    }
    let error = data.refusal("masks/a.png");
    contains(&error, "such as 8 and 12.");
    contains(&error, "--kind binary");
    data.works("--kind instances");
    let text = data.works("--kind binary");
    contains(&text, "its components as cells (4 cells)");
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
    data.works("");
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
fn a_class_without_a_name() {
    let data = Data::good();
    data.gray("masks/c.png", |x, y| {
        if (x, y) == (4, 3) { 3 } else { two_cells(x, y) }
    });
    let error = data.refusal_of("masks/c.png", "--classes ground,nucleus,rim");
    contains(
        &error,
        "the value 3 at row 3, column 4, but with 3 classes the largest is 2",
    );
    data.works("--classes ground,nucleus,rim --ignore 3");
}

#[test]
fn a_class_that_no_mask_shows() {
    let error = Data::good().refusal_of("masks", "--classes ground,nucleus,rim,wall");
    contains(
        &error,
        "no mask in masks has a pixel of the class wall (value 3)",
    );
}

#[test]
fn a_class_mask_of_16_bits_beyond_all_classes() {
    let data = Data::good();
    let mask = ImageBuffer::<Luma<u16>, _>::from_pixel(SIZE, SIZE, Luma([700]));
    mask.save(data.path("masks/b.png")).unwrap();
    let error = data.refusal_of("masks/b.png", "--kind classes --classes no,yes,more");
    contains(&error, "the value 700 at row 0, column 0");
}

#[test]
fn masks_for_validation_need_not_show_all_classes() {
    let data = Data::good();
    data.gray("better/d.png", |x, y| two_cells(x, y) % 2)
        .write("list.txt", b"d.PNG\n");
    let classes = "--classes ground,nucleus,rim";
    data.works(&format!(
        "{classes} --validation-list list.txt --validation-masks better"
    ));
}

#[test]
fn masks_of_nothing_but_ignored_pixels() {
    let data = Data::good();
    for name in ["a", "b", "c", "d"] {
        data.gray(&format!("masks/{name}.png"), |_, _| 255);
    }
    let error = data.refusal_of("masks", "--ignore 255");
    contains(&error, "nothing but 255, the value to ignore");
}
