pub mod contract;
pub mod unet;
