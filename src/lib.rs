pub mod contract;
pub mod picture;
pub mod tiling;
pub mod unet;
