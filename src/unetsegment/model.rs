//! What is known of the model in use.

use std::fmt::Write;
use std::path::PathBuf;

use crate::contract::Contract;
use crate::inference::Model;
use crate::picture::Color;

/// A model as the stages and those who ask see it.
#[derive(Debug)]
pub struct Loaded {
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal digits.
    pub hash: String,
    /// Name of what it runs on.
    pub provider: String,
    pub contract: Contract,
    /// Colours of the classes.
    pub colors: Vec<Color>,
}

impl Loaded {
    /// What is known of `model`.
    pub fn of(model: &Model) -> Self {
        let contract = model.contract().clone();
        let mut hash = String::with_capacity(64);
        for byte in model.hash() {
            // A string takes all that is written into it.
            let _ = write!(hash, "{byte:02x}");
        }
        Loaded {
            path: model.path().to_owned(),
            hash,
            provider: model.provider_name().to_owned(),
            colors: contract.classes.iter().map(|class| class.color).collect(),
            contract,
        }
    }
}
