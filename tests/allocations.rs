//! After the first frames, a frame allocates nothing except what the bindings of ONNX Runtime allocate for each run,
//! GStreamer's for the name of the meta, and a library's to match tracked objects that compete for each other.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::watch::stats;
use common::{Files, SMALL, cells, element};
use gstreamer as gst;
use gstunetsegment::inference::{ConvolutionMethod, Model, Options};
use gstunetsegment::labels::{Labeller, ObjectRules, Tracker};
use gstunetsegment::mask_meta::{self, Mask};
use gstunetsegment::unet::UNet;

/// Counts what all threads take from Rust's allocator. ONNX Runtime and GStreamer have allocators of their own,
/// which it does not see.
struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How often `work` allocates.
fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::SeqCst);
    work();
    COUNT.load(Ordering::SeqCst) - before
}

// SAFETY: it hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is that of the trait.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Waits until no thread has allocated for a while: the network and what comes after it work beside the frames.
fn settle() {
    loop {
        let before = COUNT.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        if COUNT.load(Ordering::SeqCst) == before {
            break;
        }
    }
}

/// Allocations that a run of the network makes by itself.
fn of_a_run(files: &Files, unet: &UNet, convolutions: ConvolutionMethod) -> u64 {
    let options = Options {
        convolutions,
        ..Options::default()
    };
    let mut model = Model::open(&files.model(unet), &options).unwrap();
    let (height, width) = unet.geometry().legal(100, 100).unwrap();
    model.shape(height, width).unwrap();
    model.run().unwrap();
    // A thread that watched over the first run may still be ending.
    let counts = (0..5).map(|_| {
        count(|| {
            model.run().unwrap();
        })
    });
    counts.min().unwrap()
}

/// Allocations that giving a buffer its meta makes by itself.
fn of_a_meta() -> u64 {
    let caps = gst::Caps::builder("video/x-raw").build();
    let mut buffer = gst::Buffer::new();
    let buffer = buffer.make_mut();
    let mask = Mask {
        objects: None,
        labels: None,
        probability: None,
        mask: gst::Buffer::new(),
        caps,
        inference: Duration::ZERO,
        age: Duration::ZERO,
        stale: false,
        timestamp: Some(gst::ClockTime::ZERO),
    };
    count(|| mask_meta::attach(buffer, mask).unwrap())
}

/// Allocations for each of the last of a few frames, and how often the network ran for it.
fn counts(files: &Files, unet: &UNet, format: &str, properties: &[(&str, &str)]) -> Vec<[u64; 2]> {
    const WIDTH: usize = 160;
    const HEIGHT: usize = 120;
    let element = element(&files.model(unet), properties);
    let mut harness = common::harness(&element, format, WIDTH, HEIGHT);
    let size = common::info(format, WIDTH, HEIGHT).size();
    // The two differ in one place, so that there is something to infer whatever is kept of the one before.
    let mut pictures = [cells(WIDTH, HEIGHT, 1), cells(WIDTH, HEIGHT, 1)];
    for row in pictures[1].chunks_exact_mut(WIDTH).skip(40).take(12) {
        row[60..72].fill(255);
    }
    let pictures = pictures.map(|picture| -> Vec<u8> {
        let bytes = picture.into_iter().cycle().take(size);
        bytes.collect()
    });
    let runs = || stats(&element, "runs");
    let beside = properties.contains(&("mode", "latest"));
    let mut counts = Vec::new();
    for number in 0..8 {
        // Of GStreamer's own memory: a slice of Rust's would be copied to be drawn upon.
        let mut frame = gst::Buffer::with_size(size).unwrap();
        let picture = &pictures[number % 2];
        frame.make_mut().copy_from_slice(0, picture).unwrap();
        let before = runs();
        let allocated = count(|| {
            drop(harness.push_and_pull(frame).unwrap());
            if beside {
                settle();
            }
        });
        counts.push([allocated, runs() - before]);
    }
    counts.split_off(4)
}

/// Checks that the network has seen one of `due` frames, each of which has allocated as much as `expected` with a run
/// and without one. Where other programs hold the machine up, a message about the latency may have been sent, or the
/// network was late: that passes.
fn assert_counts(
    what: &str,
    [with_run, without]: [u64; 2],
    due: usize,
    count: impl Fn() -> Vec<[u64; 2]>,
) {
    const TRIES: usize = 4;
    let as_expected = |counts: &Vec<[u64; 2]>| {
        let seen = counts.iter().filter(|[_, runs]| *runs > 0).count();
        seen == counts.len() / due
            && counts
                .iter()
                .all(|[allocated, runs]| *allocated == without + runs * (with_run - without))
    };
    let mut counted = Vec::new();
    let any = (0..TRIES).any(|_| {
        counted = count();
        as_expected(&counted)
    });
    assert!(any, "{what}: {counted:?} instead of {with_run}");
}

#[test]
fn frames_allocate_nothing() {
    let padded = UNet {
        padded: true,
        ..SMALL
    };
    for unet in [SMALL, padded] {
        let files = Files::new();
        common::init();
        let of_a_run = of_a_run(&files, &unet, ConvolutionMethod::Direct);
        let of_a_meta = of_a_meta();
        for (format, properties) in [
            ("GRAY8", vec![("output", "none")]),
            (
                "GRAY8",
                vec![("output", "none"), ("keep-probability", "true")],
            ),
            ("GRAY16_LE", vec![("output", "mask")]),
            ("GRAY16_LE", vec![("output", "overlay")]),
            ("RGB", vec![("output", "overlay")]),
            ("RGB", vec![("palette", "#ff0000,#00ff00")]),
            (
                "RGB",
                vec![
                    ("annotations", "numbers+legend+count+age+scale-bar"),
                    ("pixel-size", "0.65"),
                ],
            ),
            ("RGB", vec![("color-by", "object"), ("min-area", "9")]),
            ("GRAY8", vec![("output", "labels")]),
            ("NV12", vec![("output", "probability")]),
            ("GRAY8", vec![("tile-size", "48")]),
            ("GRAY8", vec![("tile-size", "48"), ("blend", "gaussian")]),
            ("GRAY8", vec![("tile-size", "48"), ("reuse", "exact")]),
            ("GRAY8", vec![("reuse", "threshold")]),
            ("GRAY8", vec![("tile-size", "48"), ("batch-size", "2")]),
            ("GRAY8", vec![("split", "cores"), ("core-threshold", "0.7")]),
            ("GRAY8", vec![("split", "distance")]),
            (
                "GRAY8",
                vec![("split", "probability"), ("exclude-border", "true")],
            ),
            ("GRAY8", vec![("fill-holes", "true"), ("min-area", "9")]),
            ("GRAY16_LE", vec![("normalization", "percentile")]),
            ("GRAY16_LE", vec![("frames-in-flight", "1")]),
            ("GRAY8", vec![("inference-interval", "2")]),
            ("GRAY8", vec![("max-latency", "60000")]),
            ("GRAY8", vec![("trigger", "coverage > 0.99")]),
            ("GRAY8", vec![("mode", "latest"), ("output", "none")]),
            ("GRAY8", vec![("mode", "latest"), ("color-by", "object")]),
            ("RGB", vec![("mode", "latest"), ("max-mask-age", "1")]),
        ] {
            let expected = of_a_run + of_a_meta;
            let due = match properties[0] {
                ("inference-interval", _) => 2,
                _ => 1,
            };
            let what = format!("{format} {properties:?}");
            assert_counts(&what, [expected, of_a_meta], due, || {
                counts(&files, &unet, format, &properties)
            });
        }
    }
    tracking_allocates_nothing();
    #[cfg(target_arch = "x86_64")]
    own_convolutions_allocate_nothing();
}

/// Discs that move, some of them without overlap, and none of which competes with another.
fn tracking_allocates_nothing() {
    const WIDTH: usize = 200;
    const DISTANCE: usize = 50;
    let mut labeller = Labeller::default();
    let mut tracker = Tracker::default();
    let rules = ObjectRules::default();
    let mut mask = vec![0; WIDTH * WIDTH];
    for number in 0..8 {
        for (at, class) in mask.iter_mut().enumerate() {
            let (x, y) = (at % WIDTH, at / WIDTH);
            // Discs in every second row jump there and back.
            let jump = if (y / DISTANCE).is_multiple_of(2) {
                16 * (number % 2)
            } else {
                number
            };
            let (x, y) = ((x + DISTANCE - jump) % DISTANCE, y % DISTANCE);
            let away = x.abs_diff(15).pow(2) + y.abs_diff(25).pow(2);
            *class = u8::from(away < 7 * 7);
        }
        let allocated = count(|| {
            labeller.label(&mask, None, WIDTH, &rules).unwrap();
            let (objects, labels) = labeller.parts_mut();
            let events = tracker.follow(objects, labels, true).unwrap();
            assert_eq!(events.births.len(), if number == 0 { 16 } else { 0 });
        });
        if number > 3 {
            assert_eq!(allocated, 0, "{number}");
        }
    }
}

/// Neither by themselves nor as operators of a network, where only the bindings allocate.
#[cfg(target_arch = "x86_64")]
fn own_convolutions_allocate_nothing() {
    use gstunetsegment::winograd::{
        Arithmetic, Codes, Coding, Convolution, Floats, Kernels, ScratchPool, Shape,
    };

    const SIDE: usize = 40;
    const OUTPUTS: usize = 16;
    const COUNT: usize = SIDE * SIDE;
    fn assert_allocates_nothing<A: Arithmetic>(
        convolution: &Convolution<A>,
        input: &[A::Value],
        output: &mut [A::Value],
    ) {
        let pool = ScratchPool::default();
        let mut compute = || {
            let work = |work: &(dyn Fn() + Sync)| work();
            let computed = convolution.compute(input, (SIDE, SIDE), output, (2, &pool), work);
            computed.unwrap();
        };
        compute();
        assert_eq!(count(compute), 0);
    }
    let shape = Shape {
        inputs: 8,
        outputs: OUTPUTS,
        padding: 1,
        rectified: true,
    };
    let [weights, biases, input] = [8 * OUTPUTS * 9, OUTPUTS, 8 * COUNT].map(|n| vec![0.1; n]);
    let floats = Convolution::<Floats>::new(shape, &weights, Some(&biases)).unwrap();
    let kernels = Kernels {
        codes: &vec![1; weights.len()],
        steps: &biases,
        biases: &biases,
    };
    let coding = Coding { step: 1.0, zero: 9 };
    let codes = Convolution::<Codes>::new(shape, kernels, [coding; 2]).unwrap();
    let (Some(floats), Some(codes)) = (floats, codes) else {
        return eprintln!("Skipped: this processor has no AVX2.");
    };
    assert_allocates_nothing(&floats, &input, &mut vec![0.0; OUTPUTS * COUNT]);
    assert_allocates_nothing(&codes, &vec![7; 8 * COUNT], &mut vec![0; OUTPUTS * COUNT]);

    let unet = UNet { width: 8, ..SMALL };
    let files = Files::new();
    let of_a_run = of_a_run(&files, &unet, ConvolutionMethod::Winograd);
    let of_a_meta = of_a_meta();
    let properties = [("output", "none"), ("convolution", "winograd")];
    assert_counts("winograd", [of_a_run + of_a_meta, of_a_meta], 1, || {
        counts(&files, &unet, "GRAY8", &properties)
    });
}
