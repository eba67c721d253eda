//! The GObject side of `unetmask`.

use std::sync::Mutex;

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::map_output::MapOutput;
use super::missing_masks::{MissingMask, MissingMasks};
use super::{OutputMap, WithoutMask};
use crate::guard::guarded;
use crate::labels::{MOST_OBJECTS, TooManyObjects};
use crate::lock::lock;
use crate::mask_meta;

#[derive(Default)]
pub struct UNetMask {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
}

#[derive(Clone, Copy, Default)]
struct Settings {
    what: OutputMap,
    without_mask: WithoutMask,
    drop_stale: bool,
}

#[derive(Default)]
struct Stream {
    /// The output map that was set at the start.
    what: Option<OutputMap>,
    output: Option<MapOutput>,
    missing: MissingMasks,
}

impl UNetMask {
    /// The map to output: while frames flow, the one that was set at the start.
    fn what(&self) -> OutputMap {
        let at_start = lock(&self.stream).what;
        at_start.unwrap_or_else(|| lock(&self.settings).what)
    }

    /// The map of `frame`, if there is one to output.
    fn map(
        &self,
        frame: &gst::BufferRef,
        settings: Settings,
    ) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let Some(mask) = mask_meta::of(frame) else {
            return Ok(None);
        };
        if settings.drop_stale && mask.stale {
            return Ok(None);
        }
        let map = match settings.what {
            OutputMap::Mask => return Ok(Some(mask.mask)),
            OutputMap::Labels => mask.labels.ok_or_else(|| no_labels(mask.objects)),
            OutputMap::Probability => mask.probability.ok_or_else(no_probability),
        };
        match map {
            Ok((map, _)) => Ok(Some(map)),
            Err(text) => {
                gst::element_imp_error!(self, gst::StreamError::WrongType, ("{text}"));
                Err(gst::FlowError::Error)
            }
        }
    }

    /// The output for a frame without a usable mask.
    fn without_mask(
        &self,
        frame: &gst::BufferRef,
        settings: Settings,
        info: &gst_video::VideoInfo,
    ) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let missing = match mask_meta::of(frame) {
            Some(_) => MissingMask::Stale,
            None => MissingMask::None,
        };
        let warning = lock(&self.stream).missing.count(missing);
        if let Some(text) = warning {
            gst::element_imp_warning!(self, gst::StreamError::WrongType, ("{text}"));
        }
        if settings.without_mask == WithoutMask::Drop {
            if let Some(time) = frame.pts() {
                let gap = gst::event::Gap::builder(time).duration(frame.duration());
                self.obj().src_pad().push_event(gap.build());
            }
            return Ok(GenerateOutputSuccess::Dropped);
        }
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(info.size()).map_err(|error| {
            let text = format!("There is not enough memory for an empty mask: {error}");
            gst::element_imp_error!(self, gst::ResourceError::NoSpaceLeft, ("{text}"));
            gst::FlowError::Error
        })?;
        pixels.resize(info.size(), 0_u8);
        let mut out = gst::Buffer::from_mut_slice(pixels);
        copy_metadata(frame, out.make_mut())?;
        Ok(GenerateOutputSuccess::Buffer(out))
    }
}

/// Why frames carry no labels; `objects` is how many were found, if any were looked for.
fn no_labels(objects: Option<u32>) -> String {
    match objects.map(|count| count as usize) {
        Some(count) if count > MOST_OBJECTS => {
            format!("A frame carries no labels: {}", TooManyObjects(count))
        }
        _ => "The frames carry no labels: set find-objects=true on unetsegment".into(),
    }
}

/// Why frames carry no probability.
fn no_probability() -> String {
    "The frames carry no probability: set keep-probability=true on unetsegment".into()
}

/// Copies timestamps and flags of a frame.
fn copy_metadata(frame: &gst::BufferRef, out: &mut gst::BufferRef) -> Result<(), gst::FlowError> {
    let flags = gst::BufferCopyFlags::TIMESTAMPS | gst::BufferCopyFlags::FLAGS;
    frame
        .copy_into(out, flags, ..)
        .map_err(|_| gst::FlowError::Error)
}

#[glib::object_subclass]
impl ObjectSubclass for UNetMask {
    const NAME: &'static str = "GstUNetMask";
    type Type = super::UNetMask;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for UNetMask {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let default = Settings::default();
            vec![
                glib::ParamSpecEnum::builder_with_default("what", default.what)
                    .nick("What")
                    .blurb("Which map to output")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("without-mask", default.without_mask)
                    .nick("Without mask")
                    .blurb("What to output for a frame without a mask, like the first ones of mode=latest")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoolean::builder("drop-stale")
                    .nick("Drop stale")
                    .blurb("Whether to treat a mask that is older than max-mask-age of unetsegment as missing")
                    .default_value(default.drop_stale)
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        guarded(self, (), || {
            let mut settings = lock(&self.settings);
            match pspec.name() {
                "what" => settings.what = value.get().unwrap_or_default(),
                "without-mask" => settings.without_mask = value.get().unwrap_or_default(),
                _ => settings.drop_stale = value.get().unwrap_or_default(),
            }
        });
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        guarded(self, pspec.default_value().clone(), || {
            let settings = *lock(&self.settings);
            match pspec.name() {
                "what" => settings.what.to_value(),
                "without-mask" => settings.without_mask.to_value(),
                _ => settings.drop_stale.to_value(),
            }
        })
    }
}

impl GstObjectImpl for UNetMask {}

impl ElementImpl for UNetMask {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "U-Net mask",
                "Filter/Video",
                "Outputs the mask that unetsegment has attached to a frame as a stream of its own",
                "The unetsegment developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let maps = [
                gst_video::VideoFormat::Gray8,
                gst_video::VideoFormat::Gray16Le,
            ];
            let any = gst::Caps::builder("video/x-raw").build();
            let map = gst_video::VideoCapsBuilder::new().format_list(maps).build();
            [
                ("sink", gst::PadDirection::Sink, any),
                ("src", gst::PadDirection::Src, map),
            ]
            .into_iter()
            .filter_map(|(name, direction, caps)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_ref()
    }
}

impl BaseTransformImpl for UNetMask {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let mut other = caps.clone();
        for structure in other.make_mut().iter_mut() {
            // These fields describe the colours and the memory of the other pad.
            structure.remove_fields(["format", "colorimetry", "chroma-site"]);
            if direction == gst::PadDirection::Sink {
                match self.what() {
                    OutputMap::Mask => structure.set("format", "GRAY8"),
                    OutputMap::Labels => structure.set("format", "GRAY16_LE"),
                    OutputMap::Probability => {
                        structure.set("format", gst::List::new(["GRAY8", "GRAY16_LE"]));
                    }
                }
            }
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn set_caps(&self, _incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(outcaps)?;
        let output = MapOutput::new(info)?;
        let mut stream = lock(&self.stream);
        stream.output = Some(output);
        stream.missing = MissingMasks::default();
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let accepts_strides = query
            .find_allocation_meta::<gst_video::VideoMeta>()
            .is_some();
        if let Some(output) = &mut lock(&self.stream).output {
            output.accepts_strides = accepts_strides;
        }
        self.parent_decide_allocation(query)
    }

    fn unit_size(&self, caps: &gst::Caps) -> Option<usize> {
        gst_video::VideoInfo::from_caps(caps)
            .ok()
            .map(|info| info.size())
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(frame) = self.take_queued_buffer() else {
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let settings = Settings {
            what: self.what(),
            ..*lock(&self.settings)
        };
        let output = lock(&self.stream).output.clone();
        let output = output.ok_or(gst::FlowError::NotNegotiated)?;
        let Some(map) = self.map(&frame, settings)? else {
            return self.without_mask(&frame, settings, &output.info);
        };
        lock(&self.stream).missing = MissingMasks::default();
        let mut out = output.buffer(&map, settings.what).map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{error}"));
            gst::FlowError::Error
        })?;
        copy_metadata(&frame, out.make_mut())?;
        Ok(GenerateOutputSuccess::Buffer(out))
    }

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let what = lock(&self.settings).what;
        lock(&self.stream).what = Some(what);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = Stream::default();
        Ok(())
    }
}
