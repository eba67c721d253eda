//! What happens to a frame: read, segmented, drawn or written as a mask, and given its meta.

use std::collections::TryReserveError;
use std::time::Duration;

use gst::prelude::*;

use super::Output;
use super::caps;
use super::frame::{Picture, PlacementError};
use super::imp::CAT;
use super::messages::Report;
use super::settings::FrameSettings;
use super::stats::Stats;
use crate::labels::Components;
use crate::mask_meta::{self, Mask};
use crate::picture::Color;
use crate::picture::{self, DisplayRange, Frame, FrameError, LevelTracker, Levels, WriteError};
use crate::segmenter::{SegmentError, Segmenter, Spent};
use crate::tiling::Size;

/// Why a frame can't be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("caps that the element can't work with: {0}")]
    Caps(String),
    #[error("a frame came before its caps")]
    NoCaps,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("the memory of a frame can't be used: {0}")]
    Memory(#[from] glib::BoolError),
    #[error("there is not enough memory for a frame of this size: {0}")]
    Space(#[from] TryReserveError),
    #[error("no buffer for the mask: {0}")]
    Pool(#[from] gst::FlowError),
}

/// A loaded model at work on a stream.
pub struct Process {
    segmenter: Segmenter,
    /// Colours of the classes.
    colors: Vec<Color>,
    stream: Option<Stream>,
    components: Components,
    stats: Stats,
}

/// What holds as long as the caps do.
struct Stream {
    input: Picture,
    output: Picture,
    /// Tiles of a frame, and how far they see beyond what they answer for.
    tiles: usize,
    halo: Size,
    /// What goes out; the caps allow it.
    kind: Output,
    masks: gst::BufferPool,
    mask_caps: gst::Caps,
    /// Empty until `kind` is [`Output::Probability`] for the first time.
    probability: Vec<f32>,
    levels: LevelTracker,
}

impl Process {
    pub fn new(segmenter: Segmenter) -> Self {
        let classes = &segmenter.contract().classes;
        Process {
            colors: classes.iter().map(|class| class.color).collect(),
            segmenter,
            stream: None,
            components: Components::default(),
            stats: Stats::default(),
        }
    }

    /// Gets ready for frames of these caps: whatever the first frame would have to wait for is done
    /// here.
    ///
    /// The caps may have been agreed on for another output than the one that is `wanted` by now. Then
    /// what goes out is what the caps can hold, until new ones follow the wish.
    pub fn configure(
        &mut self,
        incaps: &gst::CapsRef,
        outcaps: &gst::CapsRef,
        wanted: Output,
    ) -> Result<(), ProcessError> {
        // Nothing of the old caps may be used again, should the new ones be refused.
        let before = self.stream.take().map(|stream| stream.kind);
        let (input, output) = (Picture::of(incaps)?, Picture::of(outcaps)?);
        let size = input.size();
        let plan = self.segmenter.prepare(size)?;
        let tiles = plan.len();
        let halo = plan.halo;
        gst::debug!(
            CAT,
            "{size:?} in {} tiles, input of each {:?}",
            tiles,
            plan.outer
        );
        let (width, height) = (input.info().width(), input.info().height());
        let mask_caps = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, width, height)
            .build()
            .and_then(|info| info.to_caps())?;
        let mut stream = Stream {
            input,
            output,
            tiles,
            halo,
            kind: Output::None,
            masks: pool(size.area())?,
            mask_caps,
            probability: Vec::new(),
            levels: LevelTracker::new(DisplayRange::Auto),
        };
        let mut kinds = [wanted].into_iter().chain(before).chain(Output::ALL);
        let kind = kinds.find(|kind| stream.allows(*kind)).ok_or_else(|| {
            ProcessError::Caps(format!("{outcaps} can't hold any output for {incaps}"))
        })?;
        stream.turn_to(kind)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// What it took so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How long a frame takes, as far as a black one tells.
    pub fn expected_time(&self) -> Duration {
        let tiles = self.stream.as_ref().map_or(0, |stream| stream.tiles);
        let tiles = u32::try_from(tiles).unwrap_or(u32::MAX);
        self.segmenter.model().trial().saturating_mul(tiles)
    }

    /// Why tiles may show, where they may.
    pub fn seams(&self) -> Option<String> {
        let model = self.segmenter.model();
        let Stream { tiles, halo, .. } = self.stream.as_ref().filter(|stream| stream.tiles > 1)?;
        let seams = format!("Seams may show where the {tiles} tiles of a frame meet");
        let needed = model.contract().geometry.halo;
        if halo.width.min(halo.height) < needed {
            return Some(format!(
                "{seams}: the model has one fixed size, which leaves no room for the {needed} pixels around a tile that it sees. Export it with free height and width"
            ));
        }
        let operator = model.survey().global.as_deref()?;
        (!model.is_described()).then(|| {
            format!(
                "{seams}: nobody can tell how far {operator} in this model sees. Raise tile-memory or tile-size until one tile holds a frame"
            )
        })
    }

    /// Makes `kind` go out from now on, if the caps allow it as they are; otherwise that has to wait
    /// for the next ones. Returns whether frames are drawn upon, or given no more than their meta,
    /// instead of written anew.
    pub fn follow(&mut self, kind: Output) -> Result<bool, ProcessError> {
        let Some(stream) = &mut self.stream else {
            return Ok(false);
        };
        if stream.kind != kind && stream.allows(kind) {
            stream.turn_to(kind)?;
        }
        Ok(match stream.kind {
            Output::Overlay => stream.input.format() == stream.output.format(),
            Output::None => true,
            Output::Mask | Output::Probability => false,
        })
    }

    /// Segments the frame in `inbuf` and writes what the output asks for into `outbuf`.
    pub fn convert(
        &mut self,
        inbuf: &gst::BufferRef,
        outbuf: &mut gst::BufferRef,
        settings: &FrameSettings,
    ) -> Result<Option<Report>, ProcessError> {
        let stream = self.stream.as_mut().ok_or(ProcessError::NoCaps)?;
        let bytes = inbuf.map_readable()?;
        let frame = stream
            .input
            .frame(&stream.input.placement(inbuf)?, &bytes)?;
        let (mask, spent) = stream.segment(&mut self.segmenter, &frame, settings)?;
        self.stats.add(spent);
        stream.write(&frame, &mask, outbuf, (&self.colors, settings))?;
        self.finish(outbuf, inbuf.pts(), mask, settings)
    }

    /// Segments the frame in `buffer` and draws upon it, if the output asks for that.
    pub fn draw_upon(
        &mut self,
        buffer: &mut gst::BufferRef,
        settings: &FrameSettings,
    ) -> Result<Option<Report>, ProcessError> {
        let stream = self.stream.as_mut().ok_or(ProcessError::NoCaps)?;
        let placement = stream.input.placement(buffer)?;
        let (mask, spent) = {
            let bytes = buffer.map_readable()?;
            let frame = stream.input.frame(&placement, &bytes)?;
            stream.segment(&mut self.segmenter, &frame, settings)?
        };
        self.stats.add(spent);
        if stream.kind == Output::Overlay {
            let mask = mask.mask.map_readable()?;
            let mut bytes = buffer.map_writable()?;
            let mut frame = stream.input.frame_mut(&placement, &mut bytes)?;
            let opacity = settings.opacity as f32;
            picture::draw(
                None,
                &mut frame,
                &mask,
                &self.colors,
                opacity,
                Levels::IDENTITY,
            )?;
        }
        let pts = buffer.pts();
        self.finish(buffer, pts, mask, settings)
    }

    /// Gives the frame its mask, and reports what is on it.
    fn finish(
        &mut self,
        buffer: &mut gst::BufferRef,
        timestamp: Option<gst::ClockTime>,
        mask: Mask,
        settings: &FrameSettings,
    ) -> Result<Option<Report>, ProcessError> {
        let report = match settings.post_messages {
            true => {
                let pixels = mask.mask.map_readable()?;
                let width = self
                    .stream
                    .as_ref()
                    .map_or(1, |stream| stream.input.size().width);
                let min_area = settings.min_area(self.segmenter.contract());
                let covered = pixels.iter().filter(|class| **class != 0).count();
                Some(Report {
                    frame: self.stats.frames.saturating_sub(1),
                    timestamp,
                    objects: self.components.count(&pixels, width, min_area),
                    coverage: covered as f64 / pixels.len().max(1) as f64,
                })
            }
            false => None,
        };
        mask_meta::attach(buffer, mask)?;
        Ok(report)
    }
}

impl Stream {
    /// Whether the caps have room for `kind`.
    fn allows(&self, kind: Output) -> bool {
        let (input, output) = (self.input.format(), self.output.format());
        caps::downstream(kind, input).contains(&output)
    }

    /// Makes `kind`, which the caps [allow](Self::allows), go out.
    fn turn_to(&mut self, kind: Output) -> Result<(), ProcessError> {
        if kind == Output::Probability {
            let pixels = self.input.size().area();
            let more = pixels.saturating_sub(self.probability.len());
            self.probability.try_reserve_exact(more)?;
            self.probability.resize(pixels, 0.0);
        }
        self.kind = kind;
        Ok(())
    }

    /// The mask of `frame`, in a buffer of the pool.
    fn segment(
        &mut self,
        segmenter: &mut Segmenter,
        frame: &Frame,
        settings: &FrameSettings,
    ) -> Result<(Mask, Spent), ProcessError> {
        let normalization = settings.normalization(segmenter.contract(), self.input.format());
        let mut mask = self.masks.acquire_buffer(None)?;
        let spent = {
            // The pool has just handed it out to us alone.
            let mut pixels = mask.make_mut().map_writable()?;
            let probability = match self.kind {
                Output::Probability => Some(self.probability.as_mut_slice()),
                _ => None,
            };
            segmenter.segment(frame, normalization, &mut pixels, probability)?
        };
        let mask = Mask {
            mask,
            caps: self.mask_caps.clone(),
            inference: spent.inference,
        };
        Ok((mask, spent))
    }

    /// Writes what goes out for `frame`.
    fn write(
        &mut self,
        frame: &Frame,
        mask: &Mask,
        outbuf: &mut gst::BufferRef,
        (colors, settings): (&[Color], &FrameSettings),
    ) -> Result<(), ProcessError> {
        let placement = self.output.placement(outbuf)?;
        let mut bytes = outbuf.map_writable()?;
        let mut target = self.output.frame_mut(&placement, &mut bytes)?;
        target.clear_padding();
        let mask = mask.mask.map_readable()?;
        match self.kind {
            Output::Probability => picture::write_probability(&self.probability, &mut target)?,
            Output::Mask => picture::write_mask(&mask, &mut target)?,
            Output::Overlay | Output::None => {
                if self.levels.range() != settings.display_range {
                    self.levels = LevelTracker::new(settings.display_range);
                }
                let levels = self.levels.levels(frame);
                let opacity = settings.opacity as f32;
                picture::draw(Some(frame), &mut target, &mask, colors, opacity, levels)?;
            }
        }
        Ok(())
    }
}

/// Buffers for masks of `size` bytes, which come back when the frames that carry them are gone.
fn pool(size: usize) -> Result<gst::BufferPool, ProcessError> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    let size = u32::try_from(size).map_err(|_| ProcessError::Caps(format!("{size} pixels")))?;
    config.set_params(None, size, 2, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}
