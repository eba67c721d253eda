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
