//! Turns the map attached to a frame into an output buffer.

use gst::prelude::*;

use super::OutputMap;
use crate::picture;

/// Makes output buffers of one format.
#[derive(Clone, Debug)]
pub struct MapOutput {
    pub info: gst_video::VideoInfo,
    /// Whether downstream accepts any stride (`GstVideoMeta`).
    pub accepts_strides: bool,
    /// Buffers for output that can't share the map's memory.
    pool: gst::BufferPool,
}

impl MapOutput {
    pub fn new(info: gst_video::VideoInfo) -> Result<Self, glib::BoolError> {
        let size = u32::try_from(info.size())
            .map_err(|_| glib::bool_error!("frames of {} bytes", info.size()))?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        // Allocate none before the first is needed.
        config.set_params(None, size, 0, 0);
        pool.set_config(config)?;
        pool.set_active(true)?;
        Ok(MapOutput {
            info,
            accepts_strides: false,
            pool,
        })
    }

    /// A buffer with the samples of `map`, whose rows have no padding. Probabilities are reduced to 8 bits for GRAY8.
    ///
    /// # Errors
    /// If the size or the samples of the map don't match the output format.
    pub fn buffer(
        &self,
        map: &gst::Buffer,
        what: OutputMap,
    ) -> Result<gst::Buffer, glib::BoolError> {
        let (width, height) = (self.info.width() as usize, self.info.height() as usize);
        let bytes = what.bytes();
        let narrow = what == OutputMap::Probability && self.bytes() == 1;
        if map.size() != bytes * width * height || !(narrow || bytes == self.bytes()) {
            return Err(glib::bool_error!(
                "the map has {} bytes and the frame {width} x {height} pixels in {}",
                map.size(),
                self.info.format()
            ));
        }
        let row = self.bytes() * width;
        let stride = self.info.stride().first().copied().unwrap_or(0);
        let stride = usize::try_from(stride).unwrap_or(0).max(row);
        if !narrow && (stride == row || self.accepts_strides) {
            return self.shared(map, row);
        }
        let buffer = self.pool.acquire_buffer(None);
        let mut buffer = buffer.map_err(|error| glib::bool_error!("no buffer: {error}"))?;
        {
            let source = map.map_readable()?;
            let mut target = buffer.make_mut().map_writable()?;
            let rows = source.chunks_exact(bytes * width);
            for (target, source) in target.chunks_exact_mut(stride).zip(rows) {
                let (target, padding) = target.split_at_mut(row);
                if narrow {
                    picture::narrow(source, target);
                } else {
                    target.copy_from_slice(source);
                }
                // Pool memory still holds old bytes.
                padding.fill(0);
            }
        }
        Ok(buffer)
    }

    /// Bytes per sample of the output.
    fn bytes(&self) -> usize {
        match self.info.format() {
            gst_video::VideoFormat::Gray8 => 1,
            _ => 2,
        }
    }

    /// A buffer that shares the memory of `map`, in rows of `row` bytes.
    fn shared(&self, map: &gst::Buffer, row: usize) -> Result<gst::Buffer, glib::BoolError> {
        let mut out = gst::Buffer::new();
        let buffer = out.make_mut();
        // Keeps the map's buffer out of its pool while this one is in use.
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
