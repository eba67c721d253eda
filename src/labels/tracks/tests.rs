use super::super::{Labeller, ObjectRules};
use super::*;

const WIDTH: usize = 60;
const HEIGHT: usize = 30;

/// Tracks a frame of boxes, each a column, row, width and height.
fn frame(tracker: &mut Tracker, boxes: &[(usize, usize, usize, usize)]) -> (Vec<u32>, TrackEvents) {
    let mut mask = vec![0; WIDTH * HEIGHT];
    for (x, y, width, height) in boxes {
        for row in *y..y + height {
            mask[row * WIDTH + x..][..*width].fill(1);
        }
    }
    let mut labeller = Labeller::default();
    labeller
        .label(&mask, None, WIDTH, &ObjectRules::default())
        .unwrap();
    let mut labels = labeller.labels().to_vec();
    let mut objects = labeller.objects().to_vec();
    let events = tracker
        .follow(&mut objects, &mut labels, true)
        .unwrap()
        .clone();
    let at = |(x, y, ..): &(usize, usize, usize, usize)| u32::from(labels[y * WIDTH + x]);
    (boxes.iter().map(at).collect(), events)
}

#[test]
fn objects_that_move_keep_their_numbers() {
    let mut tracker = Tracker::default();
    let (numbers, events) = frame(&mut tracker, &[(2, 2, 8, 8), (30, 2, 8, 8)]);
    assert_eq!((numbers, events.births), (vec![1, 2], vec![1, 2]));
    // The order of their first pixels changes.
    for step in 1..5 {
        let boxes = [(2 + 3 * step, 6, 8, 8), (30 - step, 2 + step, 8, 8)];
        let (numbers, events) = frame(&mut tracker, &boxes);
        assert_eq!(numbers, [1, 2], "{step}");
        assert_eq!(events, TrackEvents::default(), "{step}");
    }
}

#[test]
fn objects_after_a_pause_are_new() {
    let mut tracker = Tracker::default();
    let boxes = [(2, 2, 8, 8)];
    frame(&mut tracker, &boxes);
    tracker.forget_objects();
    let (numbers, events) = frame(&mut tracker, &boxes);
    assert_eq!((numbers, events.births), (vec![2], vec![2]));
    for _ in 0..3 {
        assert!(frame(&mut tracker, &boxes).1.deaths.is_empty());
    }
}

#[test]
fn a_short_jump_is_followed_and_a_long_one_is_not() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 6, 6)]);
    let (numbers, _) = frame(&mut tracker, &[(10, 2, 6, 6)]);
    assert_eq!(numbers, [1]);
    let leap = [(50, 20, 6, 6)];
    let (numbers, events) = frame(&mut tracker, &leap);
    assert_eq!(numbers, [2]);
    assert_eq!((events.births, events.deaths), (vec![2], vec![]));
    // The lost object is looked for twice.
    assert_eq!(frame(&mut tracker, &leap).1, TrackEvents::default());
    assert_eq!(frame(&mut tracker, &leap).1.deaths, [1]);
    assert_eq!(frame(&mut tracker, &leap).1, TrackEvents::default());
}

/// As when a stage moves over a dense field: no objects overlap, and visiting all pairs would take minutes.
#[test]
fn a_dense_field_that_moves_is_followed() {
    let side = 1400;
    let dots = |shift: usize| {
        let mut mask = vec![0; side * side];
        for row in (1..side - 3).step_by(6) {
            for column in (1 + shift..side - 3).step_by(6) {
                mask[row * side + column..][..2].fill(1);
                mask[(row + 1) * side + column..][..2].fill(1);
            }
        }
        mask
    };
    let mut tracker = Tracker::default();
    let mut labeller = Labeller::default();
    let mut counts = Vec::new();
    for shift in [0, 3] {
        let rules = ObjectRules::default();
        labeller.label(&dots(shift), None, side, &rules).unwrap();
        let (objects, labels) = labeller.parts_mut();
        let events = tracker.follow(objects, labels, true).unwrap();
        counts.push(events.births.len());
    }
    assert!(
        counts[0] > 50_000 && counts[1] < counts[0] / 20,
        "{counts:?}"
    );
}

#[test]
fn a_repeated_mask_does_not_age_lost_objects() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 8, 8)]);
    frame(&mut tracker, &[]);
    let mut labels = vec![0; WIDTH * HEIGHT];
    for _ in 0..5 {
        let events = tracker.follow(&mut [], &mut labels, false).unwrap();
        assert_eq!(*events, TrackEvents::default());
    }
    let (numbers, events) = frame(&mut tracker, &[(2, 2, 8, 8)]);
    assert_eq!((numbers, events), (vec![1], TrackEvents::default()));
}

#[test]
fn briefly_missing_objects_are_found_again() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 6, 6), (30, 10, 6, 6)]);
    for _ in 0..2 {
        let (numbers, events) = frame(&mut tracker, &[(30, 10, 6, 6)]);
        assert_eq!((numbers, events), (vec![2], TrackEvents::default()));
    }
    let (numbers, events) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
    assert_eq!((numbers, events), (vec![1, 2], TrackEvents::default()));
    // Not for ever.
    let deaths = [(); 3].map(|()| frame(&mut tracker, &[(30, 10, 6, 6)]).1.deaths);
    assert_eq!(deaths, [vec![], vec![], vec![1]]);
    let (numbers, _) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
    assert_eq!(numbers, [3, 2]);
}

#[test]
fn divisions_name_both_halves() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(20, 5, 16, 8)]);
    let (numbers, events) = frame(&mut tracker, &[(19, 5, 7, 8), (29, 5, 7, 8)]);
    assert_eq!(numbers, [2, 3]);
    assert_eq!(events.divisions, [(1, [2, 3])]);
    assert!(events.births.is_empty() && events.deaths.is_empty());
    // A speck beside a whole object is not a half.
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(20, 5, 16, 8)]);
    let (numbers, events) = frame(&mut tracker, &[(20, 5, 14, 8), (35, 5, 1, 1)]);
    assert_eq!((numbers, events.births), (vec![1, 2], vec![2]));
}

/// Objects that are present when numbers are used up count as new, halves too.
#[test]
fn numbers_start_again_when_all_are_used() {
    let left = |left: u32| Tracker {
        last_number: MOST_OBJECTS as u32 - left,
        ..Tracker::default()
    };
    let (one, two) = ((2, 2, 8, 8), (30, 2, 8, 8));
    let last = MOST_OBJECTS as u32;
    let mut tracker = left(1);
    // Otherwise the first frame would reset the numbers.
    tracker.before.resize(WIDTH * HEIGHT, 0);
    let (numbers, events) = frame(&mut tracker, &[one]);
    assert_eq!((numbers, events.renumbered), (vec![last], false));
    assert_eq!(frame(&mut tracker, &[one]).0, [last]);
    let (numbers, events) = frame(&mut tracker, &[one, two]);
    let expected = TrackEvents {
        renumbered: true,
        births: vec![1, 2],
        ..TrackEvents::default()
    };
    assert_eq!((numbers, events), (vec![1, 2], expected));
    // Then it continues as usual.
    let (numbers, events) = frame(&mut tracker, &[one, two, (50, 20, 4, 4)]);
    assert_eq!((numbers, events.births), (vec![1, 2, 3], vec![3]));
    assert!(!events.renumbered);

    for (has, divides) in [(2, true), (1, false), (0, false)] {
        let mut tracker = left(has + 1);
        tracker.before.resize(WIDTH * HEIGHT, 0);
        frame(&mut tracker, &[(20, 5, 16, 8)]);
        let (numbers, events) = frame(&mut tracker, &[(19, 5, 7, 8), (29, 5, 7, 8)]);
        assert_eq!(events.renumbered, !divides, "{has}");
        assert_eq!(events.divisions.is_empty(), !divides, "{has}");
        let expected = if divides { [last - 1, last] } else { [1, 2] };
        assert_eq!(numbers, expected, "{has}");
    }
}

#[test]
fn events_before_a_renumbering_are_dropped() {
    let births = |births: &[u32], renumbered| TrackEvents {
        renumbered,
        births: births.to_vec(),
        ..TrackEvents::default()
    };
    let mut events = births(&[7, 8], false);
    events.append(&births(&[9], false));
    assert_eq!(events, births(&[7, 8, 9], false));
    events.append(&births(&[1], true));
    events.append(&births(&[2], false));
    assert_eq!(events, births(&[1, 2], true));
    events.clear();
    assert_eq!(events, TrackEvents::default());
}
