//! Writes the paper's network as an ONNX model that carries its contract.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    Attribute, DataType, Dimension, Entry, Extent, Graph, Model, Node, OperatorSet, Shape, Tensor,
    TensorType, Type, ValueInfo,
};
use crate::contract::{Contract, METADATA_KEY};
use crate::unet::{Layer, LayerKind, UNet};

/// ONNX operator set of the graph, and the file format that goes with it; every ONNX Runtime since
/// 1.15 (2023) reads them.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Name of the graph's input, \[batch, channels, height, width\].
pub const INPUT: &str = "image";
/// Name of the graph's output, \[batch, classes, height, width\]: one score per class, before softmax.
pub const OUTPUT: &str = "scores";

/// Weights and biases of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// In the order of [`Layer::shape`].
    pub weight: Vec<f32>,
    /// One value per output channel.
    pub bias: Vec<f32>,
}

/// Why a network can't be written.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ExportError {
    /// No weights for a layer.
    #[error("no weights for layer {0}")]
    Missing(String),
    /// Weights or biases of another size than the layer has.
    #[error("layer {layer} has {found} {what}, where its shape asks for {expected}")]
    Size {
        layer: String,
        what: &'static str,
        found: usize,
        expected: usize,
    },
}

/// The bytes of an `.onnx` file with the network `unet`, `parameters` by [`Layer::name`], and
/// `contract` in its metadata. Batch, height and width are dynamic.
pub fn export(
    unet: &UNet,
    parameters: &BTreeMap<String, Parameters>,
    contract: &Contract,
) -> Result<Vec<u8>, ExportError> {
    let mut builder = Builder::default();
    for layer in unet.layers() {
        builder.weights(&layer, parameters)?;
    }
    builder.network(unet);
    let graph = Graph {
        name: contract.name.clone(),
        node: builder.nodes,
        initializer: builder.initializers,
        input: vec![image(INPUT, unet.channels, "height", "width")],
        output: vec![image(OUTPUT, unet.classes, "out_height", "out_width")],
        ..Default::default()
    };
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: format!("U-Net (Ronneberger, Fischer, Brox 2015): {}", contract.name),
        graph: Some(graph),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: vec![Entry {
            key: METADATA_KEY.into(),
            value: contract.to_json(),
        }],
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

/// A graph under construction; methods return the name of the map that they add.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

impl Builder {
    fn weights(
        &mut self,
        layer: &Layer,
        parameters: &BTreeMap<String, Parameters>,
    ) -> Result<(), ExportError> {
        let name = &layer.name;
        let Parameters { weight, bias } = parameters
            .get(name)
            .ok_or_else(|| ExportError::Missing(name.clone()))?;
        let shape = layer.shape();
        for (what, found, expected) in [
            ("weights", weight.len(), shape.iter().product()),
            ("biases", bias.len(), layer.outputs),
        ] {
            if found != expected {
                return Err(ExportError::Size {
                    layer: name.clone(),
                    what,
                    found,
                    expected,
                });
            }
        }
        self.floats(format!("{name}.weight"), &shape, weight);
        self.floats(format!("{name}.bias"), &[layer.outputs], bias);
        Ok(())
    }

    fn floats(&mut self, name: String, shape: &[usize], values: &[f32]) {
        let dims: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        self.initializers
            .push(Tensor::of_floats(name, &dims, values));
    }

    /// Adds one operator and returns the name of its result.
    fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: impl Into<String>,
        attribute: Vec<Attribute>,
    ) -> String {
        let output = output.into();
        self.nodes.push(Node::new(op, inputs, &output, attribute));
        output
    }

    fn network(&mut self, unet: &UNet) {
        let mut map = INPUT.to_owned();
        let mut skips = Vec::new();
        for level in 0..unet.depth {
            map = self.pair(unet, &format!("down{level}"), &map);
            skips.push(map.clone());
            map = self.node(
                "MaxPool",
                &[&map],
                format!("down{level}.pool"),
                vec![
                    Attribute::ints("kernel_shape", &[2, 2]),
                    Attribute::ints("strides", &[2, 2]),
                ],
            );
        }
        map = self.pair(unet, "bottom", &map);
        for (level, skip) in skips.into_iter().enumerate().rev() {
            let up = self.layer(
                "ConvTranspose",
                &format!("up{level}.up"),
                &map,
                vec![
                    Attribute::ints("kernel_shape", &[2, 2]),
                    Attribute::ints("strides", &[2, 2]),
                ],
            );
            let skip = self.cropped(&skip, level, unet.crop(level));
            let both = self.node(
                "Concat",
                &[&skip, &up],
                format!("up{level}.both"),
                vec![Attribute::int("axis", 1)],
            );
            map = self.pair(unet, &format!("up{level}"), &both);
        }
        let kernel = kernel(LayerKind::Last);
        self.node(
            "Conv",
            &[&map, "last.weight", "last.bias"],
            OUTPUT,
            vec![Attribute::ints("kernel_shape", &kernel)],
        );
    }

    /// Two 3x3 convolutions, each followed by ReLU.
    fn pair(&mut self, unet: &UNet, stage: &str, input: &str) -> String {
        let pad = i64::from(unet.padded);
        let mut map = input.to_owned();
        for conv in ["conv1", "conv2"] {
            let name = format!("{stage}.{conv}");
            let attributes = vec![
                Attribute::ints("kernel_shape", &kernel(LayerKind::Convolution)),
                Attribute::ints("pads", &[pad; 4]),
            ];
            map = self.layer("Conv", &name, &map, attributes);
            map = self.node("Relu", &[&map], format!("{name}.relu"), Vec::new());
        }
        map
    }

    fn layer(&mut self, op: &str, name: &str, input: &str, attribute: Vec<Attribute>) -> String {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.node(op, &[input, &weight, &bias], name, attribute)
    }

    /// "Copy and crop": cuts `crop` pixels off each side, whatever the size of the map.
    fn cropped(&mut self, map: &str, level: usize, crop: usize) -> String {
        if crop == 0 {
            return map.to_owned();
        }
        let name = format!("up{level}.crop");
        let crop = crop as i64;
        let mut constant = |what: &str, values: [i64; 2]| {
            let constant = format!("{name}.{what}");
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            let tensor = Tensor::new(constant.clone(), DataType::Int64, &[2], bytes);
            self.initializers.push(tensor);
            constant
        };
        let starts = constant("starts", [crop; 2]);
        let ends = constant("ends", [-crop; 2]);
        let axes = constant("axes", [2, 3]);
        self.node("Slice", &[map, &starts, &ends, &axes], name, Vec::new())
    }
}

fn kernel(kind: LayerKind) -> [i64; 2] {
    match kind {
        LayerKind::Convolution => [3, 3],
        LayerKind::UpConvolution => [2, 2],
        LayerKind::Last => [1, 1],
    }
}

fn image(name: &str, channels: usize, height: &str, width: &str) -> ValueInfo {
    let dynamic = |name: &str| Extent::Name(name.into());
    let extents = [
        dynamic("batch"),
        Extent::Value(channels as i64),
        dynamic(height),
        dynamic(width),
    ];
    let dim = extents.map(|extent| Dimension {
        extent: Some(extent),
    });
    ValueInfo {
        name: name.into(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: DataType::Float as i32,
                shape: Some(Shape { dim: dim.to_vec() }),
            }),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(padded: bool) -> (UNet, BTreeMap<String, Parameters>, Contract) {
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 2,
            depth: 2,
            padded,
        };
        let parameters = unet
            .layers()
            .into_iter()
            .map(|layer| {
                let parameters = Parameters {
                    weight: vec![0.5; layer.shape().iter().product()],
                    bias: vec![0.0; layer.outputs],
                };
                (layer.name, parameters)
            })
            .collect();
        let contract = unet.contract("small");
        (unet, parameters, contract)
    }

    #[test]
    fn a_file_comes_back_with_its_contract() {
        for padded in [false, true] {
            let (unet, parameters, contract) = small(padded);
            let bytes = export(&unet, &parameters, &contract).unwrap();
            let model = Model::decode(bytes.as_slice()).unwrap();
            let graph = model.graph.unwrap();
            let count = |op: &str| graph.node.iter().filter(|node| node.op_type == op).count();
            assert_eq!(count("Conv") + count("ConvTranspose"), unet.layers().len());
            assert_eq!(count("Slice"), if padded { 0 } else { unet.depth });
            let last = &graph.initializer[graph.initializer.len() - 1];
            assert!(padded || last.dims == [2]);
            let entry = &model.metadata_props[0];
            assert_eq!(entry.key, METADATA_KEY);
            assert_eq!(Contract::from_json(&entry.value).unwrap(), contract);
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_named() {
        let (unet, mut parameters, contract) = small(false);
        parameters.get_mut("up0.up").unwrap().weight.pop();
        let error = export(&unet, &parameters, &contract)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("up0.up") && error.contains("weights"),
            "{error}"
        );
        parameters.remove("last");
        parameters.remove("up0.up");
        let error = export(&unet, &parameters, &contract).unwrap_err();
        assert_eq!(error, ExportError::Missing("up0.up".into()));
    }
}
