//! Parts that are not inferred again: the mask is the same, or nearly so, and no result outlives its limit.

mod common;

use std::path::{Path, PathBuf};

use common::scene::Scene;
use common::{cells, element, mask_of};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;
use gstunetsegment::unet::UNet;

const WIDTH: usize = 400;
const HEIGHT: usize = 320;

/// A network that has learnt something: one with random weights sees cells in noise.
fn nuclei() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nuclei-fluo.onnx")
}

struct Stream {
    element: gst::Element,
    harness: Harness,
}

impl Stream {
    fn new(properties: &[(&str, &str)]) -> Self {
        let element = element(&nuclei(), properties);
        let harness = common::harness(&element, "GRAY8", WIDTH, HEIGHT);
        Stream { element, harness }
    }

    /// The mask of a frame, and how much of the frames up to now was reused.
    fn segment(&mut self, picture: &[u8]) -> (Vec<u8>, f64) {
        let buffer = gst::Buffer::from_slice(picture.to_vec());
        let mask = mask_of(&self.harness.push_and_pull(buffer).unwrap()).0;
        (mask, self.stat("reused"))
    }

    fn stat(&self, name: &str) -> f64 {
        let stats: gst::Structure = self.element.property("stats");
        stats.get(name).unwrap()
    }
}

fn differing(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn exact_reuse_changes_no_pixel() {
    for normalization in ["model", "fixed"] {
        for output in ["none", "probability"] {
            let common = [
                ("normalization", normalization),
                ("output", output),
                ("tile-size", "96"),
            ];
            let mut all = Stream::new(&common);
            let mut reusing = Stream::new(&[&common[..], &[("reuse", "exact")]].concat());
            let mut picture = cells(WIDTH, HEIGHT, 5);
            let mut shares = Vec::new();
            for step in 0..5 {
                // Something small appears, in the middle and at the very edge; then all is as before.
                let at = [0, 160 * WIDTH + 20, 0, HEIGHT * WIDTH - 1, 0][step];
                if step % 2 == 1 {
                    picture[at] ^= 0x80;
                }
                let (expected, _) = all.segment(&picture);
                let (mask, reused) = reusing.segment(&picture);
                assert_eq!(
                    differing(&expected, &mask),
                    0,
                    "{normalization}, frame {step}"
                );
                shares.push(reused * (step + 1) as f64);
            }
            let share = |step: usize| shares[step] - shares[step - 1];
            assert_eq!(shares[0], 0.0);
            assert_eq!([share(2), share(4)], [1.0; 2]);
            // One pixel more changes the statistics of the frame, and with them all that the network sees.
            let partly = share(1) > 0.1 && share(1) < 1.0;
            assert_eq!(partly, normalization == "fixed", "{}", share(1));
            assert_eq!(all.stat("reused"), 0.0);
        }
    }
}

/// A network with a global operator gets no parts of a frame that it would see as a whole without reuse.
#[test]
fn reuse_shows_a_global_network_whole_frames() {
    let files = common::Files::new();
    let unet = UNet {
        padded: true,
        ..common::SMALL
    };
    let bytes = common::foreign(&unet, |graph| {
        common::append(graph, "InstanceNormalization");
    });
    let model = files.write("normalising.onnx", &bytes);
    let (width, height) = (700, 520);
    let stream = |properties: &[(&str, &str)]| {
        let element = element(&model, properties);
        let harness = common::harness(&element, "GRAY8", width, height);
        Stream { element, harness }
    };
    let mut all = stream(&[]);
    let mut others = [
        stream(&[("reuse", "exact")]),
        stream(&[("reuse", "threshold")]),
        stream(&[("batch-size", "4")]),
    ];
    let mut picture = cells(width, height, 5);
    for step in 0..3 {
        for row in 100..140 {
            picture[row * width + 100..][..40].fill(80 * step);
        }
        let (expected, _) = all.segment(&picture);
        for other in &mut others {
            assert_eq!(differing(&expected, &other.segment(&picture).0), 0);
        }
    }
}

#[test]
fn noise_is_no_change_and_a_cell_that_moves_is() {
    let mut scene = Scene::new((cells(WIDTH, HEIGHT, 5), WIDTH, HEIGHT), (60, 150), 24, 8.0);
    let mut all = Stream::new(&[]);
    let mut reusing = Stream::new(&[("reuse", "threshold"), ("output", "probability")]);
    let (mut both, mut any) = (0, 0);
    let mut reused = 0.0;
    for number in 0..10 {
        let frame = scene.frame(6 * number);
        let (expected, _) = all.segment(&frame);
        let mask;
        (mask, reused) = reusing.segment(&frame);
        let pairs = || expected.iter().zip(&mask);
        both += pairs().filter(|(a, b)| **a > 0 && **b > 0).count();
        any += pairs().filter(|(a, b)| **a > 0 || **b > 0).count();
    }
    let iou = both as f64 / any as f64;
    assert!(iou > 0.98, "{iou}");
    // Nothing of the first of ten frames.
    assert!(reused > 0.5 && reused < 0.9, "{reused}");
}

#[test]
fn no_result_outlives_its_limit() {
    let mut all = Stream::new(&[]);
    let mut reusing = Stream::new(&[("reuse", "threshold"), ("reuse-limit", "4")]);
    let mut scene = Scene::new((cells(WIDTH, HEIGHT, 5), WIDTH, HEIGHT), (60, 150), 0, 8.0);
    for number in 0..9 {
        let frame = scene.frame(0);
        let (expected, _) = all.segment(&frame);
        let before = reusing.stat("reused") * number as f64;
        let (mask, reused) = reusing.segment(&frame);
        let kept = reused * (number + 1) as f64 - before;
        if number % 4 == 0 {
            assert_eq!(
                (kept, differing(&expected, &mask)),
                (0.0, 0),
                "frame {number}"
            );
        } else {
            assert!(kept > 0.9, "frame {number}: {kept}");
        }
    }
}

/// Other thresholds give other results.
#[test]
fn a_threshold_that_changes_is_followed_at_once() {
    for reuse in ["off", "exact", "threshold"] {
        let mut reusing = Stream::new(&[("reuse", reuse)]);
        let picture = cells(WIDTH, HEIGHT, 5);
        let areas = ["0.5", "0.9", "0.5"].map(|threshold| {
            reusing
                .element
                .set_property_from_str("threshold", threshold);
            let mut all = Stream::new(&[("threshold", threshold)]);
            let (expected, _) = all.segment(&picture);
            let (mask, _) = reusing.segment(&picture);
            assert_eq!(differing(&expected, &mask), 0, "{reuse} {threshold}");
            mask.iter().filter(|class| **class > 0).count()
        });
        assert!(areas[1] < areas[0], "{areas:?}");
    }
}

#[test]
fn a_new_scene_is_inferred_as_a_whole() {
    let mut all = Stream::new(&[]);
    let mut reusing = Stream::new(&[("reuse", "threshold")]);
    for seed in [5, 6, 7] {
        let picture = cells(WIDTH, HEIGHT, seed);
        let (expected, _) = all.segment(&picture);
        assert_eq!(differing(&expected, &reusing.segment(&picture).0), 0);
    }
    assert_eq!(reusing.stat("reused"), 0.0);
}

/// Frames after a flush or of other caps may show something else that differs by no more than noise.
#[test]
fn no_result_outlives_its_scene() {
    let mut reusing = Stream::new(&[("reuse", "threshold")]);
    let picture = cells(WIDTH, HEIGHT, 5);
    let mut count = 0.0;
    let mut kept = |reusing: &mut Stream| {
        let before = reusing.stat("reused") * count;
        count += 1.0;
        (reusing.segment(&picture).1 * count - before).round()
    };
    assert_eq!([(); 2].map(|()| kept(&mut reusing)), [0.0, 1.0]);
    common::flush(&mut reusing.harness);
    assert_eq!([(); 2].map(|()| kept(&mut reusing)), [0.0, 1.0]);
    let mut caps = common::caps("GRAY8", WIDTH, HEIGHT);
    let rate = gst::Fraction::new(7, 1);
    caps.make_mut().set("framerate", rate);
    assert!(reusing.harness.push_event(gst::event::Caps::new(&caps)));
    assert_eq!([(); 2].map(|()| kept(&mut reusing)), [0.0, 1.0]);
}

#[test]
fn averaging_tiles_and_keeping_them_is_refused() {
    let element = element(&nuclei(), &[("reuse", "exact"), ("blend", "average")]);
    assert!(common::refusal(&element).contains("reuse needs blend=crop"));
}
