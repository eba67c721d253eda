//! The GObject side of `unetsegment`: properties, caps, states. What happens to a frame is in [`super::flow`] and the
//! stages that it names, what happens to a query or an event in [`super::events`].

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
use super::latency::Latency;
use super::loading::Loader;
use super::negotiation::Negotiation;
use super::passing::OnThreads;
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
    /// The caps that were refused last, of both pads, if that was told.
    pub(super) refused: Mutex<Option<[gst::Caps; 2]>>,
    /// While caps are being agreed on.
    pub(super) negotiation: Mutex<Option<Negotiation>>,
    /// How far the frames that go out have come.
    pub(super) position: Position,
    pub(super) latency: Latency,
    /// Counts the frame that the base class has taken, until that hands it over.
    entering: Mutex<Option<Inside>>,
    /// What the base class has to tell of a late frame, until that is counted.
    pub(super) late: Mutex<Option<gst::Message>>,
}

impl UNetSegment {
    pub(super) fn frame_settings(&self) -> FrameSettings {
        lock(&self.settings).frame
    }

    /// Says why tiles may show, where they may.
    pub(super) fn warn_of_seams(&self, seams: Option<String>) {
        if let Some(text) = seams {
            gst::element_imp_warning!(self, gst::StreamError::Failed, ("{text}"));
        }
    }

    /// Takes in how long a frame takes, and tells the pipeline where that changes its latency.
    pub(super) fn took(&self, time: Duration) {
        if self.latency.measured(time) {
            gst::debug!(CAT, imp = self, "latency is now {:?}", self.latency.told());
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
        // Frames that can't be shown in time are not worth the network's.
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
        if transition == gst::StateChange::PausedToReady {
            // Pads are shut only when no thread works behind them.
            self.loader.cancel();
            self.flow.begin_flush();
        }
        self.parent_change_state(transition)
    }

    /// Messages about quality of service wait until what they are about is counted.
    fn post_message(&self, message: gst::Message) -> bool {
        if message.type_() == gst::MessageType::Qos {
            *lock(&self.late) = Some(message);
            return true;
        }
        self.parent_post_message(message)
    }

    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "U-Net segmentation",
                "Filter/Analyzer/Video",
                "Segments microscope video with a U-Net, in tiles that leave no seams; draws the classes or hands them on as a mask",
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
        let manner = {
            let settings = lock(&self.settings);
            // Where the element was made by a line of text, there was no bus to hear of it when it was set.
            if let Some(reason) = settings.refusal() {
                return Err(gst::error_msg!(gst::ResourceError::Settings, ("{reason}")));
            }
            let model = &settings.model;
            (model.mode, model.frames_in_flight as usize)
        };
        self.loader.begin();
        self.latency.reset();
        self.position.reset();
        *lock(&self.refused) = None;
        let stages = Arc::new(OnThreads(self.obj().downgrade()));
        self.flow.start(manner, stages).map_err(|error| {
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
        gst::debug!(CAT, imp = self, "{direction:?} {caps} goes with {other}");
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
        // Where frames go out in the buffers that they came in, it asks downstream, which need not answer.
        let _ = self.parent_propose_allocation(decide_query, query);
        // There, downstream has said how rows may lie.
        if decide_query.is_some() {
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
        }
        allocation::add_kept(query, self.flow.most_kept());
        Ok(())
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        self.answer(direction, query)
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        self.take_event(event)
    }

    /// A change of the output that leaves the caps as they are brings no new caps.
    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let inside = self.flow.enter();
        let was_in_place = self.obj().is_in_place();
        let submitted = self.with_one_output(|output| {
            self.follow(output).map_err(|error| self.fail(&error))?;
            let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
            self.settle()?;
            Ok(submitted)
        })?;
        if self.obj().is_in_place() != was_in_place {
            // What upstream was told of buffers does not hold any more.
            self.obj().reconfigure_sink();
        }
        let inside = if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            // The base class has told that it can't be in time.
            self.flow.count(Stats::left_out);
            drop(inside);
            self.tell_late();
            None
        } else {
            Some(inside)
        };
        *lock(&self.entering) = inside;
        Ok(submitted)
    }

    /// Frames go out on this thread or, where they overlap, on one of the element's own, and none by the base class.
    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(input) = self.take_queued_buffer() else {
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let inside = lock(&self.entering).take();
        let times = Times::of(&input);
        let passed = self.pass(input, inside);
        // A flush tells at its end of what it has thrown away.
        if !matches!(passed, Ok(()) | Err(gst::FlowError::Flushing)) {
            self.tell_dropped(times);
        }
        passed.map(|()| GenerateOutputSuccess::NoOutput)
    }

    /// Properties that follow a curve take their value of the frame's time.
    fn before_transform(&self, inbuf: &gst::BufferRef) {
        let segment = self.obj().segment();
        let time = segment
            .downcast_ref::<gst::ClockTime>()
            .and_then(|segment| segment.to_stream_time(inbuf.pts()));
        if let Some(time) = time {
            // It fails for a curve without a value there; then the property stays as it is.
            let _ = self.obj().sync_values(time);
        }
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        inbuf: &'a gst::BufferRef,
    ) -> bool {
        // The size and the place of things stay; what describes the memory or the colours of the
        // frame that came in does not hold for the one that goes out.
        match meta.tags_contain_only(&["video", "size", "orientation"]) {
            true => true,
            false => self.parent_transform_meta(outbuf, meta, inbuf),
        }
    }
}
