//! The needs of a model are known from its contract or, if it carries none, from probing it.

mod common;

use std::time::Instant;

#[cfg(target_os = "linux")]
use common::process::{is_child, memory, run_child};
use common::{Files, SMALL, append, foreign};
use gstunetsegment::contract::{Activation, Sizes};
use gstunetsegment::inference::{Model, ModelError, Options, Provider};
use gstunetsegment::onnx;
use gstunetsegment::picture::{Format, Frame, Plane, YuvCoding};
use gstunetsegment::segmenter::{Segmenter, TileOptions};
use gstunetsegment::tiling::Size;
use gstunetsegment::unet::UNet;

fn options() -> Options {
    common::init();
    Options::default()
}

fn open(bytes: &[u8]) -> Result<Model, ModelError> {
    let files = Files::new();
    Model::open(&files.write("model.onnx", bytes), &options())
}

fn reason(bytes: &[u8]) -> String {
    match open(bytes) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

/// Fixes or frees a dimension of the input or output.
fn set_extent(value: &mut onnx::ValueInfo, axis: usize, extent: onnx::Extent) {
    let tensor = value.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    tensor.shape.as_mut().unwrap().dim[axis].extent = Some(extent);
}

/// The fault may lie in the session, so that the model gets another one when it is opened again.
#[test]
fn a_session_with_scores_that_are_not_finite_is_not_shared() {
    let files = Files::new();
    // Of a width of its own, since other tests share the sessions of theirs at the same time.
    let path = files.model(&UNet { width: 5, ..SMALL });
    let open = || Model::open(&path, &options()).unwrap();
    let mut first = open();
    assert!(first.shares_session_with(&open()));
    let (height, width) = SMALL.geometry().legal(64, 64).unwrap();
    first.shape(height, width).unwrap();
    first.input().fill(f32::NAN);
    assert!(matches!(first.run(), Err(ModelError::NotFinite { .. })));
    let second = open();
    assert!(!first.shares_session_with(&second));
    assert!(second.shares_session_with(&open()));
}

/// All ask for the session before any of them has made it.
#[test]
fn models_that_open_at_once_share_their_session() {
    const MODELS: usize = 8;
    let files = Files::new();
    let path = files.model(&UNet { width: 24, ..SMALL });
    let options = options();
    let barrier = std::sync::Barrier::new(MODELS);
    let open = || {
        barrier.wait();
        Model::open(&path, &options).unwrap()
    };
    let models: Vec<Model> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..MODELS).map(|_| scope.spawn(open)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    });
    assert!(
        models
            .iter()
            .all(|model| model.shares_session_with(&models[0]))
    );
}

/// A model that has waited for a session that can't be made tries itself.
#[test]
fn models_that_fail_at_once_all_report_why() {
    let files = Files::new();
    let bytes = foreign(&SMALL, |graph| {
        graph.node[0].op_type = "NoSuchOperator".into();
    });
    let path = files.write("model.onnx", &bytes);
    let options = options();
    let open = || {
        Model::open(&path, &options)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let errors: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    });
    assert!(
        errors.iter().all(|error| error.contains("model.onnx")),
        "{errors:?}"
    );
}

/// All tiles of a run share the memory that there is for it.
#[test]
fn tiles_of_a_batch_share_the_memory() {
    let files = Files::new();
    let path = files.model(&SMALL);
    let frame = Size {
        width: 1200,
        height: 900,
    };
    let pixels_of_a_run = |batch| {
        let tiles = TileOptions {
            memory: 16 << 20,
            batch,
            ..TileOptions::default()
        };
        let mut segmenter = Segmenter::open(&path, &options(), tiles).unwrap();
        let plan = segmenter.prepare(frame).unwrap();
        batch.min(plan.len()) * plan.outer.area()
    };
    let alone = pixels_of_a_run(1);
    for batch in [2, 4] {
        assert!(
            pixels_of_a_run(batch) as f64 <= 1.1 * alone as f64,
            "{batch}"
        );
    }
}

/// It would fail only at the first frame that takes several tiles.
#[test]
fn batches_for_a_model_of_one_picture_are_refused_at_once() {
    let files = Files::new();
    let one = files.write(
        "one.onnx",
        &foreign(&SMALL, |graph| {
            set_extent(&mut graph.input[0], 0, onnx::Extent::Value(1));
        }),
    );
    let opened = |batch| {
        let tiles = TileOptions {
            batch,
            ..TileOptions::default()
        };
        Segmenter::open(&one, &options(), tiles).map(|_| ())
    };
    for batch in [0, 1] {
        opened(batch).unwrap();
    }
    let error = opened(2).unwrap_err().to_string();
    assert!(
        error.contains("batch-size=2") && error.contains("one.onnx"),
        "{error}"
    );
}

/// So do those whose size was asked for: fewer are seen at once.
#[test]
fn tiles_of_a_size_share_the_memory() {
    let files = Files::new();
    let path = files.model(&SMALL);
    let (width, height) = (600, 450);
    let picture = common::cells(width, height, 1);
    let plane = Plane {
        data: &picture,
        stride: width,
    };
    let coding = YuvCoding::default();
    let frame = Frame::new(Format::Gray8, width, height, &[plane], coding).unwrap();
    let runs_within = |memory| {
        let tiles = TileOptions {
            size: 50,
            memory,
            batch: 64,
            ..TileOptions::default()
        };
        let mut segmenter = Segmenter::open(&path, &options(), tiles).unwrap();
        let normalization = segmenter.contract().normalization;
        let mut mask = vec![0; width * height];
        let spent = segmenter.segment(&frame, normalization, &mut mask, None);
        spent.unwrap().runs
    };
    let (little, much) = (runs_within(16 << 20), runs_within(1 << 30));
    assert!(much <= 3 && little > 3 * much, "{little} and {much}");
}

#[test]
fn a_model_carries_its_contract() {
    let model = open(&common::model(&SMALL)).unwrap();
    assert!(model.carries_contract());
    assert_eq!(*model.contract(), SMALL.contract("random"));
    assert_ne!(model.provider(), Provider::Auto);
}

#[test]
fn a_foreign_network_is_probed() {
    for depth in [1, 2, 4] {
        for padded in [false, true] {
            for channels in [1, 3] {
                let unet = UNet {
                    channels,
                    classes: 2 + depth,
                    width: 2,
                    depth,
                    padded,
                };
                let model = open(&foreign(&unet, |_| ())).unwrap();
                assert!(!model.carries_contract());
                let (found, expected) = (model.contract().geometry, unet.geometry());
                assert_eq!(found.margin, expected.margin, "{unet:?}");
                assert_eq!(found.halo, expected.halo, "{unet:?}");
                assert_eq!(found.stride, expected.stride, "{unet:?}");
                assert_eq!(model.contract().channels.count(), channels);
                assert_eq!(model.contract().classes.len(), unet.classes);
                // The network takes every size that the contract has.
                let Sizes::Steps { min, step } = found.sizes else {
                    panic!("{found:?}")
                };
                assert_eq!(
                    expected.legal(min, min + step),
                    Some((min, min + step)),
                    "{unet:?}"
                );
            }
        }
    }
}

#[test]
fn a_fixed_size_is_kept() {
    let bytes = foreign(&SMALL, |graph| {
        set_extent(&mut graph.input[0], 2, onnx::Extent::Value(76));
        set_extent(&mut graph.input[0], 3, onnx::Extent::Value(92));
    });
    let mut model = open(&bytes).unwrap();
    let geometry = model.contract().geometry;
    assert_eq!(geometry.margin, SMALL.geometry().margin);
    assert_eq!(
        geometry.sizes,
        Sizes::Fixed {
            height: 76,
            width: 92
        }
    );
    model.shape(76, 92).unwrap();
}

/// Its smallest tile is its only one: a run to give memory back would delay other caps, and free nothing.
#[test]
fn memory_of_a_fixed_size_is_freed_without_a_run() {
    let unet = UNet { width: 32, ..SMALL };
    let (height, width) = unet.geometry().legal(400, 400).unwrap();
    let bytes = foreign(&unet, |graph| {
        for (axis, length) in [(2, height), (3, width)] {
            set_extent(
                &mut graph.input[0],
                axis,
                onnx::Extent::Value(length as i64),
            );
        }
    });
    let mut model = open(&bytes).unwrap();
    model.shape(height, width).unwrap();
    let start = Instant::now();
    model.run().unwrap();
    let a_run = start.elapsed();
    let start = Instant::now();
    model.forget_shapes();
    let took = start.elapsed();
    assert!(took < a_run / 4, "{took:?}, where a run takes {a_run:?}");
}

/// Tensors of earlier shapes are kept, but only so many bytes of them.
#[cfg(target_os = "linux")]
#[test]
fn tensors_of_many_shapes_take_little_memory() {
    run_child("child_with_many_shapes", &[]);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "measures the memory of its process: run by tensors_of_many_shapes_take_little_memory"]
fn child_with_many_shapes() {
    if !is_child() {
        return;
    }
    const SHAPES: usize = 20;
    let mut model = open(&foreign(&SMALL, |_| ())).unwrap();
    let (height, width) = SMALL.geometry().legal(64, 64).unwrap();
    model.shape(height, width).unwrap();
    let before = memory("VmRSS");
    let mut all = 0;
    for count in 0..SHAPES {
        let (height, width) = SMALL.geometry().legal(1000 + 16 * count, 2000).unwrap();
        model.shape_without_trial(height, width).unwrap();
        all += size_of::<f32>() * (SMALL.channels + SMALL.classes) * height * width;
    }
    let grown = (memory("VmRSS") - before) << 10;
    assert!(
        grown < all as u64 / 3,
        "{grown} bytes more for tensors of {all}"
    );
}

#[test]
fn the_last_operator_tells_what_the_output_is() {
    assert_eq!(
        open(&foreign(&SMALL, |_| ()))
            .unwrap()
            .contract()
            .activation,
        Activation::Softmax
    );
    let one = UNet {
        classes: 1,
        ..SMALL
    };
    let model = open(&foreign(&one, |_| ())).unwrap();
    assert_eq!(model.contract().activation, Activation::Sigmoid);
    let probabilities = |unet: &UNet, ops: &[&str]| {
        let bytes = foreign(unet, |graph| ops.iter().for_each(|op| append(graph, op)));
        let mut model = open(&bytes).unwrap();
        model.shape(60, 60).unwrap();
        let (activation, outputs) = (model.contract().activation, model.outputs());
        assert!(model.run().unwrap().iter().all(|p| (0.0..=1.0).contains(p)));
        (activation, outputs, model.contract().classes.len())
    };
    for more in [&[][..], &["Identity"], &["Cast", "Dropout"]] {
        let ops = |first| [&[first], more].concat();
        let found = probabilities(&SMALL, &ops("Softmax"));
        assert_eq!(found, (Activation::None, 2, 2), "{more:?}");
        let found = probabilities(&one, &ops("Sigmoid"));
        assert_eq!(found, (Activation::None, 1, 2), "{more:?}");
    }
}

#[test]
fn the_output_follows_the_input() {
    let mut model = open(&common::model(&SMALL)).unwrap();
    model.shape(60, 76).unwrap();
    model.input().fill(0.5);
    let even = model.run().unwrap().to_vec();
    assert_eq!(even.len(), 2 * 20 * 36);
    for (index, value) in model.input().iter_mut().enumerate() {
        *value = (index % 7) as f32;
    }
    let uneven = model.run().unwrap().to_vec();
    assert_ne!(even, uneven, "the second input was not seen");
    model.input().fill(0.5);
    assert_eq!(
        model.run().unwrap(),
        even,
        "the same input gave another output"
    );
    // Another shape and back again.
    model.shape(76, 60).unwrap();
    model.shape(60, 76).unwrap();
    model.input().fill(0.5);
    assert_eq!(model.run().unwrap(), even);
}

#[test]
fn a_declared_shape_is_not_believed() {
    // The file declares 3 classes, but the network makes 2, as probing shows.
    let lie = foreign(&SMALL, |graph| {
        set_extent(&mut graph.output[0], 1, onnx::Extent::Value(3));
    });
    assert_eq!(open(&lie).unwrap().contract().classes.len(), 2);
    // A contract that doesn't fit the network.
    let mut contract = SMALL.contract("lie");
    contract.geometry.margin -= 2;
    let files = Files::new();
    let path = files.write("lie.onnx", &common::described(&SMALL, &contract));
    let mut model = Model::open(&path, &options()).unwrap();
    let error = model.shape(60, 60).unwrap_err().to_string();
    assert!(
        error.contains("lie.onnx") && error.contains("promises"),
        "{error}"
    );
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let two = UNet {
        channels: 2,
        ..SMALL
    };
    let error = reason(&foreign(&two, |_| ()));
    assert!(error.contains("2 channels"), "{error}");
    let error = reason(&foreign(&SMALL, |graph| {
        let tensor = graph.input[0]
            .r#type
            .as_mut()
            .unwrap()
            .tensor_type
            .as_mut()
            .unwrap();
        tensor.shape.as_mut().unwrap().dim.truncate(3);
    }));
    assert!(
        error.contains("3 dimensions") || error.contains("can't be loaded"),
        "{error}"
    );
    let error = reason(&foreign(&SMALL, |graph| {
        let far = onnx::Attribute::ints("dilations", &[1100; 2]);
        graph.node[0].attribute.push(far);
    }));
    assert!(error.contains("pixels away"), "{error}");
    let mut contract = SMALL.contract("colour");
    contract.channels = gstunetsegment::contract::Channels::Rgb;
    let error = reason(&common::described(&SMALL, &contract));
    assert!(
        error.contains("1 channels") && error.contains("promises 3"),
        "{error}"
    );
}

/// The promises of a contract are checked against the graph as far as possible.
#[test]
fn a_contract_that_the_graph_contradicts_is_refused() {
    let mut contract = SMALL.contract("fine grid");
    contract.geometry.stride = 1;
    let error = reason(&common::described(&SMALL, &contract));
    assert!(
        error.contains("stride of 1") && error.contains("pools by 4"),
        "{error}"
    );
    let mut contract = SMALL.contract("scores");
    contract.activation = Activation::None;
    let error = reason(&common::described(&SMALL, &contract));
    assert!(
        error.contains("probabilities") && error.contains("scores"),
        "{error}"
    );
}

#[test]
fn weights_in_another_file_are_refused() {
    let error = reason(&foreign(&SMALL, |graph| {
        let tensor = &mut graph.initializer[0];
        tensor.raw_data = Default::default();
        tensor.data_location = 1;
    }));
    assert!(
        error.contains("another file") && error.contains("onnx.save"),
        "{error}"
    );
}
