//! Description of the model in use.

use std::fmt::Write;
use std::path::PathBuf;

use crate::contract::Contract;
use crate::inference::Model;
use crate::picture::Color;

/// A loaded model, as the stages, messages and statistics see it.
#[derive(Debug)]
pub struct ModelInfo {
    pub path: PathBuf,
    /// SHA-256 of the ONNX file, in hexadecimal digits.
    pub hash: String,
    /// Name of the execution provider that runs it.
    pub provider: String,
    pub contract: Contract,
    /// Colours of the classes.
    pub colors: Vec<Color>,
}

impl ModelInfo {
    /// Describes `model`.
    pub fn of(model: &Model) -> Self {
        let contract = model.contract().clone();
        let mut hash = String::with_capacity(64);
        for byte in model.hash() {
            // Writing to a string can't fail.
            let _ = write!(hash, "{byte:02x}");
        }
        ModelInfo {
            path: model.path().to_owned(),
            hash,
            provider: model.provider_name().to_owned(),
            colors: contract.classes.iter().map(|class| class.color).collect(),
            contract,
        }
    }
}
