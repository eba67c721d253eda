//! Which blocks of a frame differ at all from the last one.

use super::grid::Grid;
use crate::contract::Channels;
use crate::picture::{Frame, for_each_row, seen_channels};

/// What a network saw of the last frame: the codes of its pixels.
#[derive(Default)]
pub struct Last {
    codes: Vec<u16>,
}

impl Last {
    /// Sets the blocks of `changed` that hold a pixel of another value than in the last frame, all of them in
    /// the first one; keeps `frame` as the last one.
    pub fn compare(&mut self, frame: &Frame, channels: Channels, changed: &mut Grid<bool>) {
        let count = seen_channels(frame, channels) * frame.width() * frame.height();
        let is_first = self.codes.len() != count;
        self.codes.resize(count, 0);
        changed.fill(is_first);
        let side = changed.side;
        let mut rest = &mut self.codes[..];
        for_each_row(frame, channels, |_, y, x, codes| {
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
    }
}
