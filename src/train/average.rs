//! The average of the last values of a series.

/// The share of a new value. Over more values, the average would lie above nearly all losses while these fall.
const SHARE: f64 = 0.05;

/// An exponential average: a value counts the less the older it is. The shares of the values so far add up to one from
/// the first value on, so that none counts for those that were never there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Average {
    mean: f64,
    /// What the shares of all values would add up to without this correction.
    weight: f64,
}

impl Average {
    /// Adds a value, and returns the average with it.
    pub fn add(&mut self, value: f64) -> f64 {
        self.weight += SHARE * (1.0 - self.weight);
        self.mean += SHARE / self.weight * (value - self.mean);
        self.mean
    }

    /// The average, if there is any value.
    pub fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_the_first_value_and_keeps_a_constant() {
        let mut average = Average::default();
        assert_eq!(average.value(), None);
        for _ in 0..1000 {
            assert_eq!(average.add(0.3), 0.3);
        }
        assert_eq!(average.value(), Some(0.3));
    }

    #[test]
    fn a_large_first_value_is_soon_forgotten() {
        let mut average = Average::default();
        average.add(10.0);
        let last = (0..50).map(|_| average.add(0.0)).last();
        // 0.77 if the first value stood for all before it, and 0.2 for the plain mean.
        assert!(last.unwrap() < 0.05, "{last:?}");
    }
}
