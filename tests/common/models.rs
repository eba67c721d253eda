//! Models with random weights, and models that are made to do one thing.

use std::collections::BTreeMap;

use gstunetsegment::contract::Contract;
use gstunetsegment::inference::{Model, Options};
use gstunetsegment::onnx;
use gstunetsegment::onnx::export::{Parameters, export};
use gstunetsegment::unet::UNet;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Files, cells, init};

/// A small network of the paper's kind.
pub const SMALL: UNet = UNet {
    channels: 1,
    classes: 2,
    width: 4,
    depth: 2,
    padded: false,
};

/// A network that takes a while for a frame.
pub const SLOW: UNet = UNet {
    width: 32,
    depth: 3,
    ..SMALL
};

/// Random weights of the usual size (He et al.), so that no layer dies out.
fn parameters(unet: &UNet) -> BTreeMap<String, Parameters> {
    let mut random = StdRng::seed_from_u64(1);
    let layers = unet.layers().into_iter();
    layers
        .map(|layer| {
            let shape = layer.shape();
            let count: usize = shape.iter().product();
            let deviation = (2.0 / (count / layer.outputs) as f32).sqrt();
            // The sum of three uniform numbers in -1..1 has a standard deviation of 1.
            let mut normal = || (0..3).map(|_| random.random_range(-1.0..1.0)).sum::<f32>();
            let parameters = Parameters {
                weight: (0..count).map(|_| normal() * deviation).collect(),
                bias: (0..layer.outputs).map(|_| normal() * 0.1).collect(),
            };
            (layer.name, parameters)
        })
        .collect()
}

/// Shifts the last bias of a network of two classes so that half of a picture is foreground: a mask
/// of one class would hide any mistake.
fn balance(unet: &UNet, parameters: &mut BTreeMap<String, Parameters>) {
    init();
    let bytes = export(unet, parameters, &unet.contract("to balance")).unwrap();
    let files = Files::new();
    let mut model = Model::open(&files.write("model.onnx", &bytes), &Options::default()).unwrap();
    let (height, width) = unet.geometry().legal(300, 300).unwrap();
    model.shape(height, width).unwrap();
    let picture = cells(width, height, 9);
    let mean = picture.iter().map(|value| f32::from(*value)).sum::<f32>() / picture.len() as f32;
    let planes = model.input().chunks_exact_mut(width * height);
    for plane in planes {
        for (input, value) in plane.iter_mut().zip(&picture) {
            *input = (f32::from(*value) - mean) / 40.0;
        }
    }
    let scores = model.run().unwrap();
    let (background, foreground) = scores.split_at(scores.len() / 2);
    let mut lead: Vec<f32> = foreground
        .iter()
        .zip(background)
        .map(|(f, b)| f - b)
        .collect();
    lead.sort_by(f32::total_cmp);
    parameters.get_mut("last").unwrap().bias[1] -= lead[lead.len() / 2];
}

/// The bytes of a model with random weights.
pub fn model(unet: &UNet) -> Vec<u8> {
    described(unet, &unet.contract("random"))
}

/// The bytes of a model with random weights and the given contract.
pub fn described(unet: &UNet, contract: &Contract) -> Vec<u8> {
    let mut parameters = parameters(unet);
    if unet.classes == 2 && matches!(unet.channels, 1 | 3) {
        balance(unet, &mut parameters);
    }
    export(unet, &parameters, contract).unwrap()
}

/// The model of `unet` as another program would have written it: without a contract, and changed.
pub fn foreign(unet: &UNet, change: impl FnOnce(&mut onnx::Graph)) -> Vec<u8> {
    let mut model = onnx::Model::decode(model(unet).as_slice()).unwrap();
    model.metadata_props.clear();
    change(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

/// Adds an operator behind the last one of `graph`, of a network with two classes.
pub fn append(graph: &mut onnx::Graph, op: &str) {
    let output = graph.output[0].name.clone();
    let before = format!("before {op}");
    graph.node.last_mut().unwrap().output = vec![before.clone()];
    let number = |name: &str, i| onnx::Attribute {
        name: name.into(),
        i,
        r#type: onnx::AttributeType::Int as i32,
        ..Default::default()
    };
    let mut input = vec![before];
    if op == "InstanceNormalization" {
        for name in ["scale", "shift"] {
            input.push(name.into());
            graph.initializer.push(onnx::Tensor {
                dims: vec![2],
                data_type: onnx::DataType::Float as i32,
                float_data: vec![1.0; 2],
                name: name.into(),
                ..Default::default()
            });
        }
    }
    graph.node.push(onnx::Node {
        input,
        output: vec![output],
        name: op.into(),
        op_type: op.into(),
        attribute: match op {
            "Softmax" => vec![number("axis", 1)],
            "Cast" => vec![number("to", onnx::DataType::Float as i64)],
            _ => vec![],
        },
        ..Default::default()
    });
}

/// A model whose mask is the picture: foreground is what is brighter than 127. To be used with
/// the properties [`BRIGHTNESS`].
pub fn brightness() -> Vec<u8> {
    foreign(&SMALL, |graph| {
        let mut layer = graph.node.pop().unwrap();
        layer.input = ["image", "weight", "bias"].map(String::from).to_vec();
        graph.node = vec![layer];
        let tensor = |name: &str, dims: &[i64], values: &[f32]| {
            onnx::Tensor::of_floats(name.into(), dims, values)
        };
        graph.initializer = vec![
            tensor("weight", &[2, 1, 1, 1], &[0.0, 20.0]),
            tensor("bias", &[2], &[0.0, -10.0]),
        ];
    })
}

/// Properties that go with [`brightness`].
pub const BRIGHTNESS: [(&str, &str); 2] = [("normalization", "fixed"), ("value-range", "0,255")];
