//! The element `unetmask`: the mask that rides on a frame as a stream of its own.
//!
//! One inference serves display and recording:
//!
//! ```text
//! camera ! unetsegment model-file=m.onnx output=none ! tee name=frames
//! frames. ! queue ! ...the picture...
//! frames. ! queue ! unetmask ! ...the mask...
//! ```
//!
//! What goes out is the memory that the [meta](crate::mask_meta) holds; nothing is copied but probabilities that are
//! to have 8 bits, and rows that have to be padded.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod imp;
mod missing_masks;
mod rows;

use gst::prelude::*;

glib::wrapper! {
    /// The element.
    pub struct UNetMask(ObjectSubclass<imp::UNetMask>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Makes the element known to GStreamer.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for r#type in [What::static_type(), WithoutMask::static_type()] {
        r#type.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(
        Some(plugin),
        "unetmask",
        gst::Rank::NONE,
        UNetMask::static_type(),
    )
}

/// What goes out of what a frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetMaskWhat")]
#[repr(u32)]
pub enum What {
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

impl What {
    /// Bytes of a sample as it rides on the frame.
    const fn bytes(self) -> usize {
        match self {
            Self::Mask => 1,
            Self::Labels | Self::Probability => 2,
        }
    }
}

/// What goes out for a frame without a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetMaskWithoutMask")]
#[repr(u32)]
pub enum WithoutMask {
    #[default]
    #[enum_value(name = "Nothing; a gap tells the time", nick = "drop")]
    Drop,
    #[enum_value(name = "Background", nick = "empty")]
    Empty,
}
