pub mod contract;
pub mod inference;
pub mod onnx;
pub mod tiling;
pub mod unet;
