//! The trainer behind `unet-train`: from a folder of images and instance masks to an `.onnx` file that
//! carries its contract, and from there to [scores and masks](apply). The only module that uses burn.
//!
//! ```text
//! dataset -> weight_map -> feeder(augment(field, grey)) -> network -> loss -> optimizer
//!                                                             |
//!                                            validate(metrics) -> trained_model, checkpoint
//! ```

pub mod apply;
pub mod arguments;
pub mod augment;
pub mod average;
pub mod checkpoint;
pub mod components;
pub mod config;
pub mod cpu;
pub mod data;
pub mod dataset;
pub mod device;
pub mod distance;
pub mod divergence;
pub mod feeder;
pub mod learner;
pub mod limits;
pub mod log;
pub mod loss;
pub mod memory;
pub mod metrics;
pub mod model_file;
mod muon;
pub mod network;
pub mod options;
pub mod plane;
pub mod prepare;
pub mod random;
pub mod read;
pub mod replace;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod schedule;
pub mod settings;
pub mod show;
pub mod start_from;
pub mod target;
pub mod terminal;
pub mod trained_model;
pub mod training_loop;
pub mod validate;
pub mod weight_map;
pub mod weights;
