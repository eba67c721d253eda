use super::super::{Labeller, Rules};
use super::*;

const WIDTH: usize = 60;
const HEIGHT: usize = 30;

/// A frame of boxes, each a column, row, width and height.
fn frame(tracker: &mut Tracker, boxes: &[(usize, usize, usize, usize)]) -> (Vec<u32>, Events) {
    let mut mask = vec![0; WIDTH * HEIGHT];
    for (x, y, width, height) in boxes {
        for row in *y..y + height {
            mask[row * WIDTH + x..][..*width].fill(1);
        }
    }
    let mut labeller = Labeller::default();
    labeller
        .label(&mask, None, WIDTH, &Rules::default())
        .unwrap();
    let mut labels = labeller.labels().to_vec();
    let mut objects = labeller.objects().to_vec();
    let events = tracker.follow(&mut objects, &mut labels, true).clone();
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
        assert_eq!(events, Events::default(), "{step}");
    }
}

#[test]
fn what_comes_after_a_pause_is_new() {
    let mut tracker = Tracker::default();
    let boxes = [(2, 2, 8, 8)];
    frame(&mut tracker, &boxes);
    tracker.lose_sight();
    let (numbers, events) = frame(&mut tracker, &boxes);
    assert_eq!((numbers, events.births), (vec![2], vec![2]));
    for _ in 0..3 {
        assert!(frame(&mut tracker, &boxes).1.deaths.is_empty());
    }
}

#[test]
fn a_jump_is_followed_and_a_leap_is_not() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 6, 6)]);
    let (numbers, _) = frame(&mut tracker, &[(10, 2, 6, 6)]);
    assert_eq!(numbers, [1]);
    let leap = [(50, 20, 6, 6)];
    let (numbers, events) = frame(&mut tracker, &leap);
    assert_eq!(numbers, [2]);
    assert_eq!((events.births, events.deaths), (vec![2], vec![]));
    // The one before is looked for twice.
    assert_eq!(frame(&mut tracker, &leap).1, Events::default());
    assert_eq!(frame(&mut tracker, &leap).1.deaths, [1]);
    assert_eq!(frame(&mut tracker, &leap).1, Events::default());
}

/// As when a stage moves over a dense field: no object overlaps any, and looking at all pairs takes minutes.
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
        let rules = Rules::default();
        labeller.label(&dots(shift), None, side, &rules).unwrap();
        let (objects, labels) = labeller.parts_mut();
        let events = tracker.follow(objects, labels, true);
        counts.push(events.births.len());
    }
    assert!(
        counts[0] > 50_000 && counts[1] < counts[0] / 20,
        "{counts:?}"
    );
}

#[test]
fn a_mask_that_is_shown_once_more_makes_nothing_older() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 8, 8)]);
    frame(&mut tracker, &[]);
    let mut labels = vec![0; WIDTH * HEIGHT];
    for _ in 0..5 {
        let events = tracker.follow(&mut [], &mut labels, false);
        assert_eq!(*events, Events::default());
    }
    let (numbers, events) = frame(&mut tracker, &[(2, 2, 8, 8)]);
    assert_eq!((numbers, events), (vec![1], Events::default()));
}

#[test]
fn what_is_missing_for_a_moment_is_found_again() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(2, 2, 6, 6), (30, 10, 6, 6)]);
    for _ in 0..2 {
        let (numbers, events) = frame(&mut tracker, &[(30, 10, 6, 6)]);
        assert_eq!((numbers, events), (vec![2], Events::default()));
    }
    let (numbers, events) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
    assert_eq!((numbers, events), (vec![1, 2], Events::default()));
    // Not for ever.
    let deaths = [(); 3].map(|()| frame(&mut tracker, &[(30, 10, 6, 6)]).1.deaths);
    assert_eq!(deaths, [vec![], vec![], vec![1]]);
    let (numbers, _) = frame(&mut tracker, &[(3, 3, 6, 6), (30, 10, 6, 6)]);
    assert_eq!(numbers, [3, 2]);
}

#[test]
fn halves_know_where_they_come_from() {
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(20, 5, 16, 8)]);
    let (numbers, events) = frame(&mut tracker, &[(19, 5, 7, 8), (29, 5, 7, 8)]);
    assert_eq!(numbers, [2, 3]);
    assert_eq!(events.divisions, [(1, [2, 3])]);
    assert!(events.births.is_empty() && events.deaths.is_empty());
    // A speck beside a whole object is no half.
    let mut tracker = Tracker::default();
    frame(&mut tracker, &[(20, 5, 16, 8)]);
    let (numbers, events) = frame(&mut tracker, &[(20, 5, 14, 8), (35, 5, 1, 1)]);
    assert_eq!((numbers, events.births), (vec![1, 2], vec![2]));
}

/// What is there when no number is left counts as new, halves too.
#[test]
fn numbers_begin_anew_when_all_are_given() {
    let left = |left: u32| Tracker {
        given: MOST_OBJECTS as u32 - left,
        ..Tracker::default()
    };
    let (one, two) = ((2, 2, 8, 8), (30, 2, 8, 8));
    let last = MOST_OBJECTS as u32;
    let mut tracker = left(1);
    // Frames of a size come with the first one, and forget numbers.
    tracker.before.resize(WIDTH * HEIGHT, 0);
    let (numbers, events) = frame(&mut tracker, &[one]);
    assert_eq!((numbers, events.begun_anew), (vec![last], false));
    assert_eq!(frame(&mut tracker, &[one]).0, [last]);
    let (numbers, events) = frame(&mut tracker, &[one, two]);
    let expected = Events {
        begun_anew: true,
        births: vec![1, 2],
        ..Events::default()
    };
    assert_eq!((numbers, events), (vec![1, 2], expected));
    // Then all goes on as before.
    let (numbers, events) = frame(&mut tracker, &[one, two, (50, 20, 4, 4)]);
    assert_eq!((numbers, events.births), (vec![1, 2, 3], vec![3]));
    assert!(!events.begun_anew);

    for (has, divides) in [(2, true), (1, false), (0, false)] {
        let mut tracker = left(has + 1);
        tracker.before.resize(WIDTH * HEIGHT, 0);
        frame(&mut tracker, &[(20, 5, 16, 8)]);
        let (numbers, events) = frame(&mut tracker, &[(19, 5, 7, 8), (29, 5, 7, 8)]);
        assert_eq!(events.begun_anew, !divides, "{has}");
        assert_eq!(events.divisions.is_empty(), !divides, "{has}");
        let expected = if divides { [last - 1, last] } else { [1, 2] };
        assert_eq!(numbers, expected, "{has}");
    }
}

#[test]
fn what_was_told_by_the_numbers_before_goes() {
    let births = |births: &[u32], begun_anew| Events {
        begun_anew,
        births: births.to_vec(),
        ..Events::default()
    };
    let mut told = births(&[7, 8], false);
    told.append(&births(&[9], false));
    assert_eq!(told, births(&[7, 8, 9], false));
    told.append(&births(&[1], true));
    told.append(&births(&[2], false));
    assert_eq!(told, births(&[1, 2], true));
    told.clear();
    assert_eq!(told, Events::default());
}
