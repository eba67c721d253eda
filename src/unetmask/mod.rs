//! The element `unetmask`: outputs the mask attached to a frame as a stream of its own.
//!
//! One inference serves both display and recording:
//!
//! ```text
//! camera ! unetsegment model-file=m.onnx output=none ! tee name=frames
//! frames. ! queue ! ...the picture...
//! frames. ! queue ! unetmask ! ...the mask...
//! ```
//!
//! The output is the memory of the [meta](crate::mask_meta) itself; only probabilities reduced to 8 bits, and rows that
//! need padding, are copied.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod imp;
mod map_output;
mod missing_masks;

use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct UNetMask(ObjectSubclass<imp::UNetMask>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Registers the element with GStreamer.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for r#type in [OutputMap::static_type(), WithoutMask::static_type()] {
        r#type.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(
        Some(plugin),
        "unetmask",
        gst::Rank::NONE,
        UNetMask::static_type(),
    )
}

/// The map to output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetMaskWhat")]
#[repr(u32)]
pub enum OutputMap {
    #[default]
    #[enum_value(name = "The class of each pixel, GRAY8", nick = "mask")]
    Mask,
    #[enum_value(
        name = "The number of the object of each pixel, GRAY16_LE",
        nick = "labels"
    )]
    Labels,
    #[enum_value(
        name = "The probability of the foreground, GRAY8 or GRAY16_LE",
        nick = "probability"
    )]
    Probability,
}

impl OutputMap {
    /// Bytes per sample in the meta of the frame.
    const fn bytes(self) -> usize {
        match self {
            Self::Mask => 1,
            Self::Labels | Self::Probability => 2,
        }
    }
}

/// The output for a frame without a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetMaskWithoutMask")]
#[repr(u32)]
pub enum WithoutMask {
    #[default]
    #[enum_value(name = "Nothing but a GAP event", nick = "drop")]
    Drop,
    #[enum_value(name = "Background", nick = "empty")]
    Empty,
}
