//! # unetsegment
//!
//! Segments the frames of a video stream with a U-Net, and draws the result over them or outputs it as a mask.
//!
//! ```sh
//! gst-launch-1.0 videotestsrc pattern=ball ! video/x-raw,format=GRAY8 ! \
//!     unetsegment model-file=models/nuclei-fluo.onnx ! videoconvert ! autovideosink
//! ```
//!
//! Every outgoing frame carries the mask as a meta, whatever `output` is: see [`crate::mask_meta`].

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod allocation;
mod arrival;
mod buffers;
mod caps;
mod choices;
mod drawing;
mod errors;
mod events;
mod flow;
mod gvalues;
mod imp;
mod inferrer;
mod job;
mod latency;
mod latency_limit;
mod loading;
mod messages;
mod model_info;
mod negotiation;
mod objects;
mod passing;
mod picture_check;
mod position;
mod properties;
mod property_table;
mod qos;
mod reader;
mod set_property;
mod settings;
mod stage_threads;
mod stats;
mod stream;
mod trigger;
mod writer;

use gst::prelude::*;

use crate::inference::{self, ConvolutionMethod};
use crate::tiling;

glib::wrapper! {
    /// The element `unetsegment`.
    pub struct UNetSegment(ObjectSubclass<imp::UNetSegment>)
        @extends gstreamer_base::BaseTransform, gstreamer::Element, gstreamer::Object,
        @implements gstreamer::Preset;
}

/// Registers the element and the types of its properties.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for r#type in [
        Output::static_type(),
        ExecutionProvider::static_type(),
        Blend::static_type(),
        Reuse::static_type(),
        NormalizationMode::static_type(),
        Mode::static_type(),
        OnError::static_type(),
        choices::Connectivity::static_type(),
        choices::Split::static_type(),
        choices::ColorBy::static_type(),
        choices::Annotations::static_type(),
    ] {
        r#type.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(
        Some(plugin),
        "unetsegment",
        gst::Rank::NONE,
        UNetSegment::static_type(),
    )
}

/// The output of the element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentOutput")]
#[repr(u32)]
pub enum Output {
    #[default]
    #[enum_value(
        name = "Overlay: the frame with the classes drawn over it",
        nick = "overlay"
    )]
    Overlay,
    #[enum_value(name = "Mask: the class of each pixel, GRAY8", nick = "mask")]
    Mask,
    #[enum_value(
        name = "Labels: the object number of each pixel, GRAY16_LE",
        nick = "labels"
    )]
    Labels,
    #[enum_value(
        name = "Probability: of the foreground, GRAY8 or GRAY16_LE",
        nick = "probability"
    )]
    Probability,
    #[enum_value(
        name = "Uncertainty: entropy of the foreground probability in bits, 0 to 1, GRAY8 or GRAY16_LE",
        nick = "uncertainty"
    )]
    Uncertainty,
    #[enum_value(
        name = "None: the frame unchanged, with the mask as a meta only",
        nick = "none"
    )]
    None,
}

impl Output {
    /// Every output.
    const ALL: [Output; 6] = [
        Self::Overlay,
        Self::Mask,
        Self::Labels,
        Self::Probability,
        Self::Uncertainty,
        Self::None,
    ];

    /// Whether nothing goes out if there is no mask.
    const fn is_map(self) -> bool {
        matches!(
            self,
            Self::Mask | Self::Labels | Self::Probability | Self::Uncertainty
        )
    }

    /// Whether it is computed from probabilities.
    const fn needs_probability(self) -> bool {
        matches!(self, Self::Probability | Self::Uncertainty)
    }
}

/// Execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentExecutionProvider")]
#[repr(u32)]
pub enum ExecutionProvider {
    #[default]
    #[enum_value(name = "The first one that works, GPUs before the CPU", nick = "auto")]
    Auto,
    #[enum_value(name = "CPU", nick = "cpu")]
    Cpu,
    #[enum_value(name = "NVIDIA CUDA", nick = "cuda")]
    Cuda,
    #[enum_value(name = "NVIDIA TensorRT", nick = "tensorrt")]
    TensorRt,
    #[enum_value(name = "AMD MIGraphX", nick = "migraphx")]
    MiGraphX,
    #[enum_value(name = "Intel OpenVINO", nick = "openvino")]
    OpenVino,
    #[enum_value(name = "Apple Core ML", nick = "coreml")]
    CoreMl,
    #[enum_value(name = "Microsoft DirectML", nick = "directml")]
    DirectMl,
    #[enum_value(name = "WebGPU", nick = "webgpu")]
    WebGpu,
}

impl From<ExecutionProvider> for inference::Provider {
    fn from(provider: ExecutionProvider) -> Self {
        match provider {
            ExecutionProvider::Auto => Self::Auto,
            ExecutionProvider::Cpu => Self::Cpu,
            ExecutionProvider::Cuda => Self::Cuda,
            ExecutionProvider::TensorRt => Self::TensorRt,
            ExecutionProvider::MiGraphX => Self::MiGraphX,
            ExecutionProvider::OpenVino => Self::OpenVino,
            ExecutionProvider::CoreMl => Self::CoreMl,
            ExecutionProvider::DirectMl => Self::DirectMl,
            ExecutionProvider::WebGpu => Self::WebGpu,
        }
    }
}

/// How convolutions with 3 x 3 kernels are computed on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentConvolution")]
#[repr(u32)]
pub enum Convolution {
    #[default]
    #[enum_value(
        name = "By ONNX Runtime; the mask does not depend on how a frame is tiled",
        nick = "direct"
    )]
    Direct,
    #[enum_value(
        name = "By Winograd's method, with a quarter of the multiplications; probabilities agree to four digits, masks of 8-bit models nearly; rounding depends on how a frame is tiled",
        nick = "winograd"
    )]
    Winograd,
}

impl From<Convolution> for ConvolutionMethod {
    fn from(convolution: Convolution) -> Self {
        match convolution {
            Convolution::Direct => Self::Direct,
            Convolution::Winograd => Self::Winograd,
        }
    }
}

/// How neighbouring tiles are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentBlend")]
#[repr(u32)]
pub enum Blend {
    #[default]
    #[enum_value(name = "Tiles side by side, as in the paper", nick = "crop")]
    Crop,
    #[enum_value(name = "Overlapping tiles, averaged", nick = "average")]
    Average,
    #[enum_value(
        name = "Overlapping tiles, weighted towards their centres",
        nick = "gaussian"
    )]
    Gaussian,
}

impl From<Blend> for tiling::Blend {
    fn from(blend: Blend) -> Self {
        match blend {
            Blend::Crop => Self::Crop,
            Blend::Average => Self::Average,
            Blend::Gaussian => Self::Gaussian,
        }
    }
}

/// Which parts of a frame are inferred again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentReuse")]
#[repr(u32)]
pub enum Reuse {
    #[default]
    #[enum_value(name = "Everything, in every frame", nick = "off")]
    Off,
    #[enum_value(
        name = "Tiles in which anything has changed; masks are the same as with off (with convolution=winograd, up to rounding)",
        nick = "exact"
    )]
    Exact,
    #[enum_value(
        name = "Parts that have changed by more than noise",
        nick = "threshold"
    )]
    Threshold,
}

/// How pixels become the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentNormalization")]
#[repr(u32)]
pub enum NormalizationMode {
    #[default]
    #[enum_value(name = "As the model says, else z-score", nick = "model")]
    Model,
    #[enum_value(name = "Mean 0, standard deviation 1", nick = "z-score")]
    ZScore,
    #[enum_value(name = "Percentiles 1 and 99.8 become 0 and 1", nick = "percentile")]
    Percentile,
    #[enum_value(
        name = "The smallest and largest value become 0 and 1",
        nick = "min-max"
    )]
    MinMax,
    #[enum_value(name = "The limits of value-range become 0 and 1", nick = "fixed")]
    Fixed,
}

/// Whether frames wait for their masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentMode")]
#[repr(u32)]
pub enum Mode {
    #[default]
    #[enum_value(name = "Every frame waits for its own mask", nick = "sync")]
    Sync,
    #[enum_value(
        name = "Every frame passes at once with the newest mask; the network takes the newest frame",
        nick = "latest"
    )]
    Latest,
}

/// What to do when the network fails on a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstUNetSegmentOnError")]
#[repr(u32)]
pub enum OnError {
    #[default]
    #[enum_value(name = "The stream ends with an error", nick = "stop")]
    Stop,
    #[enum_value(
        name = "Frames pass without masks; nothing goes out if output is a mask or map",
        nick = "passthrough"
    )]
    Passthrough,
}
