//! Errors of data sets.

use std::path::PathBuf;

use super::page::Page;
use crate::train::memory::TooManyImages;
use crate::train::read::ReadError;

/// An error in the data, with the file that has it.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The images don't fit into memory.
    #[error(transparent)]
    Memory(TooManyImages),
    /// Options that contradict each other.
    #[error("{0}")]
    Options(String),
    /// The folder can't be listed.
    #[error("can't read the folder {}: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder without images.
    #[error("no .png, .tif or .tiff file in {}", .0.display())]
    Empty(PathBuf),
    /// Images without masks, in no layout that would say where these are.
    #[error(
        "--masks is missing, and nothing in {} shows where the masks are: neither sequences of the Cell Tracking Challenge (01, 01_GT/SEG), nor train-volume.tif and train-labels.tif, nor folders named images and masks",
        .0.display()
    )]
    NoMasks(PathBuf),
    /// A single file of images, and no masks.
    #[error(
        "--masks is missing: masks are found without it only if --images names a folder, and {} is a file",
        .0.display()
    )]
    NoMasksOfFile(PathBuf),
    /// A Cell Tracking Challenge folder without a sequence.
    #[error("{} holds no sequence of the Cell Tracking Challenge: a folder like 01 with t000.tif in it", .0.display())]
    NoSequence(PathBuf),
    /// A sequence without truth.
    #[error(
        "{} has no truth of the kind that was asked for: no man_seg*.tif in {}; if other sequences have it, --annotated-only leaves this one out",
        sequence.display(), looked_in.join(" or ")
    )]
    NoTruth {
        /// The folder of frames.
        sequence: PathBuf,
        /// Where truth was looked for.
        looked_in: Vec<String>,
    },
    /// No sequence has gold truth to validate by.
    #[error(
        "--validation-masks: no gold truth (man_seg*.tif) in {}: name a folder of it, such as 01_GT/SEG, or the one that holds 01_GT",
        .0.join(" or ")
    )]
    NoBetterTruth(Vec<String>),
    /// A folder of truth that belongs to one of several sequences, but not to which.
    #[error(
        "{} holds the masks of one sequence, and none of the sequences in {} matches its folder (02 for 02_GT/SEG): set --images to the folder of that sequence, or --masks to a folder with one such folder for each",
        masks.display(), images.display()
    )]
    WhichSequence {
        /// The folder of truth.
        masks: PathBuf,
        /// The folder of the sequences.
        images: PathBuf,
    },
    /// Images and masks are the same files.
    #[error("{} is given for the images and for the masks", .0.display())]
    Same(PathBuf),
    /// A folder, a special file or a broken link that is named like a picture.
    #[error("{} is named like a picture, but is {what}: remove or rename it", path.display())]
    NoFile {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A name that can't be written into lists and reports.
    #[error(
        "the name of {0:?} is not valid UTF-8, or has a line break or another control character: rename it"
    )]
    Name(PathBuf),
    /// Two files that differ in their ending only.
    #[error("{} and {} have the same name apart from the extension: remove one", .0.display(), .1.display())]
    Twice(PathBuf, PathBuf),
    /// Two images that would have one name in lists and reports, such as a file and a page of a stack.
    #[error("{} and {} would both be the image {name}: rename one", pages[0], pages[1])]
    SameName {
        /// The name.
        name: String,
        /// The images.
        pages: Box<[Page; 2]>,
    },
    /// An image without a mask, or a mask without an image.
    #[error(
        "{} has no partner of the same name in {}{}", file.display(), folder.display(),
        if *is_image { ": draw its mask, remove it, or leave such images out with --annotated-only" }
        else { ": add its image, or remove it" }
    )]
    NoPartner {
        /// The file that is alone.
        file: PathBuf,
        /// Where its partner should be.
        folder: PathBuf,
        /// Whether it is an image, not a mask.
        is_image: bool,
    },
    /// A stack with more pages than its partner.
    #[error(
        "{} holds {image_pages} image(s), but {} holds {mask_pages} mask(s): they belong together page by page. Add the missing ones, or remove those without a partner",
        image.display(), mask.display()
    )]
    Pages {
        /// The images.
        image: PathBuf,
        /// How many.
        image_pages: usize,
        /// The masks.
        mask: PathBuf,
        /// How many.
        mask_pages: usize,
    },
    /// Better masks of only some of the images, where masks have no names to pair them by.
    #[error(
        "--validation-masks: {} holds {mask_pages} mask(s) for the {image_pages} image(s) in {}. Stacks are paired page by page, so it needs one mask for each image: repeat that of --masks where there is no better one",
        mask.display(), image.display()
    )]
    BetterPages {
        /// The images.
        image: PathBuf,
        /// How many.
        image_pages: usize,
        /// The better masks.
        mask: PathBuf,
        /// How many.
        mask_pages: usize,
    },
    /// A file that is no image, or not one of the kinds that are read.
    #[error("can't use {page}: {error}")]
    Unreadable {
        /// The file, and where in it.
        page: Page,
        /// Why.
        error: ReadError,
    },
    /// A mask of another size than its image.
    #[error(
        "{image} is {}x{} pixels, but its mask {mask} is {}x{}. Export the mask at the size of the image, or resize it to that size without smoothing (nearest neighbour)",
        image_size.1, image_size.0, mask_size.1, mask_size.0
    )]
    Sizes {
        /// The image.
        image: Page,
        /// Height and width of the image.
        image_size: (usize, usize),
        /// The mask.
        mask: Page,
        /// Height and width of the mask.
        mask_size: (usize, usize),
    },
    /// Masks of many numbers, many of which can't be those of cells.
    #[error(
        "{mask} would show a cell for each of its numbers, but many of them are in thin rims or many pieces, such as {} and {}. If these are masks, choose: --kind binary for foreground whose edges were smoothed by resizing (resize labels by nearest neighbour instead), --kind classes for classes, which train needs the names of (--classes), --kind instances if each number really is a cell",
        values[0], values[1]
    )]
    NoCellNumbers {
        /// The first of them.
        mask: Page,
        /// Two such numbers.
        values: [u32; 2],
    },
    /// A number in a mask of classes that is no class.
    #[error(
        "{mask} has the value {value} at row {row}, column {column}, but with {classes} classes the largest is {}: leave such pixels out by --ignore {value}, train with one more name in --classes or, if masks number cells, with --kind instances",
        classes - 1
    )]
    Class {
        /// The mask.
        mask: Page,
        /// The value.
        value: u32,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A class that no mask shows.
    #[error("no mask in {} has a pixel of the class {name} (value {value}): remove it from --classes, or annotate it", masks.display())]
    Unseen {
        /// Where the masks are.
        masks: PathBuf,
        /// Name of the class.
        name: String,
        /// Its number.
        value: usize,
    },
    /// No mask shows a cell.
    #[error("every mask in {} is empty: there is nothing to learn", .0.display())]
    NoCells(PathBuf),
    /// No pixel of any mask is background.
    #[error(
        "{mask} has no background, nor has any other mask: background, or membrane, is 0, but none of their pixels is. If another number means background, such as 1, renumber the masks. If these are cells with a number each that fill every picture, choose --kind instances"
    )]
    NoBackground {
        /// The first of them.
        mask: Page,
    },
    /// No mask shows the first class.
    #[error(
        "no mask in {} has the value 0, which is {name}, the first class: classes are numbered from 0. Renumber the masks, or add a name for 0 to --classes and annotate it",
        masks.display()
    )]
    NoFirstClass {
        /// Where the masks are.
        masks: PathBuf,
        /// The name of the class.
        name: String,
    },
    /// All pixels of all masks are ignored.
    #[error("every mask in {} holds nothing but {value}, the value to ignore: there is nothing to learn", masks.display())]
    AllIgnored {
        /// Where the masks are.
        masks: PathBuf,
        /// The value.
        value: u32,
    },
    /// Nothing would be left to learn from.
    #[error(
        "{option} would hold back all of {images} image(s): at least one must be left for training, and one for validation"
    )]
    AllHeldBack {
        /// The option that says what is held back.
        option: String,
        /// How many images there are.
        images: usize,
    },
    /// Nothing would be left at all.
    #[error(
        "--leave-out names all of {0} image(s): at least two must be left, one for training and one for validation"
    )]
    AllLeftOut(usize),
    /// Nothing to learn from.
    #[error(
        "none of the {0} training images shows a cell: all images with cells are held back. Hold back others with --validation-list"
    )]
    NothingToLearn(usize),
    /// A class that only images show which are held back or left out.
    #[error(
        "no training image shows the class {name} (value {value}): all images that show it are held back or left out. Hold back others with --validation-list"
    )]
    ClassHeldBack {
        /// Name of the class.
        name: String,
        /// Its number.
        value: usize,
    },
    /// No image held back shows a cell.
    #[error("no image held back shows a cell ({}), so a network that finds none would be the best: hold back others with --validation-list", .0.join(" "))]
    NothingToFind(Vec<String>),
    /// A sequence to hold back that is not there.
    #[error("--validation-sequence {sequence}: there is no such sequence; {}",
        if there.is_empty() { "the images are not in sequences".into() } else { format!("there is {}", there.join(", ")) }
    )]
    UnknownSequence {
        /// The name that was given.
        sequence: String,
        /// The names that there are.
        there: Vec<String>,
    },
    /// Better masks for images that are not held back.
    #[error("--validation-masks has a mask for none of the {0} image(s) held back")]
    Unjudged(usize),
    /// An image to leave out that is not there.
    #[error("--leave-out {name}: there is no such image; the first is named {first}")]
    NothingLeftOut {
        /// The name that was given.
        name: String,
        /// Name of the first image there is.
        first: String,
    },
    /// A list that names no image.
    #[error("{} names no image: one name per line is needed", .0.display())]
    EmptyList(PathBuf),
    /// The list of images to hold back can't be read.
    #[error("can't read the list {}: {error}", list.display())]
    List {
        /// The list.
        list: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A list that names an image that is not there.
    #[error("{} names {name} in line {line}, but there is no such image; the first is named {first}", list.display())]
    UnknownImage {
        /// The list.
        list: PathBuf,
        /// The name.
        name: String,
        /// Its line, from 1.
        line: usize,
        /// Name of the first image there is.
        first: String,
    },
}

impl DatasetError {
    /// The same about the masks of `--validation-masks`.
    pub fn of_better_masks(self) -> Self {
        match self {
            DatasetError::Pages {
                image,
                image_pages,
                mask,
                mask_pages,
            } => DatasetError::BetterPages {
                image,
                image_pages,
                mask,
                mask_pages,
            },
            DatasetError::NoTruth { looked_in, .. } => DatasetError::NoBetterTruth(looked_in),
            error => error,
        }
    }
}
