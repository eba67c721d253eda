//! A histogram of codes, and percentiles from it.

/// Counts of each code. Keeps its memory from frame to frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    bins: Vec<u32>,
    count: u64,
}

impl Histogram {
    /// Clears all counts, and resizes for codes of `depth` bits.
    pub fn reset(&mut self, depth: u32) {
        self.bins.clear();
        self.bins.resize(1 << depth, 0);
        self.count = 0;
    }

    /// Counts codes, all below 2^depth.
    pub fn add(&mut self, codes: &[u16]) {
        for code in codes {
            self.bins[usize::from(*code)] += 1;
        }
        self.count += codes.len() as u64;
    }

    /// The code below which `percent` of all codes lie, interpolated linearly like `numpy.percentile`. 0 if no
    /// code was counted.
    pub fn percentile(&self, percent: f64) -> f64 {
        let place = (percent / 100.0).clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64;
        let (low, high) = (self.code_at(place.floor()), self.code_at(place.ceil()));
        low + place.fract() * (high - low)
    }

    /// The code at `rank`, from 0, in sorted order.
    fn code_at(&self, rank: f64) -> f64 {
        let mut counted = 0;
        for (code, bin) in self.bins.iter().enumerate() {
            counted += u64::from(*bin);
            if rank < counted as f64 {
                return code as f64;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        let mut histogram = Histogram::default();
        histogram.reset(8);
        assert_eq!(histogram.percentile(50.0), 0.0);
        histogram.add(&[7, 1, 200, 3]);
        // numpy.percentile([7, 1, 200, 3], [0, 10, 50, 99, 100])
        for (percent, expected) in [
            (0.0, 1.0),
            (10.0, 1.6),
            (50.0, 5.0),
            (99.0, 194.21),
            (100.0, 200.0),
        ] {
            let got = histogram.percentile(percent);
            assert!((got - expected).abs() < 1e-9, "{percent} %: {got}");
        }
        histogram.reset(8);
        histogram.add(&[255]);
        assert_eq!(histogram.percentile(0.5), 255.0);
    }
}
