//! Running a network: the only place that names ONNX Runtime.
//!
//! [`library`] finds and loads the runtime, [`provider`] lists its execution providers, and [`model`] opens a file and
//! runs it on tensors that are allocated once. A model without a contract is probed with inputs of several sizes.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod error;
mod external;
mod file;
pub mod library;
pub(crate) mod memory;
pub mod model;
mod options;
mod probe;
pub mod provider;
mod session;
mod shared;
mod signature;
mod stopping;
#[cfg(feature = "train")]
pub mod trace;
#[cfg(target_arch = "x86_64")]
mod winograd_operator;

pub use error::ModelError;
pub use model::Model;
pub use options::{ConvolutionMethod, Options};
pub use provider::Provider;
pub use session::has_int8_dot_product;
pub use stopping::{Canceller, Stopper, no_thread};
