//! Pairing of images and masks.

use std::fs;

use image::GrayImage;
use tiff::encoder::colortype::Gray8;

use crate::{Data, PIXELS, SIZE, contains, two_cells};

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
    contains(&error, "has no partner of the same name in images: add");
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
        "images/b.png is 24x24 pixels, but its mask masks/b.png is 30x10. Export the mask",
    );
}

#[test]
fn stacks_of_different_lengths() {
    let data = Data::empty();
    data.tiff::<Gray8>("train-volume.tif", &vec![vec![3; PIXELS]; 3]);
    data.tiff::<Gray8>("train-labels.tif", &vec![vec![255; PIXELS]; 2]);
    let error = data.refusal_with("train-volume.tif", "--images .");
    contains(&error, "3 image(s)");
    contains(&error, "train-labels.tif holds 2 mask(s)");
    contains(&error, "Add the missing ones");
}

#[test]
fn a_stack_where_a_frame_should_be() {
    let data = Data::empty();
    data.tiff::<Gray8>("01/t000.tif", &vec![vec![3; PIXELS]; 3]);
    data.gray("01_GT/SEG/man_seg000.tif", two_cells);
    contains(&data.refusal_with("t000.tif", "--images ."), "3 pages");
}

#[test]
fn better_masks_for_some_pages_of_a_stack() {
    let data = Data::empty();
    let cells = |at: usize| two_cells(at as u32 % SIZE, at as u32 / SIZE);
    let mask: Vec<u8> = (0..PIXELS).map(cells).collect();
    data.tiff::<Gray8>("images.tif", &vec![vec![3; PIXELS]; 4]);
    data.tiff::<Gray8>("masks.tif", &vec![mask.clone(); 4]);
    data.tiff::<Gray8>("better.tif", &[mask]);
    let options = "--images images.tif --masks masks.tif --validation-masks better.tif";
    let error = data.refusal_with("better.tif holds 1 mask(s)", options);
    contains(&error, "it needs one mask for each image");
}

#[test]
fn a_challenge_folder_without_truth() {
    let data = Data::empty();
    data.gray("01/t000.tif", two_cells)
        .gray("01/t001.tif", two_cells);
    let error = data.refusal_with("01_GT/SEG", "--images .");
    contains(&error, "01 has no truth of the kind that was asked for");
    contains(&error, "01_ST/SEG");
}

#[test]
fn gold_truth_that_nobody_has_drawn_yet() {
    let data = Data::empty();
    for frame in ["000", "001"] {
        data.gray(&format!("01/t{frame}.tif"), |x, y| (x * 7 + y * 3) as u8);
        data.gray(&format!("01_ST/SEG/man_seg{frame}.tif"), two_cells);
    }
    fs::create_dir_all(data.path("01_GT/SEG")).unwrap();
    let output = data.train("--images .");
    assert!(output.status.success(), "{output:?}");
    data.remove("model.onnx").remove("model.run");
    data.refusal_with(
        "01 has no truth of the kind that was asked for",
        "--images . --truth gold",
    );
}

#[test]
fn truth_for_a_frame_that_is_not_there() {
    let data = Data::empty();
    data.gray("01/t000.tif", two_cells);
    for frame in ["000", "007"] {
        data.gray(&format!("01_GT/SEG/man_seg{frame}.tif"), two_cells);
    }
    contains(
        &data.refusal_with("man_seg007.tif", "--images ."),
        "no partner",
    );
}

#[test]
fn images_without_masks() {
    let data = Data::good();
    let error = data.refusal_with("images", "--images images");
    contains(&error, "--masks is missing");
}

#[test]
fn images_that_are_their_own_masks() {
    let error = Data::good().refusal_with("images", "--images images --masks ./images");
    contains(&error, "for the images and for the masks");
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
        "at least one must be left for training",
    );
}

#[test]
fn a_list_that_names_an_unknown_image() {
    let data = Data::good();
    data.write("list.txt", b"a.png\nx.png\n");
    let refusal = || data.refusal_of("list.txt", "--validation-list list.txt");
    contains(&refusal(), "names x.png in line 2");
    data.remove("list.txt");
    contains(&refusal(), "can't read the list");
}

#[test]
fn a_sequence_that_is_not_there() {
    let error = Data::good().refusal_of("02", "--validation-sequence 02");
    contains(&error, "not in sequences");
}
