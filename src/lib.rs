pub mod contract;
pub mod inference;
pub mod onnx;
pub mod tiling;
#[cfg(feature = "train")]
pub mod train;
pub mod unet;
