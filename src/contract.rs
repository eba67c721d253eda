//! The contract of a model: the description stored inside its `.onnx` file.
//!
//! `unet-train` writes the contract as JSON into the metadata of the ONNX model under
//! [`METADATA_KEY`]; the element reads it back and needs no other file. For a model without one,
//! [probing](crate::inference) makes a contract.

mod classes;
mod feature_ranges;
mod geometry;
mod normalization;
mod training;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use classes::{Class, unnamed_classes};
pub use feature_ranges::{FeatureComparison, FeatureRanges};
pub use geometry::{Geometry, Sizes};
pub use normalization::Normalization;
pub use training::Training;

/// Key of the ONNX metadata entry that holds the contract.
pub const METADATA_KEY: &str = "unetsegment";

/// Version of the contract that this code writes, and the newest it can read.
pub const VERSION: u32 = 1;

/// Most classes that a mask of one byte per pixel can hold.
pub const MAX_CLASSES: usize = 256;

/// Everything a program has to know to run a network on a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Version of this description, see [`VERSION`].
    pub version: u32,
    /// Display name of the model.
    pub name: String,
    /// The input channels: one (grey) or three (red, green, blue).
    pub channels: Channels,
    /// The classes in the order of the mask's values; class 0 is the background.
    pub classes: Vec<Class>,
    /// The function that turns the network's output into probabilities.
    pub activation: Activation,
    /// Input sizes of the network and the border it removes.
    pub geometry: Geometry,
    /// How pixels become the network's input.
    pub normalization: Normalization,
    /// Probability of the foreground above which a pixel counts as foreground, in `0..=1`.
    /// Used by networks of two classes; with more classes the largest probability decides.
    #[serde(default = "half")]
    pub threshold: f32,
    /// Pixels of the smallest object that counts: smaller ones are mostly specks. Tuned together with `threshold`,
    /// on pictures that were not trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_area: Option<usize>,
    /// Probability of the foreground above which pixels belong to the core of an object: each object grows
    /// from a core of at least `min_area` pixels, which separates touching objects. Without it, objects that
    /// touch are one. Tuned like `threshold`; in `threshold..=1`, for networks of two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_threshold: Option<f32>,
    /// Features of the training pictures, to detect pictures that are unlike them; empty if unknown.
    #[serde(default, skip_serializing_if = "FeatureRanges::is_empty")]
    pub pictures: FeatureRanges,
    /// Size of a pixel of the training pictures in micrometres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size: Option<f64>,
    /// Numeric precision of the network.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// Origin of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Scores on pictures that were not trained on, by the name of the measure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
}

fn half() -> f32 {
    0.5
}

/// The channels of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// One channel: brightness.
    Gray,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Channels {
    /// How many channels the network's input has.
    pub fn count(self) -> usize {
        match self {
            Channels::Gray => 1,
            Channels::Rgb => 3,
        }
    }
}

/// Numeric precision of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point, where the device supports it.
    F16,
    /// 8-bit integers, except for some layers.
    Int8,
}

impl Precision {
    fn is_full(&self) -> bool {
        *self == Precision::F32
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "32-bit floating point",
            Precision::F16 => "16-bit floating point",
            Precision::Int8 => "8-bit integers",
        })
    }
}

/// The function that turns the network's output into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The output is one score per class; probabilities are its softmax over the classes.
    Softmax,
    /// The output is one channel, the score of the foreground; its probability is the logistic
    /// function of it.
    Sigmoid,
    /// The output already is probabilities: one channel per class, or one for the foreground alone.
    None,
}

/// Why a contract can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The metadata entry is not valid JSON of a contract.
    #[error("the contract inside the model can't be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer program wrote the file.
    #[error(
        "the contract inside the model has version {0}, but this program reads only up to {VERSION}: use a newer one"
    )]
    TooNew(u32),
    /// The values contradict each other.
    #[error("the contract inside the model is wrong: {0}")]
    Wrong(String),
}

impl Contract {
    /// A contract with defaults for the rest: unnamed `classes`, z-score, threshold 0.5.
    pub fn new(
        name: &str,
        channels: Channels,
        classes: usize,
        activation: Activation,
        geometry: Geometry,
    ) -> Self {
        Contract {
            version: VERSION,
            name: name.to_owned(),
            channels,
            classes: unnamed_classes(classes),
            activation,
            geometry,
            normalization: Normalization::ZScore,
            threshold: half(),
            min_area: None,
            core_threshold: None,
            pictures: FeatureRanges::default(),
            pixel_size: None,
            precision: Precision::F32,
            training: None,
            scores: BTreeMap::new(),
        }
    }

    /// Reads a contract from its JSON and checks that its values are consistent.
    ///
    /// # Errors
    /// If it is not the JSON of a contract, has a newer version, or its values contradict each other.
    pub fn from_json(json: &str) -> Result<Self, ContractError> {
        /// Read first, so that a newer contract is reported as too new, not as malformed.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(json)?;
        if version > VERSION {
            return Err(ContractError::TooNew(version));
        }
        let contract: Contract = serde_json::from_str(json)?;
        contract.check().map_err(ContractError::Wrong)?;
        Ok(contract)
    }

    /// The JSON that [`from_json`](Self::from_json) reads.
    #[expect(
        clippy::expect_used,
        reason = "all of its types can be written as JSON"
    )]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a contract can be written as JSON")
    }

    /// How many output channels the network may have: one per class, or, for two classes without softmax,
    /// one for the foreground alone.
    pub fn outputs(&self) -> RangeInclusive<usize> {
        match (self.activation, self.classes.len()) {
            (Activation::Sigmoid, _) => 1..=1,
            (Activation::None, 2) => 1..=2,
            (Activation::Softmax | Activation::None, classes) => classes..=classes,
        }
    }

    /// Checks that its values are consistent; the error says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("version 0; the first version is 1".into());
        }
        if !(2..=MAX_CLASSES).contains(&self.classes.len()) {
            return Err(format!(
                "{} classes, but 2 to {MAX_CLASSES} are allowed",
                self.classes.len()
            ));
        }
        if self.activation == Activation::Sigmoid && self.classes.len() != 2 {
            return Err(format!(
                "sigmoid means 2 classes, but there are {}",
                self.classes.len()
            ));
        }
        self.geometry.check()?;
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(format!(
                "threshold {} is not between 0 and 1",
                self.threshold
            ));
        }
        if let Some(core) = self.core_threshold
            && (!(self.threshold..=1.0).contains(&core) || self.classes.len() != 2)
        {
            return Err(format!(
                "core threshold {core} with threshold {} and {} classes: it must lie between the threshold and 1, and needs 2 classes",
                self.threshold,
                self.classes.len()
            ));
        }
        self.pictures.check()?;
        self.normalization.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNet;

    fn paper() -> Contract {
        Contract {
            min_area: Some(12),
            core_threshold: Some(0.75),
            pixel_size: Some(0.65),
            scores: BTreeMap::from([("SEG".into(), 0.9)]),
            ..UNet::PAPER.contract("cells")
        }
    }

    fn refusal(change: impl FnOnce(&mut Contract)) -> String {
        let mut contract = paper();
        change(&mut contract);
        Contract::from_json(&contract.to_json())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn json_comes_back() {
        assert_eq!(Contract::from_json(&paper().to_json()).unwrap(), paper());
    }

    #[test]
    fn a_contract_without_the_optional_parts_is_read_and_written_without_them() {
        let json = UNet::SMALL.contract("bare").to_json();
        assert!(!json.contains("min_area") && !json.contains("pixel_size"));
        assert_eq!(Contract::from_json(&json).unwrap().min_area, None);
    }

    #[test]
    fn legal_sizes_are_the_papers() {
        let geometry = paper().geometry;
        assert_eq!(geometry.legal(572, 572), Some((572, 572)));
        assert_eq!(geometry.legal(573, 1), Some((588, 188)));
        let fixed = Geometry {
            sizes: Sizes::Fixed {
                height: 256,
                width: 512,
            },
            ..geometry
        };
        assert_eq!(fixed.legal(256, 300), Some((256, 512)));
        assert_eq!(fixed.legal(257, 300), None);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(refusal(|c| c.version = VERSION + 1).contains("newer"));
        assert!(refusal(|c| c.version = 0).contains("version 0"));
        assert!(refusal(|c| c.classes.truncate(1)).contains("1 classes"));
        assert!(refusal(|c| c.geometry.halo = 91).contains("halo 91"));
        assert!(refusal(|c| c.geometry.stride = 0).contains("stride 0"));
        assert!(refusal(|c| c.geometry.margin = 94).contains("halo"));
        assert!(
            refusal(|c| c.normalization = Normalization::Fixed {
                low: 1.0,
                high: 1.0
            })
            .contains("range")
        );
        assert!(refusal(|c| c.threshold = 2.0).contains("threshold 2"));
        assert!(refusal(|c| c.core_threshold = Some(0.2)).contains("core threshold 0.2"));
        assert!(
            Contract::from_json("{\"version\": 1}")
                .unwrap_err()
                .to_string()
                .contains("can't be read")
        );
    }

    /// Contracts with random faults are refused, or written and read again as the same.
    #[test]
    fn contracts_with_faults_are_refused_or_read() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};

        let good = paper().to_json();
        let mut random = StdRng::seed_from_u64(4);
        let mut read = 0;
        for _ in 0..20_000 {
            let mut json = good.clone().into_bytes();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..json.len());
                json[at] = b"0123456789-.e{}[],\"nul"[random.random_range(0..22)];
            }
            let json = String::from_utf8_lossy(&json);
            if let Ok(contract) = Contract::from_json(&json) {
                let again = Contract::from_json(&contract.to_json());
                assert_eq!(again.unwrap(), contract);
                read += 1;
            }
        }
        assert!((1..20_000).contains(&read), "{read} were read");
    }
}
