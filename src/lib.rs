pub mod contract;
pub mod tiling;
pub mod unet;
