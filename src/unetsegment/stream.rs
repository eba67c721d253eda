//! What holds as long as the caps do.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gst::prelude::*;

use super::Output;
use super::caps;
use super::flow::lock;
use super::frame::Picture;
use super::imp::CAT;
use super::job::ProcessError;
use crate::inference::Model;
use crate::segmenter::Segmenter;
use crate::tiling::Size;

/// A stream of frames of one format and size.
pub struct Stream {
    pub input: Picture,
    pub output: Picture,
    /// Caps of the mask as a picture.
    pub mask_caps: gst::Caps,
    /// Tiles of a frame, and how far they see beyond what they answer for.
    tiles: usize,
    halo: Size,
    /// How long a frame takes, as far as a black one tells.
    pub expected_time: Duration,
    masks: gst::BufferPool,
    /// Maps of probabilities that are not in use.
    probabilities: Mutex<Vec<Arc<Vec<f32>>>>,
}

impl Stream {
    /// Gets ready for frames of these caps: whatever the first frame would have to wait for is done here.
    pub fn new(
        incaps: &gst::CapsRef,
        outcaps: &gst::CapsRef,
        segmenter: &mut Segmenter,
    ) -> Result<Self, ProcessError> {
        let (input, output) = (Picture::of(incaps)?, Picture::of(outcaps)?);
        let size = input.size();
        let plan = segmenter.prepare(size)?;
        let (tiles, halo, outer) = (plan.len(), plan.halo, plan.outer);
        gst::debug!(CAT, "{size:?} in {tiles} tiles, input of each {outer:?}");
        let (width, height) = (input.info().width(), input.info().height());
        let mask_caps = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, width, height)
            .build()
            .and_then(|info| info.to_caps())?;
        let runs = u32::try_from(tiles).unwrap_or(u32::MAX);
        Ok(Stream {
            input,
            output,
            mask_caps,
            tiles,
            halo,
            expected_time: segmenter.model().trial().saturating_mul(runs),
            masks: pool(size.area())?,
            probabilities: Mutex::default(),
        })
    }

    /// What goes out of what is `wanted`. The caps may have been agreed on for another output than the one
    /// that is wanted by now; then it is what they can hold, if possible what went out `before`, until new
    /// ones follow the wish.
    pub fn kind(&self, wanted: Output, before: Option<Output>) -> Result<Output, ProcessError> {
        let (input, output) = (self.input.format(), self.output.format());
        let mut kinds = [wanted].into_iter().chain(before).chain(Output::ALL);
        kinds
            .find(|kind| caps::downstream(*kind, input).contains(&output))
            .ok_or_else(|| {
                let (input, output) = (input.name(), output.name());
                ProcessError::Caps(format!("{output} can't hold any output for {input}"))
            })
    }

    /// Whether frames are drawn upon, or given no more than their meta, instead of written anew.
    pub fn is_in_place(&self, kind: Output) -> bool {
        match kind {
            Output::Overlay => self.input.format() == self.output.format(),
            Output::None => true,
            Output::Mask | Output::Probability => false,
        }
    }

    /// A buffer for a mask; it comes back when the frame that carries it is gone.
    pub fn mask(&self) -> Result<gst::Buffer, ProcessError> {
        Ok(self.masks.acquire_buffer(None)?)
    }

    /// A map with room for the probability of each pixel, of which there is no other reference.
    pub fn probability(&self) -> Result<Arc<Vec<f32>>, ProcessError> {
        let spare = self.spare().pop();
        if let Some(map) = spare.filter(|map| Arc::strong_count(map) == 1) {
            return Ok(map);
        }
        let pixels = self.input.size().area();
        let mut map = Vec::new();
        map.try_reserve_exact(pixels)?;
        map.resize(pixels, 0.0);
        Ok(Arc::new(map))
    }

    /// Takes a map back.
    pub fn take_back(&self, map: Arc<Vec<f32>>) {
        self.spare().push(map);
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Arc<Vec<f32>>>> {
        lock(&self.probabilities)
    }

    /// Why tiles may show, where they may.
    pub fn seams(&self, model: &Model) -> Option<String> {
        let tiles = Some(self.tiles).filter(|tiles| *tiles > 1)?;
        let seams = format!("Seams may show where the {tiles} tiles of a frame meet");
        let needed = model.contract().geometry.halo;
        if self.halo.width.min(self.halo.height) < needed {
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
}

/// Buffers for masks of `size` bytes.
fn pool(size: usize) -> Result<gst::BufferPool, ProcessError> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    let size = u32::try_from(size).map_err(|_| ProcessError::Caps(format!("{size} pixels")))?;
    config.set_params(None, size, 2, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}
