//! Live segmentation of microscope video with a U-Net: the GStreamer element [`unetsegment`], the
//! parts that it is made of, and the trainer `unet-train`.
//!
//! Dependencies point one way. [`contract`], [`unet`], [`tiling`], [`picture`], [`labels`] and
//! [`onnx`] are pure; [`inference`] alone names ONNX Runtime; [`segmenter`] puts them together; the
//! element and the trainer use that.

// What lives inside an acquisition program must not take it down. The outer modules deny indexing, too; inside them
// loops over pixels keep to sizes that were checked.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "analytics")]
pub mod analytics;
pub mod bioimageio;
pub mod contract;
#[cfg(feature = "plugin")]
mod guard;
pub mod inference;
pub mod labels;
mod lock;
#[cfg(feature = "plugin")]
pub mod mask_meta;
pub mod onnx;
pub mod picture;
pub mod reuse;
pub mod segmenter;
pub mod tiling;
#[cfg(feature = "plugin")]
mod times;
#[cfg(feature = "train")]
#[allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)] // A program of its own, which may end.
pub mod train;
pub mod unet;
#[cfg(feature = "plugin")]
pub mod unetmask;
#[cfg(feature = "plugin")]
pub mod unetsegment;

#[cfg(feature = "plugin")]
extern crate gstreamer as gst;
#[cfg(feature = "analytics")]
extern crate gstreamer_analytics as gst_analytics;
#[cfg(feature = "plugin")]
extern crate gstreamer_base as gst_base;
#[cfg(feature = "plugin")]
extern crate gstreamer_video as gst_video;

#[cfg(feature = "plugin")]
fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    mask_meta::register();
    unetsegment::register(plugin)?;
    unetmask::register(plugin)
}

#[cfg(feature = "plugin")]
gst::plugin_define!(
    unetsegment,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    "2026-11-22"
);
