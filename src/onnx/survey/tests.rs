use std::collections::BTreeMap;

use prost::Message;

use super::*;
use crate::onnx::Model;
use crate::onnx::export::{Parameters, export};
use crate::unet::UNet;

const NET: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 1,
    depth: 1,
    padded: true,
};

fn graph(unet: &UNet) -> Graph {
    let parameters: BTreeMap<_, _> = unet
        .layers()
        .into_iter()
        .map(|layer| {
            let parameters = Parameters {
                weight: vec![0.0; layer.shape().iter().product()],
                bias: vec![0.0; layer.outputs],
            };
            (layer.name, parameters)
        })
        .collect();
    let contract = unet.contract("test");
    let bytes = export(unet, &parameters, &contract).unwrap();
    Model::decode(bytes.as_slice()).unwrap().graph.unwrap()
}

#[test]
fn the_papers_network_is_recognised() {
    for padded in [false, true] {
        for depth in 1..5 {
            let unet = UNet {
                channels: 1,
                classes: 2,
                width: 4,
                depth,
                padded,
            };
            let survey = survey(&graph(&unet), 1);
            assert_eq!(survey.stride, unet.geometry().stride);
            assert_eq!(survey.padded, padded);
            let padded = UNet {
                padded: true,
                ..unet
            };
            assert_eq!(survey.halo, Some(padded.geometry().halo));
            assert_eq!(survey.activation, Some(Activation::Softmax));
            // At least the two widest maps of the way up: the concatenated one and its
            // convolution, 3 width channels of 4 bytes.
            assert!(survey.bytes_per_pixel >= 3.0 * 4.0 * 4.0, "{survey:?}");
            assert!(survey.bytes_per_pixel < 20.0 * 4.0 * 4.0, "{survey:?}");
        }
    }
}

#[test]
fn the_scratch_memory_of_an_up_convolution_counts() {
    let unet = UNet { width: 16, ..NET };
    let mut graph = graph(&unet);
    // The concatenation takes four maps of `width` channels, more than an up-convolution of 2x2 one step before.
    assert_eq!(survey(&graph, 1).bytes_per_pixel, 4.0 * 16.0 * 4.0);
    let weights = graph.initializer.iter_mut();
    for tensor in weights.filter(|tensor| tensor.name == "up0.up.weight") {
        tensor.dims[2..].copy_from_slice(&[32, 32]);
    }
    // 16 channels, at each second pixel of each second row.
    let room = 4.0 * 16.0 * 32.0 * 32.0 / 4.0;
    assert!(survey(&graph, 1).bytes_per_pixel >= room);
}

#[test]
fn few_channels_take_the_room_of_a_block() {
    // The input and the output of a convolution.
    let room = 2.0 * 16.0 * 4.0;
    assert!(survey(&graph(&NET), 1).bytes_per_pixel >= room);
}

#[test]
fn an_operator_that_sees_the_whole_picture_has_no_halo() {
    let unet = UNet { width: 2, ..NET };
    let mut graph = graph(&unet);
    for op in ["InstanceNormalization", "GlobalAveragePool", "SomethingNew"] {
        graph.node[1].op_type = op.into();
        let survey = survey(&graph, 1);
        assert_eq!((survey.halo, survey.global.as_deref()), (None, Some(op)));
    }
}

/// A picture that is reduced by pooling and enlarged by `scales`.
#[test]
fn an_output_of_another_size_than_the_picture_has_no_halo() {
    let halo = |scales: [f32; 4]| {
        let node = |op: &str, input: &[&str], output: &str, attribute| Node {
            input: input.iter().map(|name| name.to_string()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute,
            ..Default::default()
        };
        let ints = |name: &str| Attribute {
            name: name.into(),
            ints: vec![4, 4],
            ..Default::default()
        };
        let constant = Attribute {
            t: Some(Tensor {
                dims: vec![4],
                data_type: crate::onnx::DataType::Float as i32,
                float_data: scales.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let value = |name: &str| crate::onnx::ValueInfo {
            name: name.into(),
            ..Default::default()
        };
        let pool = vec![ints("kernel_shape"), ints("strides")];
        let graph = Graph {
            node: vec![
                node("MaxPool", &["x"], "small", pool),
                node("Constant", &[], "scales", vec![constant]),
                node("Resize", &["small", "", "scales"], "y", vec![]),
            ],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        };
        survey(&graph, 1).halo
    };
    assert!(halo([1.0, 1.0, 4.0, 4.0]).is_some());
    assert_eq!(halo([1.0, 1.0, 2.0, 2.0]), None);
}

/// Inputs of one operator have the same grid, so that a size which is computed when the network runs is known.
#[test]
fn a_map_that_is_enlarged_to_the_size_of_another_keeps_its_reach() {
    let node = |op: &str, input: &[&str], output: &str, sides: Option<i64>| Node {
        input: input.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        attribute: ["kernel_shape", "strides"]
            .iter()
            .filter_map(|name| {
                let attribute = Attribute {
                    name: name.to_string(),
                    ints: vec![sides?; 2],
                    ..Default::default()
                };
                Some(attribute)
            })
            .collect(),
        ..Default::default()
    };
    let value = |name: &str| crate::onnx::ValueInfo {
        name: name.into(),
        ..Default::default()
    };
    let graph = Graph {
        node: vec![
            node("MaxPool", &["x"], "small", Some(8)),
            node("Shape", &["x"], "size", None),
            node("Resize", &["small", "", "", "size"], "large", None),
            node("Add", &["x", "large"], "y", None),
        ],
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    };
    // A neighbour in the map of scale 1/8.
    assert_eq!(survey(&graph, 1).halo, Some(8));
    let mut wider = graph.clone();
    let convolution = node("AveragePool", &["small"], "wide", None);
    wider.node.insert(1, convolution);
    wider.node[1].attribute.push(Attribute {
        name: "kernel_shape".into(),
        ints: vec![3, 3],
        ..Default::default()
    });
    wider.node[3].input[0] = "wide".into();
    assert_eq!(survey(&wider, 1).halo, Some(16));
}

#[test]
fn the_longer_side_of_a_kernel_counts() {
    let unet = UNet { width: 2, ..NET };
    let halo = |change: fn(&mut Node)| {
        let mut graph = graph(&unet);
        let convolutions = graph.node.iter_mut().filter(|node| node.op_type == "Conv");
        convolutions.take(1).for_each(change);
        survey(&graph, 1).halo.unwrap()
    };
    fn set(node: &mut Node, name: &str, sides: [i64; 2]) {
        node.attribute.retain(|attribute| attribute.name != name);
        node.attribute.push(Attribute {
            name: name.into(),
            ints: sides.into(),
            ..Default::default()
        });
    }
    let square = halo(|_| ());
    assert!(halo(|node| set(node, "kernel_shape", [3, 9])) >= square + 3);
    assert_eq!(
        halo(|node| set(node, "kernel_shape", [3, 9])),
        halo(|node| set(node, "kernel_shape", [9, 3]))
    );
    assert!(halo(|node| set(node, "dilations", [1, 4])) >= square + 3);
}
