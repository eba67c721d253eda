//! Running a network: the only place that names ONNX Runtime.
//!
//! [`library`] finds and loads the runtime, [`provider`] names what it can compute on, and [`model`]
//! opens a file and runs it on tensors that are made once. A model without a contract is tried on
//! several sizes to find out what it does to them.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod error;
mod external;
mod file;
pub mod library;
mod memory;
pub mod model;
mod network;
mod options;
mod probe;
pub mod provider;
mod session;
mod shared;
mod stopping;
#[cfg(feature = "train")]
pub mod trace;

pub use error::ModelError;
pub use model::Model;
pub use options::Options;
pub use provider::Provider;
pub use session::multiplies_8_bits;
pub use stopping::{Canceller, Stopper};
