//! Finds the blocks of a frame that differ at all from the last frame.

use std::collections::TryReserveError;

use super::grid::Grid;
use crate::contract::Channels;
use crate::picture::{Frame, channel_count, for_each_chunk};

/// What the network saw of the last frame: the codes of its pixels.
#[derive(Default)]
pub struct LastFrame {
    codes: Vec<u16>,
}

impl LastFrame {
    /// Sets the blocks of `changed` with a pixel whose value differs from the last frame, all blocks for the first
    /// frame, and keeps `frame` as the last one.
    ///
    /// # Errors
    /// If there is not enough memory for the first frame.
    pub fn compare(
        &mut self,
        frame: &Frame,
        channels: Channels,
        changed: &mut Grid<bool>,
    ) -> Result<(), TryReserveError> {
        let count = channel_count(frame, channels) * frame.width() * frame.height();
        let is_first = self.codes.len() != count;
        if is_first {
            self.codes.clear();
            self.codes.try_reserve_exact(count)?;
            self.codes.resize(count, 0);
        }
        changed.fill(is_first);
        let side = changed.side;
        let mut rest = &mut self.codes[..];
        for_each_chunk(frame, channels, |_, y, x, codes| {
            let last;
            (last, rest) = std::mem::take(&mut rest).split_at_mut(codes.len());
            if last != codes {
                let row = changed.row_mut(y / side);
                for (at, (last, now)) in (x..).zip(last.iter().zip(codes)) {
                    if last != now {
                        row[at / side] = true;
                    }
                }
                last.copy_from_slice(codes);
            }
        });
        Ok(())
    }
}
