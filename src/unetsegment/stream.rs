//! State that lasts as long as the caps do.

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
    /// Caps of the input and of the output.
    caps: [gst::Caps; 2],
    pub input: Picture,
    pub output: Picture,
    /// Caps of a mask, one byte per pixel.
    pub mask_caps: gst::Caps,
    /// Caps of a map of two bytes per pixel.
    pub wide_caps: gst::Caps,
    masks: gst::BufferPool,
    wide_maps: gst::BufferPool,
    /// Probability maps that are not in use.
    probabilities: Mutex<Vec<Arc<Vec<f32>>>>,
    /// Whether other caps have replaced it.
    ended: AtomicBool,
    /// Whether the network is ready for its frames.
    prepared: AtomicBool,
}

impl Stream {
    /// Allocates what frames of these caps need.
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
            // None in advance: most streams need none.
            wide_maps: pool(2 * size.area(), 0)?,
            masks: pool(size.area(), 2)?,
            probabilities: Mutex::default(),
            ended: AtomicBool::new(false),
            prepared: AtomicBool::new(false),
        })
    }

    /// Whether it has these caps.
    pub fn is_of(&self, caps: &[gst::Caps; 2]) -> bool {
        self.caps == *caps
    }

    /// Whether its frames continue those of `old`, and only the output differs.
    pub fn continues(&self, old: &Stream) -> bool {
        self.input.info() == old.input.info()
    }

    /// Marks it as replaced by other caps.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Whether other caps have replaced it, so that its masks are no longer wanted.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Marks the network as ready for its frames.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Relaxed);
    }

    /// Marks the network as not ready: it was replaced by another one.
    pub fn clear_prepared(&self) {
        self.prepared.store(false, Ordering::Relaxed);
    }

    /// Whether the network is ready for its frames.
    pub fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }

    /// The output for the one that is `wanted`. The caps may have been negotiated for another one; then it is one that
    /// they can hold, preferably the one `before`, until the caps are renegotiated.
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

    /// Whether frames are drawn on in place, or only get a meta, rather than written to a new buffer.
    pub fn is_in_place(&self, kind: Output) -> bool {
        match kind {
            Output::Overlay => self.input.format() == self.output.format(),
            Output::None => true,
            Output::Mask | Output::Labels | Output::Probability | Output::Uncertainty => false,
        }
    }

    /// A buffer for a mask, which returns to its pool when the frame that carries it is gone.
    pub fn mask(&self) -> Result<gst::Buffer, ProcessError> {
        let buffer = self.masks.acquire_buffer(None)?;
        #[cfg(feature = "analytics")]
        let buffer = crate::analytics::with_video_meta(buffer, &self.mask_caps)?;
        Ok(buffer)
    }

    /// A buffer for a map of two bytes per pixel, labels or probabilities, as [`mask`](Self::mask).
    pub fn wide_map(&self) -> Result<gst::Buffer, ProcessError> {
        let buffer = self.wide_maps.acquire_buffer(None)?;
        #[cfg(feature = "analytics")]
        let buffer = crate::analytics::with_video_meta(buffer, &self.wide_caps)?;
        Ok(buffer)
    }

    /// A map with room for the probability of each pixel, to which there is no other reference.
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

    /// Recycles a map once its last user returns it: the frames that show one mask share its map.
    pub fn recycle(&self, map: Arc<Vec<f32>>) {
        let mut spare = self.spare();
        match Arc::strong_count(&map) {
            1 => spare.push(map),
            // Under the lock, or two at once would both take the other for the last user.
            _ => drop(map),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Arc<Vec<f32>>>> {
        lock(&self.probabilities)
    }
}

/// A pool of buffers of `size` bytes, `least` of them allocated in advance.
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
    fn a_map_is_recycled_by_its_last_user() {
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
            stream.recycle(map.clone());
            assert!(stream.spare().is_empty());
        }
        stream.recycle(map);
        let again = stream.probability().unwrap();
        assert_eq!(again.as_ptr(), place);
        assert!(stream.spare().is_empty());
    }
}
