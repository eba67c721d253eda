//! Running a network: the only place that names ONNX Runtime.
//!
//! [`library`] finds and loads the runtime, [`provider`] names what it can compute on, [`model`]
//! opens a file and runs it on tensors that are made once, and [`probe`] finds out what a model
//! without a contract does to sizes.

pub mod library;
pub mod model;
mod probe;
pub mod provider;

pub use model::{Model, ModelError, Options};
pub use provider::Provider;
