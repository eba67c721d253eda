//! The GObject side of `unetsegment`: properties, caps, states. Frames are handled in [`super::flow`] and the stages
//! that it names, queries and events in [`super::events`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::allocation;
use super::caps;
use super::flow::Flow;
use super::inferrer::Prepared;
use super::latency::Latency;
use super::loading::{Loader, Started};
use super::messages;
use super::negotiation::Negotiation;
use super::passing::ElementStages;
use super::position::{Position, Times};
use super::properties;
use super::settings::{FrameSettings, Settings};
use super::stats::{Inside, Stats};
use crate::guard::guarded;
use crate::lock::lock;

pub static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "unetsegment",
        gst::DebugColorFlags::empty(),
        Some("Segmentation with a U-Net"),
    )
});

#[derive(Default)]
pub struct UNetSegment {
    pub(super) settings: Mutex<Settings>,
    pub(super) flow: Flow,
    pub(super) loader: Loader,
    /// The settings of the running start, once it has read them.
    pub(super) started: Mutex<Option<Started>>,
    /// The caps of both pads that were refused last, if that was reported.
    pub(super) refused: Mutex<Option<[gst::Caps; 2]>>,
    /// While caps are negotiated.
    pub(super) negotiation: Mutex<Option<Negotiation>>,
    /// How far the outgoing frames have come.
    pub(super) position: Position,
    pub(super) latency: Latency,
    /// Counts a frame while the base class holds it.
    entering: Mutex<Option<Inside>>,
    /// A QoS message of the base class about a late frame, until the frame is counted.
    pub(super) late: Mutex<Option<gst::Message>>,
}

impl UNetSegment {
    pub(super) fn frame_settings(&self) -> FrameSettings {
        lock(&self.settings).frame
    }

    /// Warns that tiles may show, or that they are too small, if so.
    pub(super) fn warn_of_plan(&self, prepared: Prepared) {
        for text in [prepared.seams, prepared.small_tiles].iter().flatten() {
            gst::element_imp_warning!(self, gst::StreamError::Failed, ("{text}"));
        }
        if let Some(memory) = prepared.memory {
            messages::warn_of_memory(&self.obj(), memory);
        }
    }

    /// Records how long a frame takes, and tells the pipeline if that changes its latency.
    pub(super) fn record_latency(&self, time: Duration) {
        if self.latency.record(time) {
            gst::debug!(
                CAT,
                imp = self,
                "latency is now {:?}",
                self.latency.reported()
            );
            let message = gst::message::Latency::builder().src(&*self.obj()).build();
            // It fails only where no pipeline listens.
            let _ = self.obj().post_message(message);
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for UNetSegment {
    const NAME: &'static str = "GstUNetSegment";
    type Type = super::UNetSegment;
    type ParentType = gst_base::BaseTransform;
    type Interfaces = (gst::Preset,);
}

impl ObjectImpl for UNetSegment {
    fn properties() -> &'static [glib::ParamSpec] {
        properties::PROPERTIES.as_ref()
    }

    fn constructed(&self) {
        self.parent_constructed();
        // Frames that can't be shown in time are not worth the time of the network.
        self.obj().set_qos(true);
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        guarded(self, (), || self.set(value, pspec));
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let default = || pspec.default_value().clone();
        guarded(self, default(), || match pspec.name() {
            "active-provider" => {
                let model = self.flow.model();
                model.map(|model| model.provider.clone()).to_value()
            }
            "stats" => self.flow.stats(&self.frame_settings()).to_value(),
            name => lock(&self.settings).get(name).unwrap_or_else(default),
        })
    }
}

impl GstObjectImpl for UNetSegment {}

impl PresetImpl for UNetSegment {}

impl ElementImpl for UNetSegment {
    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            // Before a live source goes there, too: its caps must not keep it waiting.
            gst::StateChange::PlayingToPaused => self.defer(true),
            gst::StateChange::PausedToPlaying => self.defer(false),
            gst::StateChange::PausedToReady => {
                // Before pads are deactivated, threads must have stopped pushing.
                self.flow.begin_stop();
                self.loader.cancel();
            }
            _ => (),
        }
        self.parent_change_state(transition)
    }

    /// QoS messages wait until their frame is counted. The warning of the base class that caps were not negotiated is
    /// dropped where a flush has interrupted that.
    fn post_message(&self, message: gst::Message) -> bool {
        match message.view() {
            gst::MessageView::Qos(_) => {
                *lock(&self.late) = Some(message.clone());
                true
            }
            gst::MessageView::Warning(warning)
                if self.flow.is_flushing() && warning.error().matches(gst::StreamError::Format) =>
            {
                true
            }
            _ => self.parent_post_message(message),
        }
    }

    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "U-Net segmentation",
                "Filter/Analyzer/Video",
                "Segments microscope video with a U-Net, in overlapping tiles; draws the classes or outputs them as a mask",
                "The unetsegment developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            [
                ("sink", gst::PadDirection::Sink),
                ("src", gst::PadDirection::Src),
            ]
            .into_iter()
            .filter_map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps::TEMPLATE)
                    .ok()
            })
            .collect()
        });
        TEMPLATES.as_ref()
    }
}

impl BaseTransformImpl for UNetSegment {
    const MODE: BaseTransformMode = BaseTransformMode::Both;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let scheduling = {
            let settings = lock(&self.settings);
            // An element in a pipeline description has no bus yet when its properties are set.
            if let Some(reason) = settings.refusal() {
                return Err(gst::error_msg!(gst::ResourceError::Settings, ("{reason}")));
            }
            *lock(&self.started) = None;
            let model = &settings.model;
            (model.mode, model.frames_in_flight as usize)
        };
        self.loader.begin();
        self.latency.reset();
        self.position.reset();
        *lock(&self.refused) = None;
        let stages = Arc::new(ElementStages(self.obj().downgrade()));
        self.flow.start(scheduling, stages).map_err(|error| {
            gst::error_msg!(
                gst::ResourceError::Failed,
                ("The element's threads can't be started: {error}")
            )
        })?;
        self.load_for_start().inspect_err(|_| {
            // A model-file that was set in the meantime goes, too.
            self.loader.reset();
            self.flow.stop();
        })
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        self.loader.reset();
        self.flow.stop();
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let other = caps::transform(self.output(), direction, caps);
        gst::debug!(CAT, imp = self, "{direction:?} {caps} becomes {other}");
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }

    fn set_caps(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        self.begin_stream(incaps, outcaps)
    }

    fn unit_size(&self, caps: &gst::Caps) -> Option<usize> {
        gst_video::VideoInfo::from_caps(caps)
            .ok()
            .map(|info| info.size())
    }

    /// Buffers may be larger than their caps say, where rows are padded.
    fn transform_size(
        &self,
        _direction: gst::PadDirection,
        _caps: &gst::Caps,
        _size: usize,
        othercaps: &gst::Caps,
    ) -> Option<usize> {
        self.unit_size(othercaps)
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // Where frames are processed in place, it asks downstream, which need not answer.
        let _ = self.parent_propose_allocation(decide_query, query);
        allocation::remove_crop(query);
        // There, downstream has said how rows may lie.
        if decide_query.is_some() {
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
        }
        allocation::add_kept(query, self.flow.most_kept());
        Ok(())
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        self.handle_query(direction, query)
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        self.handle_event(event)
    }

    /// Applies a change of the output, too: one that leaves the caps as they are brings no new caps.
    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let inside = self.flow.enter();
        if self.flow.is_flushing() {
            return Err(gst::FlowError::Flushing);
        }
        let was_in_place = self.obj().is_in_place();
        let times = Times::of(&inbuf);
        let submitted: Result<_, gst::FlowError> = self.with_one_output(|output| {
            let applied = self.apply_output(output);
            applied.map_err(|error| self.fail(&error))?;
            let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
            self.ensure_stream()?;
            Ok(submitted)
        });
        let submitted = match submitted {
            Ok(submitted) => submitted,
            // To the base class, caps that a flush has interrupted are not negotiated, until its src pad is flushing,
            // too. The flush reports at its end what it has thrown away.
            Err(_) if self.flow.is_flushing() => return Err(gst::FlowError::Flushing),
            Err(error) => {
                drop(inside);
                self.post_dropped(times);
                return Err(error);
            }
        };
        if self.obj().is_in_place() != was_in_place {
            // The allocation that upstream was offered is outdated.
            self.obj().reconfigure_sink();
        }
        let inside = if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            // The base class has posted that it is late.
            self.flow.count(Stats::record_late);
            drop(inside);
            self.post_late();
            None
        } else {
            Some(inside)
        };
        *lock(&self.entering) = inside;
        Ok(submitted)
    }

    /// The base class lets no frame out: they leave on this thread or, where they overlap, on one of the element's own.
    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(input) = self.take_queued_buffer() else {
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let inside = lock(&self.entering).take();
        let times = Times::of(&input);
        let passed = self.process(input, inside);
        // A flush reports at its end what it has thrown away.
        if !matches!(passed, Ok(()) | Err(gst::FlowError::Flushing)) {
            self.post_dropped(times);
        }
        passed.map(|()| GenerateOutputSuccess::NoOutput)
    }

    /// Controlled properties take their value at the frame's time.
    fn before_transform(&self, inbuf: &gst::BufferRef) {
        let segment = self.obj().segment();
        let time = segment
            .downcast_ref::<gst::ClockTime>()
            .and_then(|segment| segment.to_stream_time(inbuf.pts()));
        if let Some(time) = time {
            // It fails for a control source without a value there; then the property keeps its own.
            let _ = self.obj().sync_values(time);
        }
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        inbuf: &'a gst::BufferRef,
    ) -> bool {
        // Sizes and places stay the same; memory and colours may be others.
        meta.tags_contain_only(&["video", "size", "orientation"])
            || self.parent_transform_meta(outbuf, meta, inbuf)
    }
}
