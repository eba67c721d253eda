use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::train::dataset::{Layout, MaskKind, Page};
use crate::train::plane::Plane;
use crate::train::target::Truth;

/// Samples of the given sequences, each with as many frames as its number says.
fn dataset(sequences: &[(&str, usize)]) -> Dataset {
    let sample = |sequence: &str, frame: usize| Sample {
        name: format!("{sequence}/{frame}"),
        sequence: sequence.into(),
        image: vec![Plane::filled(1, 1, 0.0)],
        truth: Truth {
            cells: Plane::filled(1, 1, 1),
            classes: None,
            ignored: None,
        },
    };
    let frames = sequences
        .iter()
        .flat_map(|(sequence, count)| (0..*count).map(move |frame| sample(sequence, frame)));
    Dataset {
        samples: frames.collect(),
        layout: Layout::Folders,
        kind: MaskKind::Instances,
        without_mask: 0,
        nowhere_ignored: None,
        notes: Vec::new(),
    }
}

/// The same without images.
fn annotated(dataset: Dataset) -> Dataset<Annotated> {
    let page = || Page {
        file: "a.png".into(),
        index: None,
    };
    let annotated = |sample: Sample| {
        Ok::<_, DatasetError>(Annotated {
            name: sample.name,
            sequence: sample.sequence,
            image: page(),
            mask: page(),
            truth: sample.truth,
        })
    };
    dataset.try_map(annotated).unwrap()
}

/// Images of these names.
fn images(names: &[&str]) -> Dataset {
    let mut dataset = dataset(&[("", names.len())]);
    for (sample, name) in dataset.samples.iter_mut().zip(names) {
        sample.name = (*name).into();
    }
    dataset
}

fn split(dataset: Dataset, holdout: &Holdout, seed: u64) -> Result<[Vec<String>; 2], String> {
    let split = dataset.split(holdout, &mut StdRng::seed_from_u64(seed));
    let names = |samples: Vec<Sample>| samples.into_iter().map(|s| s.name).collect();
    let split = split.map_err(|error| error.to_string())?;
    Ok([names(split.training), names(split.validation)])
}

fn share(validation: f64, split: Order) -> Holdout {
    Holdout {
        validation,
        split,
        ..Holdout::default()
    }
}

#[test]
fn a_seed_decides_the_split() {
    let held_back = |seed| {
        let holdout = share(0.25, Order::Random);
        let [training, validation] = split(dataset(&[("a", 20)]), &holdout, seed).unwrap();
        assert_eq!((training.len(), validation.len()), (15, 5));
        validation
    };
    assert_eq!(held_back(1), held_back(1));
    assert_ne!(held_back(1), held_back(2));
    let held_back = |count, validation| {
        let holdout = share(validation, Order::Random);
        split(dataset(&[("a", count)]), &holdout, 1).map(|split| split[1].len())
    };
    assert_eq!(held_back(2, 0.01), Ok(1));
    assert!(held_back(1, 0.5).unwrap_err().contains("1 image(s)"));
    let error = held_back(4, 0.99).unwrap_err();
    assert!(
        error.contains("--validation 0.99 would hold back all of 4 image(s)"),
        "{error}"
    );
}

#[test]
fn time_holds_back_the_end_of_each_sequence() {
    let holdout = share(0.4, Order::Time);
    let [training, validation] = split(dataset(&[("a", 5), ("b", 3)]), &holdout, 1).unwrap();
    assert_eq!(validation, ["a/3", "a/4", "b/2"]);
    assert_eq!(training, ["a/0", "a/1", "a/2", "b/0", "b/1"]);
    assert!(split(dataset(&[("a", 1)]), &holdout, 1).is_err());
}

#[test]
fn images_between_stacks_are_one_sequence() {
    let holdout = share(0.25, Order::Time);
    let mut mixed = dataset(&[("a", 4), ("", 2), ("b", 4), ("", 1), ("c", 4), ("", 1)]);
    for (sample, number) in mixed.samples.iter_mut().zip(0..) {
        if sample.sequence.is_empty() {
            sample.name = format!("image {number}");
        }
    }
    let [training, validation] = split(mixed, &holdout, 1).unwrap();
    assert_eq!(validation, ["a/3", "b/3", "c/3", "image 15"]);
    assert_eq!(training.len(), 12);
}

#[test]
fn sequences_are_held_back_by_name() {
    let holdout = |sequence: &str| Holdout {
        validation_sequence: vec![sequence.into()],
        ..Holdout::default()
    };
    let frames = || dataset(&[("01", 2), ("02", 1)]);
    let [training, validation] = split(frames(), &holdout("02"), 1).unwrap();
    assert_eq!((training.len(), validation), (2, vec!["02/0".to_owned()]));
    let error = split(frames(), &holdout("03"), 1).unwrap_err();
    assert!(
        error.contains("sequence 03") && error.contains("there is 01, 02"),
        "{error}"
    );
    let error = split(dataset(&[("01", 2)]), &holdout("01"), 1).unwrap_err();
    assert!(
        error.contains("--validation-sequence 01 would hold back all of 2 image(s)"),
        "{error}"
    );
}

#[test]
fn what_is_left_out_is_on_neither_side() {
    let holdout = |name: &str| Holdout {
        leave_out: vec![name.into(), "a/3".into()],
        ..share(0.5, Order::Time)
    };
    let all = |count| Holdout {
        leave_out: (0..count).map(|frame| format!("a/{frame}")).collect(),
        ..Holdout::default()
    };
    let [training, validation] = split(dataset(&[("a", 6)]), &holdout("a/2.tif"), 1).unwrap();
    assert_eq!(training, ["a/0", "a/1"]);
    assert_eq!(validation, ["a/4", "a/5"]);
    let error = split(dataset(&[("a", 6)]), &holdout("a/9"), 1).unwrap_err();
    assert!(
        error.contains("--leave-out a/9") && error.contains("a/0"),
        "{error}"
    );
    let error = split(dataset(&[("a", 4)]), &all(4), 1).unwrap_err();
    assert!(
        error.contains("--leave-out names all of 4 image(s)"),
        "{error}"
    );
}

#[test]
fn better_masks_judge_what_is_held_back_alone() {
    let holdout = share(0.5, Order::Time);
    let split = |rng: u64| {
        let mut rng = StdRng::seed_from_u64(rng);
        dataset(&[("a", 6)]).split(&holdout, &mut rng).unwrap()
    };
    let mut better = dataset(&[("a", 6)]);
    better
        .samples
        .retain(|s| ["a/0", "a/4"].contains(&s.name.as_str()));
    better
        .samples
        .iter_mut()
        .for_each(|s| s.truth.cells.data[0] = 7);
    let judged = split(1).judged_by(annotated(better)).unwrap();
    assert_eq!(judged.training.len(), 3);
    let names: Vec<_> = judged.validation.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a/4"]);
    assert_eq!(judged.validation[0].truth.cells.data, [7]);
    let others = annotated(dataset(&[("b", 6)]));
    let error = split(1).judged_by(others).unwrap_err();
    assert!(error.to_string().contains("3 image(s)"), "{error}");
}

#[test]
fn a_list_names_images_with_or_without_ending() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("held-back.txt");
    let holdout = Holdout {
        validation_list: Some(list.clone()),
        ..Holdout::default()
    };
    fs::write(&list, "# the best ones\n\na/1\n  a/3.TIF\r\n").unwrap();
    let [training, validation] = split(dataset(&[("a", 4)]), &holdout, 1).unwrap();
    assert_eq!(
        (training, validation),
        (
            vec!["a/0".into(), "a/2".into()],
            vec!["a/1".into(), "a/3".into()]
        )
    );
    fs::write(&list, "a/1\na/7\n").unwrap();
    let error = split(dataset(&[("a", 4)]), &holdout, 1).unwrap_err();
    assert!(error.contains("names a/7 in line 2"), "{error}");
    assert!(
        error.contains("held-back.txt") && error.contains("a/0"),
        "{error}"
    );
    fs::write(&list, "# nobody\n").unwrap();
    let error = split(dataset(&[("a", 4)]), &holdout, 1).unwrap_err();
    assert!(
        error.contains("held-back.txt names no image: one name per line"),
        "{error}"
    );
    fs::write(&list, "a/0\na/1\n").unwrap();
    let error = split(dataset(&[("a", 2)]), &holdout, 1).unwrap_err();
    assert!(
        error.contains("--validation-list") && error.contains("all of 2 image(s)"),
        "{error}"
    );
}

/// The list was split before the names were known.
#[test]
fn names_of_what_is_left_out_may_hold_commas() {
    let holdout = Holdout {
        leave_out: ["a", "x", " y.tif", "b"].map(str::to_owned).to_vec(),
        ..share(0.5, Order::Time)
    };
    let sides = split(images(&["a", "b", "c", "d", "x", "x, y"]), &holdout, 1);
    assert_eq!(sides.unwrap().concat(), ["c", "d", "x"]);
}

/// `a.tif` is the image of the file `a.tif.png`, and `a` that of `a.png`.
#[test]
fn a_name_is_first_of_all_that_of_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("held-back.txt");
    let all = ["a", "a.tif", " b", "b "];
    for name in all {
        fs::write(&list, format!("{name}\r\n")).unwrap();
        let listed = Holdout {
            validation_list: Some(list.clone()),
            ..Holdout::default()
        };
        let [_, validation] = split(images(&all), &listed, 1).unwrap();
        assert_eq!(validation, [name]);
        let without = Holdout {
            leave_out: vec![name.into()],
            ..Holdout::default()
        };
        let sides = split(images(&all), &without, 1).unwrap();
        let mut left = sides.concat();
        left.sort_unstable();
        let mut expected: Vec<_> = all.into_iter().filter(|other| *other != name).collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
