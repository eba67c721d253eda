//! What holds as long as the caps do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gst::prelude::*;

use super::Output;
use super::buffers::Picture;
use super::caps;
use super::job::ProcessError;
use crate::lock::lock;
use crate::segmenter::leave_room;

/// A stream of frames of one format and size.
pub struct Stream {
    /// Caps of what comes in, and of what goes out.
    caps: [gst::Caps; 2],
    pub input: Picture,
    pub output: Picture,
    /// Caps of the mask as a picture.
    pub mask_caps: gst::Caps,
    /// Caps of a map of two bytes a pixel as a picture.
    pub wide_caps: gst::Caps,
    masks: gst::BufferPool,
    wide_maps: gst::BufferPool,
    /// Maps of probabilities that are not in use.
    probabilities: Mutex<Vec<Arc<Vec<f32>>>>,
    /// Whether other caps have come.
    ended: AtomicBool,
    /// Whether the network is ready for its frames.
    prepared: AtomicBool,
}

impl Stream {
    /// Gets ready for frames of these caps.
    pub fn new(incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<Self, ProcessError> {
        let (input, output) = (Picture::of(incaps)?, Picture::of(outcaps)?);
        let size = input.size();
        leave_room(size)?;
        let (width, height) = (input.info().width(), input.info().height());
        let caps_of = |format| {
            let info = gst_video::VideoInfo::builder(format, width, height).build();
            info.and_then(|info| info.to_caps())
        };
        let mask_caps = caps_of(gst_video::VideoFormat::Gray8)?;
        let wide_caps = caps_of(gst_video::VideoFormat::Gray16Le)?;
        Ok(Stream {
            caps: [incaps.clone(), outcaps.clone()],
            input,
            output,
            mask_caps,
            wide_caps,
            // Most streams need none.
            wide_maps: pool(2 * size.area(), 0)?,
            masks: pool(size.area(), 2)?,
            probabilities: Mutex::default(),
            ended: AtomicBool::new(false),
            prepared: AtomicBool::new(false),
        })
    }

    /// Whether it is the stream of these caps.
    pub fn is_of(&self, caps: &[gst::Caps; 2]) -> bool {
        self.caps == *caps
    }

    /// Whether frames go on to be those of `old`, and only what goes out is another.
    pub fn goes_on(&self, old: &Stream) -> bool {
        self.input.info() == old.input.info()
    }

    /// Takes in that other caps have come.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Whether other caps have come, so that masks of these are not wanted any more.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Takes in that the network is ready for its frames.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Relaxed);
    }

    /// Takes in that another network sees its frames from now on.
    pub fn meet_network(&self) {
        self.prepared.store(false, Ordering::Relaxed);
    }

    /// Whether the network is ready for its frames.
    pub fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
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
            Output::Mask | Output::Labels | Output::Probability | Output::Uncertainty => false,
        }
    }

    /// A buffer for a mask; it comes back when the frame that carries it is gone.
    pub fn mask(&self) -> Result<gst::Buffer, ProcessError> {
        let buffer = self.masks.acquire_buffer(None)?;
        #[cfg(feature = "analytics")]
        let buffer = crate::analytics::described(buffer, &self.mask_caps)?;
        Ok(buffer)
    }

    /// A buffer for a map of two bytes a pixel, labels or probabilities, as [`mask`](Self::mask).
    pub fn wide_map(&self) -> Result<gst::Buffer, ProcessError> {
        let buffer = self.wide_maps.acquire_buffer(None)?;
        #[cfg(feature = "analytics")]
        let buffer = crate::analytics::described(buffer, &self.wide_caps)?;
        Ok(buffer)
    }

    /// A map with room for the probability of each pixel, of which there is no other reference.
    pub fn probability(&self) -> Result<Arc<Vec<f32>>, ProcessError> {
        let spare = self.spare().pop();
        if let Some(map) = spare {
            return Ok(map);
        }
        let pixels = self.input.size().area();
        let mut map = Vec::new();
        map.try_reserve_exact(pixels)?;
        map.resize(pixels, 0.0);
        Ok(Arc::new(map))
    }

    /// Takes a map back, once the last who needs it brings it: the frames that show one mask share its map.
    pub fn take_back(&self, map: Arc<Vec<f32>>) {
        let mut spare = self.spare();
        match Arc::strong_count(&map) {
            1 => spare.push(map),
            // While the others can't count, or two at once would both take the other for the last.
            _ => drop(map),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Arc<Vec<f32>>>> {
        lock(&self.probabilities)
    }
}

/// Buffers of `size` bytes, of which the pool makes `least` at once.
fn pool(size: usize, least: u32) -> Result<gst::BufferPool, ProcessError> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    let size = u32::try_from(size).map_err(|_| ProcessError::Caps(format!("{size} pixels")))?;
    config.set_params(None, size, least, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_comes_back_with_the_last_who_needs_it() {
        gst::init().unwrap();
        let caps: gst::Caps = "video/x-raw, format=GRAY8, width=5, height=4"
            .parse()
            .unwrap();
        let stream = Stream::new(&caps, &caps).unwrap();
        let map = stream.probability().unwrap();
        assert_eq!(map.len(), 20);
        let place = map.as_ptr();
        // Many frames show the mask of one.
        for _ in 0..3 {
            stream.take_back(map.clone());
            assert!(stream.spare().is_empty());
        }
        stream.take_back(map);
        let again = stream.probability().unwrap();
        assert_eq!(again.as_ptr(), place);
        assert!(stream.spare().is_empty());
    }
}
