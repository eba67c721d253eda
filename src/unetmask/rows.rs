//! A map that rides on a frame as a buffer that downstream reads.

use gst::prelude::*;

use super::What;
use crate::picture;

/// What goes out.
#[derive(Clone, Debug)]
pub struct Target {
    pub info: gst_video::VideoInfo,
    /// Whether downstream reads rows of any length.
    pub takes_rows: bool,
    /// Buffers for what can't go out in the map's own memory.
    pool: gst::BufferPool,
}

impl Target {
    pub fn new(info: gst_video::VideoInfo) -> Result<Self, glib::BoolError> {
        let size = u32::try_from(info.size())
            .map_err(|_| glib::bool_error!("frames of {} bytes", info.size()))?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        // None before the first is needed.
        config.set_params(None, size, 0, 0);
        pool.set_config(config)?;
        pool.set_active(true)?;
        Ok(Target {
            info,
            takes_rows: false,
            pool,
        })
    }

    /// A buffer with the samples of `map`, whose rows have no padding. Probabilities get 8 bits where these go out.
    ///
    /// # Errors
    /// If the map has another size, or other samples than what goes out.
    pub fn filled(&self, map: &gst::Buffer, what: What) -> Result<gst::Buffer, glib::BoolError> {
        let (width, height) = (self.info.width() as usize, self.info.height() as usize);
        let bytes = what.bytes();
        let narrows = what == What::Probability && self.bytes() == 1;
        if map.size() != bytes * width * height || !(narrows || bytes == self.bytes()) {
            return Err(glib::bool_error!(
                "the map has {} bytes and the frame {width} x {height} pixels in {}",
                map.size(),
                self.info.format()
            ));
        }
        let row = self.bytes() * width;
        let stride = self.info.stride().first().copied().unwrap_or(0);
        let stride = usize::try_from(stride).unwrap_or(0).max(row);
        if !narrows && (stride == row || self.takes_rows) {
            return self.sharing(map, row);
        }
        let buffer = self.pool.acquire_buffer(None);
        let mut buffer = buffer.map_err(|error| glib::bool_error!("no buffer: {error}"))?;
        {
            let source = map.map_readable()?;
            let mut target = buffer.make_mut().map_writable()?;
            let rows = source.chunks_exact(bytes * width);
            for (target, source) in target.chunks_exact_mut(stride).zip(rows) {
                let (target, padding) = target.split_at_mut(row);
                match narrows {
                    true => picture::narrow(source, target),
                    false => target.copy_from_slice(source),
                }
                // Memory of a pool holds what was there before.
                padding.fill(0);
            }
        }
        Ok(buffer)
    }

    /// Bytes of a sample that goes out.
    fn bytes(&self) -> usize {
        match self.info.format() {
            gst_video::VideoFormat::Gray8 => 1,
            _ => 2,
        }
    }

    /// A buffer around the memory of `map`, in rows of so many bytes.
    fn sharing(&self, map: &gst::Buffer, row: usize) -> Result<gst::Buffer, glib::BoolError> {
        let mut out = gst::Buffer::new();
        let buffer = out.make_mut();
        // It is not used for another mask before this one is gone.
        gst::ParentBufferMeta::add(buffer, map);
        for memory in map.iter_memories_owned() {
            buffer.append_memory(memory);
        }
        gst_video::VideoMeta::add_full(
            buffer,
            gst_video::VideoFrameFlags::empty(),
            self.info.format(),
            self.info.width(),
            self.info.height(),
            &[0],
            &[i32::try_from(row).unwrap_or(i32::MAX)],
        )?;
        Ok(out)
    }
}
