//! What a run learns from, and what it is judged by.

use std::path::Path;

use rand::Rng;

use super::dataset::{self, DatasetError, Holdout, MaskKind, Source, Split};
use super::metrics::Measure;

/// The data of a run.
#[derive(Debug)]
pub struct Data {
    /// Images to learn from, and images held back.
    pub split: Split,
    /// How networks are judged.
    pub measure: Measure,
    /// What the data were taken for, in words.
    pub words: String,
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
        let (mut words, kind) = (dataset.to_string(), dataset.kind);
        let near_copies = holdout.is_random() && dataset.has_sequences();
        let mut split = dataset.split(holdout, rng)?;
        if let Some(masks) = &holdout.validation_masks {
            let better = dataset::load_to_judge_by(&better(source, masks, kind))?;
            words += &format!("\nmasks to judge by show {}", better.kind.words());
            split = split.judged_by(better)?;
        }
        split.check(&source.class_names())?;
        Ok(Data {
            split,
            measure: kind.into(),
            words,
            near_copies,
        })
    }
}

/// The same images with better `masks`, where those to learn from were taken for `kind`.
fn better(source: &Source, masks: &Path, kind: MaskKind) -> Source {
    Source {
        masks: Some(masks.to_owned()),
        annotated_only: true,
        kind: match kind {
            MaskKind::Membranes | MaskKind::Classes => Some(kind),
            // Cells may be numbered in one set, and painted alike in the other: seen from what is there.
            MaskKind::Instances | MaskKind::Binary => source.kind,
        },
        ..source.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::GrayImage;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

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
            error.contains("no image to learn from shows the class two (value 2)"),
            "{error}"
        );
        // Those held back need not show all.
        read("c").unwrap();
    }

    #[test]
    fn masks_to_judge_by_may_be_painted_in_another_way() {
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
            let Data { split, words, .. } = Data::read(&source, &holdout, &mut rng).unwrap();
            (split.validation[0].truth.cells.data.clone(), words)
        };
        let (cells, words) = judged("numbered", "painted");
        assert_eq!(cells, [0, 1, 1, 1, 0, 0, 2, 0]);
        assert!(words.contains("judge by show foreground"), "{words}");
        let (cells, words) = judged("painted", "numbered");
        assert_eq!(cells, [0, 1, 2, 2, 0, 0, 3, 0]);
        assert!(words.contains("judge by show a number"), "{words}");
    }
}
