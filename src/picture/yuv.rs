//! Conversion between luma and chroma, and red, green and blue.

/// The codes of black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YuvRange {
    /// Black is 0, white 255; chroma fills 0 to 255.
    Full,
    /// Black is 16, white 235; chroma fills 16 to 240.
    Limited,
}

/// How the samples of NV12 and I420 encode colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YuvCoding {
    /// The codes of black and white.
    pub range: YuvRange,
    /// Share of red in luma.
    pub kr: f64,
    /// Share of blue in luma.
    pub kb: f64,
}

impl YuvCoding {
    /// ITU-R BT.601, of standard-definition video, limited range.
    pub const BT601: YuvCoding = YuvCoding {
        range: YuvRange::Limited,
        kr: 0.299,
        kb: 0.114,
    };

    /// ITU-R BT.709, of high-definition video, limited range.
    pub const BT709: YuvCoding = YuvCoding {
        range: YuvRange::Limited,
        kr: 0.2126,
        kb: 0.0722,
    };

    /// Smallest and largest code of luma, black and white.
    pub fn luma(&self) -> (u8, u8) {
        match self.range {
            YuvRange::Full => (0, 255),
            YuvRange::Limited => (16, 235),
        }
    }

    /// Range of the chroma codes, relative to full range.
    fn chroma_scale(&self) -> f64 {
        match self.range {
            YuvRange::Full => 1.0,
            YuvRange::Limited => 224.0 / 255.0,
        }
    }

    /// The luma and chroma codes of a colour.
    pub fn encode(&self, [red, green, blue]: [u8; 3]) -> [u8; 3] {
        let [red, green, blue] = [red, green, blue].map(f64::from);
        let (black, white) = self.luma();
        let y = self.kr * red + (1.0 - self.kr - self.kb) * green + self.kb * blue;
        let code = |value: f64| value.round().clamp(0.0, 255.0) as u8;
        let chroma = |difference: f64, share: f64| {
            code(128.0 + difference / (2.0 * (1.0 - share)) * self.chroma_scale())
        };
        [
            code(f64::from(black) + y * f64::from(white - black) / 255.0),
            chroma(blue - y, self.kb),
            chroma(red - y, self.kr),
        ]
    }
}

impl Default for YuvCoding {
    fn default() -> Self {
        YuvCoding::BT601
    }
}

/// Converts luma and chroma to red, green and blue, in fixed point with 16 fractional bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct YuvDecoder {
    black: i32,
    luma: i32,
    /// Contributions of both chroma samples (blue's, red's) to red, green and blue.
    chroma: [[i32; 2]; 3],
}

impl YuvDecoder {
    /// A decoder for pictures of this coding.
    pub fn new(coding: YuvCoding) -> Self {
        let fixed = |factor: f64| (factor * 65_536.0).round() as i32;
        let (black, white) = coding.luma();
        let YuvCoding { kr, kb, .. } = coding;
        let kg = 1.0 - kr - kb;
        let from_u = 2.0 * (1.0 - kb) / coding.chroma_scale();
        let from_v = 2.0 * (1.0 - kr) / coding.chroma_scale();
        YuvDecoder {
            black: i32::from(black),
            luma: fixed(255.0 / f64::from(white - black)),
            chroma: [
                [0, fixed(from_v)],
                [fixed(-kb / kg * from_u), fixed(-kr / kg * from_v)],
                [fixed(from_u), 0],
            ],
        }
    }

    /// Red, green or blue (0, 1, 2), `0..=255`, of a pixel.
    pub fn decode(&self, channel: usize, y: u8, u: u8, v: u8) -> u8 {
        let [from_u, from_v] = self.chroma[channel];
        let sum = (i32::from(y) - self.black) * self.luma
            + (i32::from(u) - 128) * from_u
            + (i32::from(v) - 128) * from_v;
        ((sum + 0x8000) >> 16).clamp(0, 255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        assert_eq!(YuvCoding::BT601.encode([255, 255, 255]), [235, 128, 128]);
        assert_eq!(YuvCoding::BT601.encode([255, 0, 0]), [81, 90, 240]);
        assert_eq!(YuvCoding::BT709.encode([0, 255, 0]), [173, 42, 26]);
        assert_eq!(YuvCoding::BT709.encode([0, 0, 0]), [16, 128, 128]);
    }

    #[test]
    fn colours_come_back() {
        for coding in [YuvCoding::BT601, YuvCoding::BT709] {
            for range in [YuvRange::Full, YuvRange::Limited] {
                let coding = YuvCoding { range, ..coding };
                let decoder = YuvDecoder::new(coding);
                for color in [[0, 0, 0], [255, 255, 255], [230, 159, 0], [17, 90, 200]] {
                    let [y, u, v] = coding.encode(color);
                    for (channel, expected) in color.into_iter().enumerate() {
                        let got = decoder.decode(channel, y, u, v);
                        assert!(
                            got.abs_diff(expected) <= 3,
                            "{color:?} in {coding:?}: {got}"
                        );
                    }
                }
            }
        }
    }
}
