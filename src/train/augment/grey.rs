//! Random changes of grey values: other exposure, focus, lamps or cameras than in the training images.

use rand::Rng;
use rand_distr::Distribution;

use super::field::Field;
use crate::train::plane::Plane;

/// How strongly grey values are varied. The image has a mean of 0 and a standard deviation of 1, and
/// grey values are in these units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GreyValues {
    /// Share of tiles to which each of the changes below is applied, in `0..=1`.
    pub share: f64,
    /// Largest exponent of the gamma curve; the smallest is its reciprocal.
    pub gamma: f32,
    /// Largest standard deviation of the Gaussian blur, in pixels.
    pub blur: f32,
    /// Standard deviation of the logarithm of uneven illumination, which multiplies the brightness
    /// above the darkest pixel.
    pub illumination: f32,
    /// Standard deviation of uneven background, which is added.
    pub background: f32,
    /// Standard deviation of the logarithm of the gain: normalisation gives frames with more or fewer
    /// cells another one.
    pub gain: f32,
    /// Standard deviation of the constant that is added to all pixels.
    pub offset: f32,
    /// Largest standard deviation of the noise.
    pub noise: f32,
}

impl Default for GreyValues {
    fn default() -> Self {
        GreyValues {
            share: 0.3,
            gamma: 1.8,
            blur: 1.5,
            illumination: 0.3,
            background: 0.15,
            gain: 0.25,
            offset: 0.2,
            noise: 0.25,
        }
    }
}

impl GreyValues {
    /// Changes the grey values of the channels of a square tile, in the order in which a microscope
    /// would: the sample, the optics, the lamp, the camera. Each channel has its own gain, offset and
    /// noise.
    pub fn vary(&self, tile: &mut [Plane<f32>], rng: &mut impl Rng) {
        let size = tile.first().map_or(0, |channel| channel.height);
        if rng.random_bool(self.share) {
            let limit = self.gamma.max(1.0).ln();
            let exponent = rng.random_range(-limit..=limit).exp();
            tile.iter_mut().for_each(|channel| gamma(channel, exponent));
        }
        if rng.random_bool(self.share) {
            let deviation = rng.random_range(0.0..=self.blur);
            tile.iter_mut().for_each(|channel| blur(channel, deviation));
        }
        if rng.random_bool(self.share) {
            let field = Field::random(self.illumination, rng).plane(size);
            tile.iter_mut()
                .for_each(|channel| illuminate(channel, &field));
        }
        if rng.random_bool(self.share) {
            let background = Field::random(self.background, rng).plane(size);
            for channel in tile.iter_mut() {
                let pixels = channel.data.iter_mut().zip(&background.data);
                pixels.for_each(|(x, b)| *x += b);
            }
        }
        if rng.random_bool(self.share) {
            for channel in tile.iter_mut() {
                let gain = (self.gain * standard_normal(rng)).exp();
                let offset = self.offset * standard_normal(rng);
                channel
                    .data
                    .iter_mut()
                    .for_each(|x| *x = *x * gain + offset);
            }
        }
        if rng.random_bool(self.share) {
            let deviation = rng.random_range(0.0..=self.noise);
            let pixels = tile.iter_mut().flat_map(|channel| &mut channel.data);
            pixels.for_each(|x| *x += deviation * standard_normal(rng));
        }
    }
}

fn standard_normal(rng: &mut impl Rng) -> f32 {
    rand_distr::StandardNormal.sample(rng)
}

/// Applies a gamma curve between the darkest and the brightest pixel, and keeps mean and standard
/// deviation: they belong to the frame, of which a tile is only a part.
fn gamma(tile: &mut Plane<f32>, exponent: f32) {
    let (low, high) = range(&tile.data);
    let span = high - low;
    if span <= 0.0 {
        return;
    }
    let (mean, deviation) = moments(&tile.data);
    for x in &mut tile.data {
        *x = ((*x - low) / span).powf(exponent);
    }
    let (new_mean, new_deviation) = moments(&tile.data);
    let gain = deviation / new_deviation.max(1e-6);
    for x in &mut tile.data {
        *x = (*x - new_mean) * gain + mean;
    }
}

/// Multiplies the brightness above the darkest pixel by exp(`field`).
fn illuminate(tile: &mut Plane<f32>, field: &Plane<f32>) {
    let (low, _) = range(&tile.data);
    for (x, field) in tile.data.iter_mut().zip(&field.data) {
        *x = (*x - low) * field.exp() + low;
    }
}

/// Gaussian blur, rows then columns. At the edges the kernel is truncated.
fn blur(tile: &mut Plane<f32>, deviation: f32) {
    let reach = (3.0 * deviation).ceil() as usize;
    let weigh = |distance: usize| (-0.5 * (distance as f32 / deviation).powi(2)).exp();
    let kernel: Vec<f32> = (1..=reach).map(weigh).collect();
    if kernel.is_empty() {
        return;
    }
    *tile = transposed(&blurred_rows(
        &transposed(&blurred_rows(tile, &kernel)),
        &kernel,
    ));
}

/// Blurs each row with a kernel that is 1 in its centre and `kernel` on both sides of it.
fn blurred_rows(plane: &Plane<f32>, kernel: &[f32]) -> Plane<f32> {
    let row = |row: &[f32]| {
        let mut sums = row.to_vec();
        let mut weights = vec![1.0; row.len()];
        for (distance, weight) in (1..row.len()).zip(kernel) {
            for at in distance..row.len() {
                sums[at] += weight * row[at - distance];
                weights[at] += weight;
                sums[at - distance] += weight * row[at];
                weights[at - distance] += weight;
            }
        }
        sums.iter_mut()
            .zip(weights)
            .for_each(|(sum, weight)| *sum /= weight);
        sums
    };
    Plane {
        data: plane.rows().flat_map(row).collect(),
        ..*plane
    }
}

fn transposed(plane: &Plane<f32>) -> Plane<f32> {
    let (height, width) = (plane.width, plane.height);
    Plane {
        height,
        width,
        data: (0..height * width)
            .map(|at| plane.at(at % width, at / width))
            .collect(),
    }
}

fn range(data: &[f32]) -> (f32, f32) {
    data.iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| {
            (low.min(*x), high.max(*x))
        })
}

fn moments(data: &[f32]) -> (f32, f32) {
    let count = data.len().max(1) as f32;
    let mean = data.iter().sum::<f32>() / count;
    let square = data.iter().map(|x| (x - mean).powi(2)).sum::<f32>();
    (mean, (square / count).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn slope() -> Plane<f32> {
        Plane {
            height: 20,
            width: 20,
            data: (0..400).map(|at| (at as f32 - 199.5) / 115.5).collect(),
        }
    }

    #[test]
    fn nothing_is_changed_with_a_share_of_zero() {
        let settings = GreyValues {
            share: 0.0,
            ..GreyValues::default()
        };
        let mut tile = [slope()];
        settings.vary(&mut tile, &mut StdRng::seed_from_u64(1));
        assert_eq!(tile, [slope()]);
    }

    #[test]
    fn every_change_leaves_finite_values() {
        let settings = GreyValues {
            share: 1.0,
            ..GreyValues::default()
        };
        let mut rng = StdRng::seed_from_u64(2);
        for channel in [slope(), Plane::filled(5, 5, 0.0), Plane::filled(1, 1, 3.0)] {
            let before = vec![channel; 3];
            let mut tile = before.clone();
            settings.vary(&mut tile, &mut rng);
            for (channel, before) in tile.iter().zip(&before) {
                assert!(channel.data.iter().all(|x| x.is_finite()));
                assert_ne!(channel, before);
            }
        }
    }

    #[test]
    fn gamma_keeps_order_mean_and_deviation() {
        for exponent in [0.5, 1.0, 2.0] {
            let mut tile = slope();
            gamma(&mut tile, exponent);
            let (mean, deviation) = moments(&tile.data);
            let (old_mean, old_deviation) = moments(&slope().data);
            assert!((mean - old_mean).abs() < 1e-4 && (deviation - old_deviation).abs() < 1e-4);
            assert!(tile.data.is_sorted());
        }
    }

    #[test]
    fn blur_spreads_a_point_and_keeps_a_constant() {
        let mut tile = Plane::filled(15, 15, 0.0);
        tile.data[7 * 15 + 7] = 1.0;
        blur(&mut tile, 1.0);
        // The middle of a Gaussian of standard deviation 1 in two dimensions.
        let middle = 1.0 / std::f32::consts::TAU;
        assert!((tile.at(7, 7) - middle).abs() < 2e-3);
        assert!((tile.at(7, 8) / tile.at(7, 7) - (-0.5_f32).exp()).abs() < 1e-5);
        assert_eq!(tile.at(8, 7), tile.at(7, 6));

        let mut constant = Plane::filled(6, 6, 2.0);
        blur(&mut constant, 3.0);
        assert!(constant.data.iter().all(|x| (x - 2.0).abs() < 1e-5));
    }
}
