//! Applying a model to files, as the element applies it to video: `unet-train evaluate`, `segment` and
//! `info`; and writing variants of it: `quantize`, `tune` and `export`.
//!
//! ```text
//! dataset -> picture -> predictor(turn, segmenter) -> evaluate(metrics) -> report
//!                                                  -> segment -> pictures
//! ```

pub mod calibrate;
pub mod evaluate;
pub mod export;
pub mod info;
pub mod options;
pub mod package;
pub mod picture;
pub mod png;
pub mod predictor;
pub mod quantize;
pub mod report;
pub mod segment;
pub mod tune;
pub mod turn;
