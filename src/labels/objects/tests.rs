use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::components::{Components, Connectivity};
use super::*;

const MASK: [u8; 40] = [
    1, 1, 0, 0, 0, 0, 0, 0, //
    1, 1, 0, 2, 2, 2, 0, 0, //
    0, 0, 0, 2, 0, 2, 0, 1, //
    0, 0, 0, 2, 2, 2, 0, 0, //
    0, 0, 0, 0, 0, 0, 1, 0,
];

fn found(rules: ObjectRules) -> (Vec<Object>, Vec<u16>) {
    let mut labeller = Labeller::default();
    labeller.label(&MASK, None, 8, &rules).unwrap();
    labeller.measure_perimeters(8);
    (labeller.objects().to_vec(), labeller.labels().to_vec())
}

fn areas(rules: ObjectRules) -> Vec<usize> {
    let (objects, labels) = found(rules);
    for object in &objects {
        let pixels = labels
            .iter()
            .filter(|label| u32::from(**label) == object.number);
        assert_eq!(pixels.count(), object.area);
    }
    objects.iter().map(|object| object.area).collect()
}

#[test]
fn rules_decide_what_counts() {
    let rules = ObjectRules::default();
    assert_eq!(areas(rules), [4, 8, 1, 1]);
    let with = |change: fn(&mut ObjectRules)| {
        let mut rules = rules;
        change(&mut rules);
        areas(rules)
    };
    assert_eq!(with(|rules| rules.min_area = 2), [4, 8]);
    assert_eq!(with(|rules| rules.max_area = 4), [4, 1, 1]);
    assert_eq!(with(|rules| rules.fill_holes = true), [4, 9, 1, 1]);
    assert_eq!(with(|rules| rules.exclude_border = true), [8]);
}

#[test]
fn objects_are_measured() {
    let (objects, _) = found(ObjectRules::default());
    let square = objects[0];
    assert_eq!((square.number, square.class), (1, 1));
    assert_eq!(square.centroid, (0.5, 0.5));
    assert_eq!((square.columns, square.rows), ((0, 1), (0, 1)));
    assert_eq!(square.perimeter, 4.0);
    let ring = objects[1];
    assert_eq!((ring.number, ring.class), (2, 2));
    assert_eq!(ring.centroid, (4.0, 2.0));
    assert_eq!((ring.columns, ring.rows), ((3, 5), (1, 3)));
    assert!(ring.circularity() > 0.0 && ring.circularity() <= 1.0);
    assert_eq!(objects[2].perimeter, 0.0);
    assert_eq!(objects[2].circularity(), 1.0);
}

#[test]
fn the_picture_is_averaged() {
    let mut labeller = Labeller::default();
    labeller
        .label(&MASK, None, 8, &ObjectRules::default())
        .unwrap();
    labeller.measure_intensities(8, |act| {
        for y in 0..5 {
            let row: Vec<u16> = (0..8).map(|x| 10 * y as u16 + x).collect();
            act(y, 0, &row[..3]);
            act(y, 3, &row[3..]);
        }
    });
    let means: Vec<_> = labeller.objects().iter().map(|o| o.intensity).collect();
    assert_eq!(means, [Some(5.5), Some(24.0), Some(27.0), Some(46.0)]);
}

#[test]
fn more_objects_than_labels_are_an_error() {
    let side = 512;
    let checkered = |at: usize| u8::from((at % side + at / side).is_multiple_of(2));
    let mask: Vec<u8> = (0..side * side).map(checkered).collect();
    let mut labeller = Labeller::default();
    let error = labeller.label(&mask, None, side, &ObjectRules::default());
    assert_eq!(error, Err(TooManyObjects(side * side / 2).into()));
    let rules = ObjectRules {
        min_area: 2,
        ..ObjectRules::default()
    };
    assert_eq!(labeller.label(&mask, None, side, &rules), Ok(()));
    assert!(labeller.objects().is_empty());
}

#[test]
fn less_certain_places_separate_objects() {
    let mask = [1; 9];
    let probability = [0.6, 0.9, 0.9, 0.9, 0.55, 0.9, 0.95, 0.9, 0.7];
    let rules = ObjectRules {
        split: Split::Probability,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    labeller
        .label(&mask, Some(&probability), 9, &rules)
        .unwrap();
    let areas: Vec<_> = labeller.objects().iter().map(|o| o.area).collect();
    assert_eq!(areas, [4, 5]);
    assert!(labeller.label(&[], None, 0, &rules).is_ok());
}

#[test]
fn objects_have_cores_with_split_cores() {
    let mask = [1; 9];
    let probability = [0.6, 0.9, 0.9, 0.9, 0.7, 0.9, 0.95, 0.65, 0.7];
    let mut labeller = Labeller::default();
    let mut areas = |probability, min_area| {
        let rules = ObjectRules {
            split: Split::Cores,
            min_area,
            ..ObjectRules::default()
        };
        labeller.label(&mask, probability, 9, &rules).unwrap();
        let objects = labeller.objects().iter();
        objects.map(|object| object.area).collect::<Vec<_>>()
    };
    assert_eq!(areas(Some(&probability), 0), [4, 5]);
    assert_eq!(areas(Some(&probability), 3), [9]);
    assert!(areas(Some(&probability), 4).is_empty());
    assert_eq!(areas(None, 4), [9]);
}

/// The components of the pixels above a level that have at least so many pixels.
fn above(values: &[f32], width: usize, level: f32, smallest: usize, by: Connectivity) -> Vec<u32> {
    let mask: Vec<u8> = values
        .iter()
        .map(|value| u8::from(*value > level))
        .collect();
    let mut numbers = vec![0; mask.len()];
    Components::new(by)
        .label(&mask, width, smallest, &mut numbers)
        .unwrap();
    numbers
}

/// The different pairs of numbers at the same place, of which the first one is not 0.
fn pairs(one: &[u32], other: &[u32]) -> BTreeSet<(u32, u32)> {
    let pairs = one.iter().copied().zip(other.iter().copied());
    pairs.filter(|(one, _)| *one != 0).collect()
}

proptest! {
    #[test]
    fn each_object_has_one_core_and_each_core_an_object(
        width in 1usize..14,
        digits in prop::collection::vec(0u8..10, 1..200),
        area in 0usize..4,
        corners: bool,
    ) {
        let tenths = |digit: &u8| f32::from(*digit) / 10.0;
        let values: Vec<f32> = digits[..digits.len() / width * width].iter().map(tenths).collect();
        let connectivity = if corners { Connectivity::Corners } else { Connectivity::Edges };
        let rules = ObjectRules {
            connectivity,
            split: Split::Cores,
            core_threshold: 0.65,
            min_area: area,
            ..ObjectRules::default()
        };
        let mask: Vec<u8> = values.iter().map(|value| u8::from(*value > 0.25)).collect();
        let mut labeller = Labeller::default();
        // Twice, with working memory that is no longer empty.
        labeller.label(&mask, None, width, &rules).unwrap();
        labeller.label(&mask, Some(&values), width, &rules).unwrap();
        let labels: Vec<u32> = labeller.labels().iter().map(|label| u32::from(*label)).collect();

        let regions = above(&values, width, 0.25, 0, connectivity);
        let cores = above(&values, width, 0.65, area, connectivity);
        let objects = pairs(&cores, &labels);
        prop_assert_eq!(objects.len(), cores.iter().max().map_or(0, |most| *most as usize));
        let mut with_core = pairs(&labels, &cores);
        with_core.retain(|(_, core)| *core != 0);
        let other_way = objects.iter().map(|(core, object)| (*object, *core)).collect();
        prop_assert_eq!(&with_core, &other_way);
        prop_assert_eq!(pairs(&labels, &regions).len(), objects.len());
        let has_core: BTreeSet<u32> = pairs(&cores, &regions).into_iter().map(|(_, region)| region).collect();
        for (label, region) in labels.iter().zip(&regions) {
            prop_assert_eq!(*label != 0, has_core.contains(region));
        }
        is_consistent(&labeller, &mask, width, connectivity)?;
    }

    #[test]
    fn split_objects_are_numbered_and_measured_as_others(
        width in 1usize..30,
        digits in prop::collection::vec(0u8..10, 1..600),
        split in prop::sample::select(vec![Split::Off, Split::Distance, Split::Probability, Split::Cores]),
        min_area in 0usize..4,
        max_area in 3usize..40,
        exclude_border: bool,
        fill_holes: bool,
        corners: bool,
    ) {
        let digits = &digits[..digits.len() / width * width];
        let values: Vec<f32> = digits.iter().map(|digit| f32::from(*digit) / 10.0).collect();
        let mask: Vec<u8> = digits.iter().map(|digit| digit.saturating_sub(3).min(2)).collect();
        let connectivity = if corners { Connectivity::Corners } else { Connectivity::Edges };
        let rules = ObjectRules {
            connectivity, fill_holes, split, min_area, max_area, exclude_border, ..ObjectRules::default()
        };
        let mut labeller = Labeller::default();
        labeller.label(&mask, Some(&values), width, &rules).unwrap();
        let filled = if fill_holes { labeller.filled() } else { &mask };
        is_consistent(&labeller, filled, width, connectivity)?;
        for object in labeller.objects() {
            prop_assert!((min_area..=max_area).contains(&object.area));
            let (columns, rows) = (object.columns, object.rows);
            let touches = columns.0 == 0 || rows.0 == 0 || columns.1 + 1 == width || rows.1 + 1 == mask.len() / width;
            prop_assert!(!(exclude_border && touches));
        }
        let rules = ObjectRules { min_area, ..ObjectRules::default() };
        labeller.label(&mask, None, width, &rules).unwrap();
        let mut numbers = vec![0; mask.len()];
        Components::default().label(&mask, width, min_area, &mut numbers).unwrap();
        prop_assert!(labeller.labels().iter().map(|label| u32::from(*label)).eq(numbers));
    }
}

/// Objects are connected, numbers are in the order of first pixels, and measures are those of the labels.
fn is_consistent(
    labeller: &Labeller,
    mask: &[u8],
    width: usize,
    connectivity: Connectivity,
) -> Result<(), TestCaseError> {
    let labels = labeller.labels();
    let mut last = None;
    for (object, number) in labeller.objects().iter().zip(1..) {
        prop_assert_eq!(object.number, number);
        let inside = |at: &usize| u32::from(labels[*at]) == number;
        let pixels: Vec<usize> = (0..labels.len()).filter(inside).collect();
        prop_assert_eq!(object.area, pixels.len());
        prop_assert!(pixels.iter().all(|at| mask[*at] == object.class));
        let own: Vec<u8> = labels
            .iter()
            .map(|label| u8::from(u32::from(*label) == number))
            .collect();
        let mut components = Components::new(connectivity);
        prop_assert_eq!(
            components.label(&own, width, 0, &mut vec![0; own.len()]),
            Ok(1)
        );
        prop_assert!(last < pixels.first().copied());
        last = pixels.first().copied();
        let columns = pixels.iter().map(|at| at % width);
        let rows = pixels.iter().map(|at| at / width);
        let ends = |values: &mut dyn Iterator<Item = usize>| {
            values.fold((usize::MAX, 0), |(least, most), value| {
                (least.min(value), most.max(value))
            })
        };
        prop_assert_eq!(object.columns, ends(&mut columns.clone()));
        prop_assert_eq!(object.rows, ends(&mut rows.clone()));
        let mean = columns.sum::<usize>() as f64 / pixels.len() as f64;
        prop_assert!((object.centroid.0 - mean).abs() < 1e-9);
    }
    let most = labels.iter().max().map_or(0, |most| usize::from(*most));
    prop_assert_eq!(most, labeller.objects().len());
    Ok(())
}

#[test]
fn pieces_that_do_not_count_are_not_counted() {
    // Dominoes, none of which has a piece of one pixel, and one that has.
    let width = 1024;
    let is_domino = |at: usize| at % width % 3 < 2 && (at / width).is_multiple_of(2);
    let size = width * width;
    let mask: Vec<u8> = (0..size).map(|at| u8::from(is_domino(at))).collect();
    let rules = ObjectRules {
        split: Split::Distance,
        max_area: 1,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    labeller.label(&mask, None, width, &rules).unwrap();
    // The last column of each row has room for half a domino. There are more dominoes than labels.
    assert_eq!(labeller.objects().len(), width / 2);
    assert!(labeller.objects().iter().all(|object| object.area == 1));
    let labelled = labeller.labels().iter().filter(|label| **label > 0);
    assert!(labelled.copied().eq(1..=512));
}

#[test]
fn cores_are_told_from_what_is_hardly_less_certain() {
    // The second pixel is nearly as certain as the first and comes before the other half of the core.
    let mask = [1; 10];
    let probability = [
        0.750_01, 0.749_99, 0.750_01, 0.750_01, 0.3, 0.750_01, 0.749_99, 0.750_01, 0.750_01, 0.3,
    ];
    let rules = ObjectRules {
        split: Split::Cores,
        core_threshold: 0.75,
        min_area: 2,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    labeller
        .label(&mask, Some(&probability), 10, &rules)
        .unwrap();
    let areas: Vec<_> = labeller.objects().iter().map(|o| o.area).collect();
    assert_eq!(areas.len(), 2, "{areas:?}");
}

#[test]
fn pieces_are_counted_even_if_there_are_too_many() {
    // Regions of three pixels with two pieces each, and as many of one pixel.
    let (width, rows) = (1024, 512);
    let mut mask = vec![0; width * rows];
    let mut probability = vec![0.0; width * rows];
    for start in (0..rows)
        .step_by(2)
        .flat_map(|y| (0..width).step_by(8).map(move |x| y * width + x))
    {
        mask[start..][..5].copy_from_slice(&[1, 1, 1, 0, 1]);
        probability[start..][..5].copy_from_slice(&[0.9, 0.6, 0.9, 0.0, 0.9]);
    }
    let rules = |split, exclude_border| ObjectRules {
        split,
        split_depth: 0.2,
        core_threshold: 0.75,
        exclude_border,
        ..ObjectRules::default()
    };
    let mut labeller = Labeller::default();
    // Three in each group; those in the first row and at the beginning of others are at the edge of the frame.
    let (all, inner) = (
        rows / 2 * (3 * width / 8),
        (rows / 2 - 1) * (3 * width / 8 - 1),
    );
    for split in [Split::Probability, Split::Cores] {
        for (exclude_border, count) in [(true, inner), (false, all)] {
            assert!(count > MOST_OBJECTS);
            let rules = rules(split, exclude_border);
            let found = labeller.label(&mask, Some(&probability), width, &rules);
            assert_eq!(found, Err(TooManyObjects(count).into()));
            assert!(labeller.objects().is_empty());
        }
    }
    // All can be drawn.
    let labelled = mask.iter().zip(labeller.labels());
    for (class, label) in labelled {
        assert_eq!(*class > 0, *label > 0);
    }
    // The next mask is not affected.
    let part = 100 * width;
    let rules = rules(Split::Probability, false);
    labeller
        .label(&mask[..part], Some(&probability[..part]), width, &rules)
        .unwrap();
    assert_eq!(labeller.objects().len(), 50 * (3 * width / 8));
}
