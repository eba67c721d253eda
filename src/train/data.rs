//! The data of a run: images to learn from, and images held back for validation.

use std::path::Path;

use rand::Rng;

use super::dataset::{self, DatasetError, Holdout, Layout, MaskKind, Source, Split, Standard};
use super::metrics::Measure;

/// The data of a run.
#[derive(Debug)]
pub struct Data {
    /// Images to learn from, and images held back.
    pub split: Split,
    /// How networks are scored.
    pub measure: Measure,
    /// A description of the data.
    pub description: String,
    /// Whether images were drawn at random from sequences, so that near copies of them may be learned from.
    pub near_copies: bool,
}

impl Data {
    /// Reads and checks images and masks, and holds some of them back.
    pub fn read(
        source: &Source,
        holdout: &Holdout,
        rng: &mut impl Rng,
    ) -> Result<Self, DatasetError> {
        let dataset = dataset::load(source)?;
        let (mut description, kind) = (dataset.to_string(), dataset.kind);
        let near_copies = holdout.is_random() && dataset.has_sequences();
        let mut split = dataset.split(holdout, rng)?;
        if let Some(masks) = &holdout.validation_masks {
            let better = dataset::annotations(&better(source, masks, kind)?);
            let better = better.map_err(DatasetError::of_better_masks)?;
            description += &format!("\nmasks for validation show {}", better.kind.description());
            for note in &better.notes {
                description += &format!("\nnote on masks for validation: {note}");
            }
            split = split.judged_by(better)?;
        }
        split.check(&source.class_names())?;
        let empty = split.empty_masks();
        if !empty.is_empty() {
            description += &format!(
                "\nnote: {} mask(s) are empty, such as {}: they count as images that show no cell",
                empty.len(),
                empty[..empty.len().min(3)].join(", ")
            );
        }
        Ok(Data {
            split,
            measure: kind.into(),
            description,
            near_copies,
        })
    }
}

/// The same images with better `masks`, where those to learn from were taken for `kind`.
fn better(source: &Source, masks: &Path, kind: MaskKind) -> Result<Source, DatasetError> {
    let files = dataset::arrangement(source)?;
    Ok(Source {
        // If the source names a folder of images and masks, those images.
        images: files.images,
        masks: Some(masks.to_owned()),
        layout: match files.layout {
            Layout::CellTracking => Some(files.layout),
            Layout::Folders | Layout::Stacks => source.layout,
        },
        // Drawn by people; the other one may be what the network learns from, in the same folder.
        truth: Standard::Gold,
        annotated_only: true,
        kind: match kind {
            MaskKind::Membranes | MaskKind::Classes => Some(kind),
            // Cells may be numbered in one set, and all have one value in the other: the masks show that.
            MaskKind::Instances | MaskKind::Binary => source.kind,
        },
        ..source.clone()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use image::GrayImage;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::train::dataset::Order;

    /// A picture of a row in `folder`.
    fn write(folder: &Path, name: &str, values: [u8; 8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let picture = GrayImage::from_raw(8, 1, values.to_vec()).unwrap();
        picture.save(path).unwrap();
    }

    #[test]
    fn a_class_that_only_images_held_back_show_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, class) in [("a", 1), ("b", 2), ("c", 1)] {
            let file = format!("{name}.png");
            write(&path("images"), &file, [0, 9, 9, 9, 0, 0, 9, 0]);
            write(&path("masks"), &file, [0, 1, 1, 1, 0, 0, class, 0]);
        }
        let source = Source {
            classes: ["ground", "one", "two"].map(str::to_owned).to_vec(),
            ..Source::new(path("images"), path("masks"))
        };
        let read = |name: &str| {
            fs::write(path("list.txt"), name).unwrap();
            let holdout = Holdout {
                validation_list: Some(path("list.txt")),
                ..Holdout::default()
            };
            Data::read(&source, &holdout, &mut StdRng::seed_from_u64(1))
        };
        let error = read("b").unwrap_err().to_string();
        assert!(
            error.contains("no training image shows the class two (value 2)"),
            "{error}"
        );
        // Images held back need not show all.
        read("c").unwrap();
    }

    #[test]
    fn better_masks_may_be_of_another_kind() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, values| write(folder.path(), name, values);
        // Two cells that touch, and one by itself.
        for name in ["a", "b"] {
            write(&format!("images/{name}.png"), [0, 9, 9, 9, 0, 0, 9, 0]);
            write(&format!("numbered/{name}.png"), [0, 1, 2, 2, 0, 0, 3, 0]);
            let painted = [0, 255, 255, 255, 0, 0, 255, 0];
            write(&format!("painted/{name}.png"), painted);
        }
        let judged = |masks: &str, better: &str| {
            let path = |name: &str| folder.path().join(name);
            let source = Source::new(path("images"), path(masks));
            let holdout = Holdout {
                validation: 0.5,
                validation_masks: Some(path(better)),
                ..Holdout::default()
            };
            let mut rng = StdRng::seed_from_u64(1);
            let data = Data::read(&source, &holdout, &mut rng).unwrap();
            let cells = data.split.validation[0].truth.cells.data.clone();
            (cells, data.description)
        };
        let (cells, text) = judged("numbered", "painted");
        assert_eq!(cells, [0, 1, 1, 1, 0, 0, 2, 0]);
        assert!(text.contains("validation show foreground"), "{text}");
        let (cells, text) = judged("painted", "numbered");
        assert_eq!(cells, [0, 1, 2, 2, 0, 0, 3, 0]);
        assert!(text.contains("validation show a number"), "{text}");
    }

    /// The cells of the images held back, the last ones, by name.
    fn held_back(source: &Source, better: PathBuf) -> Result<Vec<(String, Vec<u32>)>, String> {
        let holdout = Holdout {
            validation: 0.5,
            split: Order::Time,
            validation_masks: Some(better),
            ..Holdout::default()
        };
        let data = Data::read(source, &holdout, &mut StdRng::seed_from_u64(1));
        let samples = data.map_err(|error| error.to_string())?.split.validation;
        let cells = samples.into_iter().map(|s| (s.name, s.truth.cells.data));
        Ok(cells.collect())
    }

    #[test]
    fn a_folder_of_the_challenge_is_validated_by_its_gold_truth() {
        const IMAGE: [u8; 8] = [0, 9, 9, 9, 0, 0, 9, 0];
        const SILVER: [u8; 8] = [0, 1, 1, 1, 0, 0, 2, 0];
        const GOLD: [u8; 8] = [0, 1, 3, 3, 0, 0, 2, 0];
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for sequence in ["01", "02"] {
            for frame in ["000", "001", "002", "003"] {
                write(root, &format!("{sequence}/t{frame}.png"), IMAGE);
                let mask = format!("{sequence}_ST/SEG/man_seg{frame}.png");
                write(root, &mask, SILVER);
            }
        }
        write(root, "02_GT/SEG/man_seg003.png", GOLD);
        let source = Source {
            images: root.into(),
            truth: Standard::Silver,
            ..Source::default()
        };
        let expected = vec![("02/t003".to_owned(), GOLD.map(u32::from).to_vec())];
        for better in [root.to_owned(), root.join("02_GT/SEG")] {
            assert_eq!(held_back(&source, better), Ok(expected.clone()));
        }
        let alone = Source {
            images: root.join("02"),
            ..source.clone()
        };
        assert_eq!(held_back(&alone, root.to_owned()), Ok(expected));
        for frame in ["000", "001", "002", "003"] {
            write(root, &format!("silver/t{frame}.png"), SILVER);
        }
        let plain = Source::new(root.join("02"), root.join("silver"));
        let expected = vec![("t003".to_owned(), GOLD.map(u32::from).to_vec())];
        assert_eq!(held_back(&plain, root.join("02_GT/SEG")), Ok(expected));
        let error = held_back(&source, root.join("02")).unwrap_err();
        assert!(error.contains("--validation-masks: no gold"), "{error}");
        fs::rename(root.join("02_GT"), root.join("GT")).unwrap();
        let error = held_back(&source, root.join("GT/SEG")).unwrap_err();
        assert!(error.contains("none of the sequences in"), "{error}");
    }

    #[test]
    fn better_masks_are_found_for_folders_that_hold_images_and_masks() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let cells = [0, 1, 2, 2, 0, 0, 3, 0];
        for name in ["a", "b"] {
            let file = format!("{name}.png");
            write(&root.join("images"), &file, [0, 9, 9, 9, 0, 0, 9, 0]);
            write(&root.join("masks"), &file, [0, 1, 1, 1, 0, 0, 1, 0]);
        }
        write(root, "better/b.png", cells);
        let source = Source {
            images: root.into(),
            ..Source::default()
        };
        let expected = vec![("b".to_owned(), cells.map(u32::from).to_vec())];
        assert_eq!(held_back(&source, root.join("better")), Ok(expected));
        // Where the order pairs masks with images, a single mask may be that of any image.
        let stacks = Source {
            layout: Some(Layout::Stacks),
            ..Source::new(root.join("images"), root.join("masks"))
        };
        let error = held_back(&stacks, root.join("better")).unwrap_err();
        assert!(error.contains("1 mask(s) for the 2 image(s)"), "{error}");
        assert!(error.contains("one mask for each image"), "{error}");
    }
}
