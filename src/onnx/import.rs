//! Reads the paper's network back from an ONNX model that [`export`](super::export) wrote.

use super::export::Parameters;
use super::{Graph, Model, Tensor};
use crate::contract::{Contract, FeatureRanges, METADATA_KEY, Precision, Training};
use crate::unet::UNet;

/// Why a network can't be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// Another program wrote the model, or changed it.
    #[error("it is no model that unet-train wrote")]
    Foreign,
    /// Its weights are quantized, and the original ones are lost.
    #[error("it computes with {0}: use the 32-bit model that it was made from")]
    Lighter(Precision),
    /// A layer lacks weights, or has others than its shape asks for.
    #[error("layer {0} does not have the weights that its shape asks for")]
    Layer(String),
}

/// A network that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Its shape.
    pub unet: UNet,
    /// Its weights and biases, in the order of [`UNet::layers`].
    pub values: Vec<Parameters>,
    /// Names of its classes, the background first.
    pub classes: Vec<String>,
    /// Its training, if the model has it.
    pub training: Option<Training>,
    /// Ranges of the features of its training pictures.
    pub pictures: FeatureRanges,
}

/// The network in `model`.
pub fn import(model: &Model) -> Result<Imported, ImportError> {
    let mut entries = model.metadata_props.iter();
    let entry = entries.find(|entry| entry.key == METADATA_KEY);
    let contract = entry.and_then(|entry| Contract::from_json(&entry.value).ok());
    let (Some(contract), Some(graph)) = (contract, &model.graph) else {
        return Err(ImportError::Foreign);
    };
    if contract.precision != Precision::F32 {
        return Err(ImportError::Lighter(contract.precision));
    }
    let padded = contract.geometry.margin == 0;
    let unet = shape(graph, padded).ok_or(ImportError::Foreign)?;
    let values = unet.layers().into_iter().map(|layer| {
        let shape = layer.shape();
        let weight = floats(graph, &format!("{}.weight", layer.name), &shape);
        let bias = floats(graph, &format!("{}.bias", layer.name), &[layer.outputs]);
        let values = weight.zip(bias);
        let values = values.map(|(weight, bias)| Parameters { weight, bias });
        values.ok_or(ImportError::Layer(layer.name))
    });
    Ok(Imported {
        unet,
        values: values.collect::<Result<_, _>>()?,
        classes: contract
            .classes
            .into_iter()
            .map(|class| class.name)
            .collect(),
        training: contract.training,
        pictures: contract.pictures,
    })
}

/// The shape of the network, by its first and last layer and the number of levels between them.
fn shape(graph: &Graph, padded: bool) -> Option<UNet> {
    let extent = |name: &str, at: usize| {
        let extent = *tensor(graph, name)?.dims.get(at)?;
        usize::try_from(extent).ok().filter(|extent| *extent > 0)
    };
    let is_level = |level: &usize| tensor(graph, &format!("down{level}.conv1.weight")).is_some();
    Some(UNet {
        channels: extent("down0.conv1.weight", 1)?,
        classes: extent("last.weight", 0)?,
        width: extent("down0.conv1.weight", 0)?,
        depth: (0..).take_while(is_level).count(),
        padded,
    })
}

fn tensor<'a>(graph: &'a Graph, name: &str) -> Option<&'a Tensor> {
    graph.initializer.iter().find(|tensor| tensor.name == name)
}

/// The values of a tensor, if it has this shape and they are finite.
fn floats(graph: &Graph, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
    let tensor = tensor(graph, name)?;
    let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok());
    let floats = tensor.floats();
    let fits = dims.eq(shape.iter().map(|dim| Some(*dim)))
        && floats.len() == shape.iter().product::<usize>()
        && floats.iter().all(|number| number.is_finite());
    fits.then_some(floats)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::onnx::export::export;
    use crate::train::weights::{initial, named};

    fn written(unet: UNet, change: impl FnOnce(&mut Contract)) -> (Model, Vec<Parameters>) {
        let values = initial(&unet, &mut StdRng::seed_from_u64(1));
        let mut contract = unet.contract("random");
        change(&mut contract);
        let bytes = export(&unet, &named(&unet, &values), &contract).unwrap();
        (Model::decode(&bytes[..]).unwrap(), values)
    }

    const SMALL: UNet = UNet {
        channels: 1,
        classes: 2,
        width: 3,
        depth: 2,
        padded: true,
    };

    #[test]
    fn an_exported_network_is_read_back() {
        for unet in [
            SMALL,
            UNet {
                channels: 3,
                classes: 4,
                width: 2,
                depth: 3,
                padded: false,
            },
        ] {
            let (model, values) = written(unet, |_| ());
            let imported = import(&model).unwrap();
            assert_eq!((imported.unet, imported.values), (unet, values));
            assert_eq!(imported.classes.len(), unet.classes);
        }
    }

    #[test]
    fn other_models_are_refused() {
        let (lighter, _) = written(SMALL, |contract| contract.precision = Precision::Int8);
        let refused = import(&lighter);
        assert_eq!(refused, Err(ImportError::Lighter(Precision::Int8)));
        let (mut model, _) = written(SMALL, |_| ());
        let graph = model.graph.as_mut().unwrap();
        graph
            .initializer
            .retain(|tensor| tensor.name != "bottom.conv2.bias");
        let refused = import(&model);
        assert_eq!(refused, Err(ImportError::Layer("bottom.conv2".into())));
        model.metadata_props.clear();
        assert_eq!(import(&model), Err(ImportError::Foreign));
        assert_eq!(import(&Model::default()), Err(ImportError::Foreign));
    }
}
