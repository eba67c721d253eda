//! Reads rows of any format as plain numbers (codes), for statistics and the network's input.

use super::format::Layout;
use super::frame::Frame;
use super::yuv::YuvDecoder;
use crate::contract::Channels;

/// Pixels processed at a time, so that working memory fits on the stack and in the L1 cache. Even, to keep
/// pairs of pixels that share chroma together.
pub(super) const CHUNK: usize = 512;

/// Weights of red, green and blue in luma, in 256ths (BT.601). They add up to 256, so that grey is
/// preserved.
pub const LUMA: [u16; 3] = [77, 150, 29];

/// A channel to read from a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Brightness.
    Luma,
    /// Red, green or blue: 0, 1 or 2.
    Color(usize),
}

/// The distinct channels that a network of `channels` sees of the picture. A grey picture has only
/// brightness, which is then used for all three colours.
pub(super) fn channels(frame: &Frame, channels: Channels) -> &'static [Channel] {
    match channels {
        Channels::Rgb if !frame.format.is_gray() => {
            &[Channel::Color(0), Channel::Color(1), Channel::Color(2)]
        }
        Channels::Gray | Channels::Rgb => &[Channel::Luma],
    }
}

/// The value of code 0, and the step from one code to the next. Values are 0..=255, or 0..=65535 for 16 bits.
pub(super) fn scale(frame: &Frame, channel: Channel) -> (f64, f64) {
    match (frame.format.layout(), channel) {
        (Layout::Yuv { .. }, Channel::Luma) => {
            let (black, white) = frame.coding.luma();
            let step = 255.0 / f64::from(white - black);
            (-f64::from(black) * step, step)
        }
        _ => (0.0, 1.0),
    }
}

/// Reads codes of row `y` from column `x` on, as many as `codes` holds.
pub(super) fn read(frame: &Frame, channel: Channel, y: usize, x: usize, codes: &mut [u16]) {
    let row = frame.row(0, y);
    match (frame.format.layout(), channel) {
        (Layout::Gray8, _) => widen(&row[x..], codes),
        (Layout::Gray16 { big_endian }, _) => {
            let (samples, _) = row[2 * x..].as_chunks();
            if big_endian {
                copy(samples, codes, u16::from_be_bytes);
            } else {
                copy(samples, codes, u16::from_le_bytes);
            }
        }
        (Layout::Packed { bytes, rgb, .. }, channel) => {
            let row = &row[bytes * x..];
            if bytes == 3 {
                read_packed::<3>(row, rgb, channel, codes);
            } else {
                read_packed::<4>(row, rgb, channel, codes);
            }
        }
        (Layout::Yuv { .. }, Channel::Luma) => {
            let (black, white) = frame.coding.luma();
            for (code, y) in codes.iter_mut().zip(&row[x..]) {
                *code = u16::from((*y).clamp(black, white));
            }
        }
        (Layout::Yuv { chroma, step }, Channel::Color(color)) => {
            let decoder = YuvDecoder::new(frame.coding);
            let [u, v] = chroma.map(|(plane, offset)| &frame.row(plane, y / 2)[offset..]);
            for (at, code) in (x..).zip(codes) {
                let pair = at / 2 * step;
                *code = u16::from(decoder.decode(color, row[at], u[pair], v[pair]));
            }
        }
    }
}

/// Reads a whole channel in chunks of at most [`CHUNK`] codes: calls `act` with the row, the first column and
/// the codes of each.
pub(super) fn for_chunks(
    frame: &Frame,
    channel: Channel,
    mut act: impl FnMut(usize, usize, &[u16]),
) {
    let mut space = [0; CHUNK];
    for y in 0..frame.height() {
        for x in (0..frame.width()).step_by(CHUNK) {
            let codes = &mut space[..CHUNK.min(frame.width() - x)];
            read(frame, channel, y, x, codes);
            act(y, x, codes);
        }
    }
}

/// Reads all that a network of `channels` sees of a frame, in chunks of at most [`CHUNK`] codes: calls `act`
/// with the index of the channel, the row, the first column and the codes of each. A grey picture has one
/// channel.
pub fn for_each_chunk(
    frame: &Frame,
    channels: Channels,
    mut act: impl FnMut(usize, usize, usize, &[u16]),
) {
    for (index, channel) in self::channels(frame, channels).iter().enumerate() {
        for_chunks(frame, *channel, |y, x, codes| act(index, y, x, codes));
    }
}

/// How many distinct channels a network of `channels` sees of a frame: one for a grey picture.
pub fn channel_count(frame: &Frame, channels: Channels) -> usize {
    self::channels(frame, channels).len()
}

/// The value of code 0, and the step from one code to the next, of the channels that a network of `channels` sees.
pub fn code_scale(frame: &Frame, channels: Channels) -> (f64, f64) {
    scale(frame, self::channels(frame, channels)[0])
}

fn copy<T: Copy>(samples: &[T], codes: &mut [u16], convert: impl Fn(T) -> u16) {
    for (code, sample) in codes.iter_mut().zip(samples) {
        *code = convert(*sample);
    }
}

fn widen(samples: &[u8], codes: &mut [u16]) {
    copy(samples, codes, u16::from);
}

fn read_packed<const BYTES: usize>(
    row: &[u8],
    rgb: [usize; 3],
    channel: Channel,
    codes: &mut [u16],
) {
    let (pixels, _) = row.as_chunks::<BYTES>();
    // Shifting samples out of one number per pixel vectorizes.
    let word = |pixel: [u8; BYTES]| {
        let mut bytes = [0; 4];
        bytes[..BYTES].copy_from_slice(&pixel);
        u32::from_le_bytes(bytes)
    };
    let shifts = rgb.map(|offset| 8 * offset as u32);
    let [red, green, blue] = LUMA;
    match channel {
        Channel::Color(color) => {
            let shift = shifts[color];
            copy(pixels, codes, |pixel| (word(pixel) >> shift) as u16 & 0xff);
        }
        Channel::Luma => copy(pixels, codes, |pixel| {
            let word = word(pixel);
            let [r, g, b] = shifts.map(|shift| (word >> shift) as u16 & 0xff);
            (red * r + green * g + blue * b) >> 8
        }),
    }
}
