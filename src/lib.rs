pub mod contract;
pub mod onnx;
pub mod unet;
