//! Live segmentation of microscope video with a U-Net: the GStreamer elements [`unetsegment`] and [`unetmask`], their
//! parts, and the trainer `unet-train`.
//!
//! Dependencies point one way. [`contract`], [`unet`], [`tiling`], [`picture`], [`reuse`], [`labels`], [`onnx`],
//! [`bioimageio`] and `winograd` are pure. [`inference`] is the only module that uses ONNX Runtime. [`segmenter`]
//! combines these, and the elements and the trainer use it. [`mask_meta`] attaches masks to frames, and `analytics` does
//! the same in GStreamer's own form.
//!
//! The elements' properties and messages, the fields of the meta and the contract of models are stable. Of the crate
//! itself, only [`mask_meta`] and [`plugin_register_static`] are: the other modules are public for this project's own
//! programs, tests and benches, and may change in any version.

// Code inside an acquisition program must not end it. Modules that handle frames also deny indexing; in the others,
// loops over pixels index within bounds that were checked before.
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
mod regular_file;
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
#[cfg(target_arch = "x86_64")]
pub mod winograd;

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
