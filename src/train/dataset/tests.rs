mod as_shown;

use std::fs::{self, File};

use image::{GrayImage, ImageBuffer, Luma};
use tempfile::TempDir;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray8;

use super::*;

/// A folder that is deleted in the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A path in it, whose folder is there.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// An image of 3x2 pixels.
    fn image(&self, name: &str) -> &Self {
        let pixels = GrayImage::from_raw(3, 2, vec![0, 10, 20, 30, 40, 50]).unwrap();
        pixels.save(self.path(name)).unwrap();
        self
    }

    /// A mask of 3x2 pixels.
    fn mask(&self, name: &str, labels: [u16; 6]) -> &Self {
        let pixels = ImageBuffer::<Luma<u16>, _>::from_raw(3, 2, labels.to_vec()).unwrap();
        pixels.save(self.path(name)).unwrap();
        self
    }

    /// A TIFF stack of pages of 3x2 pixels.
    fn stack(&self, name: &str, pages: &[[u8; 6]]) -> &Self {
        let mut encoder = TiffEncoder::new(File::create(self.path(name)).unwrap()).unwrap();
        for page in pages {
            encoder.write_image::<Gray8>(3, 2, page).unwrap();
        }
        self
    }

    /// What is in it, with the masks found beside the images.
    fn source(&self) -> Source {
        Source {
            images: self.0.path().into(),
            ..Source::default()
        }
    }

    fn load(&self) -> Result<Dataset, DatasetError> {
        load(&self.source())
    }
}

fn names(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.name.as_str()).collect()
}

#[test]
fn folders_pair_by_name_in_the_order_of_counting() {
    let folder = Folder::new();
    folder
        .image("images/t10.png")
        .mask("masks/t10.tif", [0, 0, 1, 2, 2, 300]);
    folder.image("images/t9.TIFF").mask("masks/t9.png", [0; 6]);
    fs::write(folder.path("images/notes.txt"), "no image").unwrap();
    fs::write(folder.path("images/._t9.png"), "what macOS leaves").unwrap();
    let dataset = folder.load().unwrap();
    assert_eq!(
        (dataset.layout, dataset.kind),
        (Layout::Folders, MaskKind::Instances)
    );
    assert_eq!(names(&dataset.samples), ["t9", "t10"]);
    assert_eq!(dataset.samples[1].truth.cells.data, [0, 0, 1, 2, 2, 300]);
    // Mean 25, variance (25^2 + 15^2 + 5^2) / 3.
    let deviation = (875.0_f64 / 3.0).sqrt() + 1e-6;
    let expected = [-25.0, -15.0, -5.0, 5.0, 15.0, 25.0].map(|x| (x / deviation) as f32);
    assert_eq!(dataset.samples[0].image[0].data, expected);
}

#[test]
fn images_without_masks_are_left_out_when_that_is_asked_for() {
    let folder = Folder::new();
    folder
        .image("images/a.png")
        .image("images/b.png")
        .mask("masks/b.png", [0, 1, 1, 1, 1, 1]);
    assert!(matches!(folder.load(), Err(DatasetError::NoPartner { .. })));
    let dataset = load(&Source {
        annotated_only: true,
        ..folder.source()
    })
    .unwrap();
    assert_eq!(names(&dataset.samples), ["b"]);
    assert!(
        dataset
            .to_string()
            .contains("1 images without a mask left out")
    );
}

#[test]
fn sequences_without_truth_are_left_out_when_that_is_asked_for() {
    let folder = Folder::new();
    for frame in ["01/t000.tif", "01/t001.tif", "02/t000.tif", "02/t001.tif"] {
        folder.image(frame);
    }
    let annotated_only = Source {
        annotated_only: true,
        ..folder.source()
    };
    let refusal = |source: &Source| load(source).unwrap_err().to_string();
    let error = refusal(&annotated_only);
    assert!(error.contains("01 has no truth"), "{error}");

    folder.mask("01_GT/SEG/man_seg001.tif", [0, 0, 1, 0, 0, 9]);
    let error = refusal(&folder.source());
    assert!(
        error.contains("02 has no truth") && error.contains("--annotated-only"),
        "{error}"
    );
    let dataset = load(&annotated_only).unwrap();
    assert_eq!(names(&dataset.samples), ["01/t001"]);
    let text = dataset.to_string();
    assert!(text.contains("3 images without a mask left out"), "{text}");
}

/// A file and a page of a stack, one of which could be judged by while the other is learned from.
#[test]
fn two_images_of_one_name_are_refused() {
    let folder = Folder::new();
    folder
        .stack("images/a.tif", &[[5; 6], [6; 6]])
        .image("images/a-001.png");
    folder
        .stack("masks/a.tif", &[[1; 6], [0; 6]])
        .mask("masks/a-001.png", [0; 6]);
    let error = folder.load().unwrap_err().to_string();
    for part in [
        "a.tif (page 1, the first is 0) and ",
        "a-001.png would both be the image a-001",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn sequences_of_the_challenge_take_gold_before_silver() {
    let folder = Folder::new();
    for sequence in ["01", "02"] {
        for frame in ["t000", "t001", "t002"] {
            folder.image(&format!("{sequence}/{frame}.tif"));
        }
    }
    let seg = |kind: &str, frame: &str, cell| {
        folder.mask(
            &format!("{kind}/SEG/man_seg{frame}.tif"),
            [0, 0, cell, 0, 0, 9],
        );
    };
    seg("01_GT", "001", 1);
    seg("01_ST", "000", 2);
    seg("01_ST", "001", 3);
    seg("02_GT", "002", 4);
    folder.image("01_GT/TRA/man_track000.tif");
    let found = |source: &Source| -> Vec<(String, u32)> {
        let dataset = load(source).unwrap();
        assert_eq!(dataset.layout, Layout::CellTracking);
        let samples = dataset.samples.into_iter();
        samples.map(|s| (s.name, s.truth.cells.data[2])).collect()
    };
    let expect = |list: &[(&str, u32)]| -> Vec<(String, u32)> {
        list.iter()
            .map(|(name, cell)| ((*name).into(), *cell))
            .collect()
    };
    let gold_first = expect(&[("01/t000", 2), ("01/t001", 1), ("02/t002", 4)]);
    assert_eq!(found(&folder.source()), gold_first);
    let gold = Source {
        truth: Standard::Gold,
        ..folder.source()
    };
    assert_eq!(found(&gold), expect(&[("01/t001", 1), ("02/t002", 4)]));
    let silver = Source {
        truth: Standard::Silver,
        ..folder.source()
    };
    let error = load(&silver).unwrap_err().to_string();
    assert!(
        error.contains("02 has no truth") && error.contains("02_ST"),
        "{error}"
    );
    // One sequence by itself, and with its folder of masks.
    let one = Source {
        images: folder.path("01"),
        ..silver
    };
    assert_eq!(found(&one), expect(&[("01/t000", 2), ("01/t001", 3)]));
    let with_masks = Source::new(folder.path("01"), folder.path("01_GT/SEG"));
    assert_eq!(found(&with_masks), expect(&[("01/t001", 1)]));
}

#[test]
fn digits_may_be_the_name_of_a_folder_of_sequences() {
    let folder = Folder::new();
    folder
        .image("20240315/01/t000.tif")
        .mask("20240315/01_GT/SEG/man_seg000.tif", [0, 0, 1, 0, 0, 9]);
    let dataset = load(&Source {
        images: folder.path("20240315"),
        ..Source::default()
    });
    assert_eq!(names(&dataset.unwrap().samples), ["01/t000"]);
}

#[test]
fn stacks_pair_page_by_page_with_stacks_or_folders() {
    let folder = Folder::new();
    let image = [0, 10, 20, 30, 40, 50];
    folder.stack("train-volume.tif", &[image, image]);
    folder.stack("train-labels.tif", &[[0; 6], [255, 0, 255, 0, 0, 0]]);
    let dataset = folder.load().unwrap();
    assert_eq!(
        (dataset.layout, dataset.kind),
        (Layout::Stacks, MaskKind::Membranes)
    );
    assert_eq!(
        names(&dataset.samples),
        ["train-volume-000", "train-volume-001"]
    );
    assert_eq!(dataset.samples[1].truth.cells.data, [1, 0, 2, 0, 0, 0]);

    folder
        .mask("labels/1.png", [1, 1, 2, 0, 0, 0])
        .mask("labels/2.png", [0; 6]);
    let mixed = Source::new(folder.path("train-volume.tif"), folder.path("labels"));
    let samples = load(&mixed).unwrap().samples;
    assert_eq!(samples[0].truth.cells.data, [1, 1, 2, 0, 0, 0]);

    folder.mask("labels/3.png", [0; 6]);
    let error = load(&mixed).unwrap_err().to_string();
    assert!(
        error.contains("2 image(s)") && error.contains("3 mask(s)"),
        "{error}"
    );
}

#[test]
fn a_file_of_images_needs_masks() {
    let folder = Folder::new();
    folder.stack("stack.tif", &[[5; 6], [6; 6]]);
    let alone = Source {
        images: folder.path("stack.tif"),
        ..Source::default()
    };
    let error = load(&alone).unwrap_err().to_string();
    assert!(
        error.starts_with("--masks is missing") && error.ends_with("stack.tif is a file"),
        "{error}"
    );
}

#[test]
fn stacks_in_folders_are_sequences() {
    let folder = Folder::new();
    folder
        .stack("images/a.tif", &[[5; 6], [6; 6]])
        .image("images/b.png");
    folder
        .stack("masks/a.tif", &[[1; 6], [0; 6]])
        .mask("masks/b.png", [0; 6]);
    let samples = folder.load().unwrap().samples;
    assert_eq!(names(&samples), ["a-000", "a-001", "b"]);
    let sequences: Vec<_> = samples.iter().map(|s| s.sequence.as_str()).collect();
    assert_eq!(sequences, ["a", "a", ""]);
    // Paired by their order, too.
    let in_order = Source {
        layout: Some(Layout::Stacks),
        ..Source::new(folder.path("images"), folder.path("masks"))
    };
    let samples = load(&in_order).unwrap().samples;
    let sequences: Vec<_> = samples.iter().map(|s| s.sequence.as_str()).collect();
    assert_eq!(sequences, ["a", "a", ""]);
}

/// The truth in one mask.
fn truth(labels: [u16; 6], change: impl FnOnce(&mut Source)) -> (MaskKind, Truth) {
    let folder = Folder::new();
    folder.image("images/a.png").mask("masks/a.png", labels);
    let mut source = folder.source();
    change(&mut source);
    let mut dataset = load(&source).unwrap();
    (dataset.kind, dataset.samples.remove(0).truth)
}

#[test]
fn masks_are_taken_for_what_they_look_like() {
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let (kind, binary) = truth([255, 0, 255, 0, 255, 255], |_| {});
    assert_eq!(kind, MaskKind::Binary);
    assert_eq!(binary.cells.data, [1, 0, 2, 0, 2, 2]);
    assert!(binary.classes.is_none() && binary.ignored.is_none());

    let (kind, instances) = truth([1, 0, 1, 0, 7, 7], |_| {});
    assert_eq!(kind, MaskKind::Instances);
    assert_eq!(instances.cells.data, [1, 0, 1, 0, 7, 7]);
    // The same numbers, told to be something else.
    let (_, forced) = truth([1, 0, 1, 0, 7, 7], |s| s.kind = Some(MaskKind::Membranes));
    assert_eq!(forced.cells.data, [1, 0, 2, 0, 2, 2]);
    let (_, forced) = truth([1, 0, 1, 0, 1, 1], |s| s.kind = Some(MaskKind::Instances));
    assert_eq!(forced.cells.data, [1, 0, 1, 0, 1, 1]);

    let (kind, classes) = truth([1, 0, 2, 0, 1, 2], |s| {
        s.classes = named(&["ground", "nucleus", "cytoplasm"]);
    });
    assert_eq!(kind, MaskKind::Classes);
    assert_eq!(classes.classes.unwrap().data, [1, 0, 2, 0, 1, 2]);
    assert_eq!(classes.cells.data, [1, 0, 2, 0, 2, 2]);

    // Two names are names, not a kind.
    let (kind, _) = truth([1, 0, 2, 0, 1, 2], |s| {
        s.classes = named(&["ground", "nucleus"])
    });
    assert_eq!(kind, MaskKind::Instances);
}

#[test]
fn ignored_pixels_are_no_cells() {
    let (kind, truth) = truth([1, 0, 255, 255, 1, 1], |s| s.ignore = Some(255));
    assert_eq!(kind, MaskKind::Binary);
    assert_eq!(truth.cells.data, [1, 0, 0, 0, 2, 2]);
    let ignored = truth.ignored.unwrap();
    assert_eq!(ignored.data, [false, false, true, true, false, false]);
}

#[test]
fn a_number_to_ignore_that_no_mask_holds_is_reported() {
    let folder = Folder::new();
    folder
        .image("images/a.png")
        .mask("masks/a.png", [1, 0, 255, 255, 1, 1]);
    let words = |ignore| {
        let source = Source {
            ignore: Some(ignore),
            ..folder.source()
        };
        load(&source).unwrap().to_string()
    };
    let told = "; no mask holds 225, the number to ignore";
    assert!(words(225).ends_with(told), "{}", words(225));
    assert!(!words(255).contains("no mask holds"), "{}", words(255));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let folder = Folder::new();
    let refusal = |names: &str, kind| {
        let classes = names
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_owned);
        let source = Source {
            classes: classes.collect(),
            kind,
            ..folder.source()
        };
        load(&source).unwrap_err().to_string()
    };
    assert!(refusal("a", None).contains("1 name(s)"));
    assert!(refusal("a,b,a", None).contains("one twice"));
    assert!(refusal("a,b, ", None).contains("empty name"));
    assert!(refusal("", Some(MaskKind::Classes)).contains("needs the names"));
    assert!(refusal("a,b,c", Some(MaskKind::Binary)).contains("3 names"));
}

#[test]
fn some_of_many_are_spread_over_all_of_them() {
    let all: Vec<usize> = (0..33).collect();
    let some = |count| spread(&all, count).copied().collect::<Vec<_>>();
    assert_eq!(some(32).len(), 32);
    assert_eq!(some(3), [0, 11, 22]);
    assert_eq!(some(50), all);
    assert!(some(0).is_empty());
}
