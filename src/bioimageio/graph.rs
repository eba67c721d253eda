//! Adds pointwise steps to a network's graph.

use super::PackageError;
use super::description::Description;
use super::steps::Pointwise;
use crate::onnx::{Attribute, DataType, Graph, Node, Tensor};

/// Adds the steps before and after the network of `description` to `graph`.
pub(super) fn extend(graph: &mut Graph, description: &Description) -> Result<(), PackageError> {
    let before = &description.preprocessing.pointwise;
    if !before.is_empty() {
        let is_weight = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
        let input = graph.input.iter().find(|input| !is_weight(&input.name));
        let Some(input) = input.map(|input| input.name.clone()) else {
            return Err(PackageError::field("weights", "the network has no input"));
        };
        let mut chain = Chain::new(input.clone(), "preprocessing");
        chain.extend(before);
        for name in graph.node.iter_mut().flat_map(|node| &mut node.input) {
            if *name == input {
                name.clone_from(&chain.last);
            }
        }
        graph.node.splice(0..0, chain.nodes);
        graph.initializer.extend(chain.constants);
    }
    let after = &description.postprocessing.pointwise;
    if let Some(output) = graph.output.first().map(|output| output.name.clone())
        && !after.is_empty()
    {
        // The output keeps its name; the network's own output is renamed.
        let raw = format!("{output}/before postprocessing");
        let names = graph
            .node
            .iter_mut()
            .flat_map(|node| node.input.iter_mut().chain(&mut node.output));
        for name in names.filter(|name| **name == output) {
            name.clone_from(&raw);
        }
        let mut chain = Chain::new(raw, "postprocessing");
        chain.extend(after);
        if let Some(last) = chain.nodes.last_mut() {
            last.output = vec![output];
        }
        graph.node.extend(chain.nodes);
        graph.initializer.extend(chain.constants);
    }
    Ok(())
}

/// A chain of operators.
struct Chain {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
    /// The output of the last operator.
    last: String,
    prefix: &'static str,
}

impl Chain {
    fn new(input: String, prefix: &'static str) -> Self {
        Chain {
            nodes: Vec::new(),
            constants: Vec::new(),
            last: input,
            prefix,
        }
    }

    fn extend(&mut self, steps: &[Pointwise]) {
        for step in steps {
            match step {
                Pointwise::Linear { gain, offset } => {
                    self.with("Mul", gain);
                    self.with("Add", offset);
                }
                Pointwise::Clip { low, high } => {
                    // The inputs of Clip differ between versions of ONNX.
                    low.iter().for_each(|low| self.with("Max", &[*low]));
                    high.iter().for_each(|high| self.with("Min", &[*high]));
                }
                Pointwise::Sigmoid => self.add("Sigmoid", None, Vec::new()),
                Pointwise::Softmax => self.add("Softmax", None, vec![Attribute::int("axis", 1)]),
                Pointwise::Binarize(thresholds) => {
                    self.with("Greater", thresholds);
                    let to = Attribute::int("to", DataType::Float as i64);
                    self.add("Cast", None, vec![to]);
                }
            }
        }
    }

    /// Adds an operator with a number for all channels, or one for each.
    fn with(&mut self, op: &str, numbers: &[f32]) {
        let name = format!("{}/{}/numbers", self.prefix, self.nodes.len());
        let dims = [1, numbers.len() as i64, 1, 1];
        self.constants
            .push(Tensor::of_floats(name.clone(), &dims, numbers));
        self.add(op, Some(name), Vec::new());
    }

    fn add(&mut self, op: &str, constant: Option<String>, attribute: Vec<Attribute>) {
        let output = format!("{}/{}", self.prefix, self.nodes.len());
        let name = output.clone();
        let input = std::mem::replace(&mut self.last, output.clone());
        self.nodes.push(Node {
            name,
            op_type: op.to_owned(),
            input: [input].into_iter().chain(constant).collect(),
            output: vec![output],
            attribute,
            ..Node::default()
        });
    }
}
