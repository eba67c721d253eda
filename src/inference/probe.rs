//! Probing: finds the contract of a network that carries none by running it.

use ort::memory::Allocator;
use ort::session::{RunOptions, Session};
use ort::value::Tensor;

use super::memory;
use super::signature::{Signature, dimensions};
use crate::contract::{Activation, Channels, Contract, Geometry, MAX_CLASSES, Sizes};
use crate::onnx::survey::Survey;

/// Halo of a network whose reach can't be derived from its graph: that of a U-Net with four levels.
const USUAL_HALO: usize = 96;

/// Largest input that is tried. A network that needs more is not suitable for tiles.
const LARGEST: usize = 2048;

/// Share of the available memory that the feature maps of a run may need: ONNX Runtime takes up to three times as much.
const MEMORY: f64 = 0.25;

/// The contract of a network that carries none.
pub(super) fn contract(
    session: &mut Session,
    options: &RunOptions,
    signature: &Signature,
    survey: &Survey,
    name: &str,
) -> Result<Contract, String> {
    let mut probe = Probe {
        session,
        options,
        bytes_per_pixel: survey.bytes_per_pixel,
        channels: signature.channels,
    };
    let (margin, sizes, outputs) = match signature.fixed {
        Some((height, width)) => {
            let (outputs, margin) = probe.run(height, width)?;
            (margin, Sizes::Fixed { height, width }, outputs)
        }
        None => probe.sizes(survey)?,
    };
    let activation = match (survey.activation, outputs) {
        (Some(Activation::None), _) => Activation::None,
        (_, 1) => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    let classes = outputs.max(2);
    if classes > MAX_CLASSES {
        return Err(format!(
            "it has {classes} output channels, but at most {MAX_CLASSES} classes are supported"
        ));
    }
    let channels = match signature.channels {
        1 => Channels::Gray,
        _ => Channels::Rgb,
    };
    let halo = halo(margin, survey);
    let geometry = Geometry {
        margin,
        halo,
        edge: halo,
        stride: survey.stride,
        sizes,
    };
    Ok(Contract::new(name, channels, classes, activation, geometry))
}

/// Context around a tile: a network without padding sees no more than the margin. One with padding needs as much more
/// as the padding affects, in whole steps of the grid.
fn halo(margin: usize, survey: &Survey) -> usize {
    if margin > 0 && !survey.padded {
        return margin;
    }
    let reach = survey.halo.unwrap_or(USUAL_HALO);
    margin + reach.saturating_sub(margin).div_ceil(survey.stride) * survey.stride
}

/// A network that is run on zeros of several sizes.
struct Probe<'a> {
    session: &'a mut Session,
    options: &'a RunOptions,
    bytes_per_pixel: f64,
    channels: usize,
}

impl Probe<'_> {
    /// Margin, legal sizes and output channels of a network that leaves its size open.
    ///
    /// Pooling makes sizes legal in steps of its grid, so all sizes within one step are tried, from a size on that
    /// surely leaves some output: the legal one has the smallest margin.
    fn sizes(&mut self, survey: &Survey) -> Result<(usize, Sizes, usize), String> {
        let step = survey.stride;
        let reach = survey.halo.unwrap_or(USUAL_HALO);
        let start = (2 * reach + step).div_ceil(step) * step;
        if start + 2 * step > LARGEST {
            return Err(if step > reach {
                format!(
                    "its pooling makes sizes legal in steps of {step} pixels, which is too coarse for tiles"
                )
            } else {
                format!(
                    "its outputs depend on what is up to {reach} pixels away, which is too far for tiles"
                )
            });
        }
        let mut best: Option<(usize, usize, usize)> = None;
        let mut reason = String::new();
        for size in start..start + step {
            match self.run(size, size) {
                Ok((outputs, margin)) => {
                    if best.is_none_or(|(_, least, _)| margin < least) {
                        best = Some((size, margin, outputs));
                    }
                    if margin == 0 {
                        break;
                    }
                }
                Err(error) => reason = error,
            }
        }
        let (size, margin, outputs) = best.ok_or_else(|| {
            format!(
                "it fails on every input from {start} x {start} to {0} x {0} pixels, last with: {reason}",
                start + step - 1
            )
        })?;
        // The step is right if a size one step larger, on one axis only, is legal too.
        match self.run(size, size + step)? {
            (_, again) if again == margin => {
                Ok((margin, Sizes::Steps { min: size, step }, outputs))
            }
            (_, other) => Err(format!(
                "its margin depends on the size: {margin} pixels for {size} pixels, but {other} for {}",
                size + step
            )),
        }
    }

    /// Runs the network on `height` x `width` zeros; returns its output channels and margin.
    fn run(&mut self, height: usize, width: usize) -> Result<(usize, usize), String> {
        let text = |error: ort::Error| error.to_string();
        memory::check(self.bytes_per_pixel, [height, width], MEMORY)?;
        let shape = [1, self.channels, height, width];
        let mut input = Tensor::<f32>::new(&Allocator::default(), shape).map_err(text)?;
        input.extract_tensor_mut().1.fill(0.0);
        let outputs = self
            .session
            .run_with_options(ort::inputs![input], self.options)
            .map_err(text)?;
        let found = dimensions(&outputs)?;
        let [1, channels, rows, columns] = found[..] else {
            return Err(format!(
                "its output has the shape {found:?}, but [1, classes, height, width] is needed"
            ));
        };
        let lost = (height.checked_sub(rows), width.checked_sub(columns));
        match lost {
            (Some(lost), Some(same)) if lost == same && lost % 2 == 0 && channels > 0 => {
                Ok((channels, lost / 2))
            }
            _ => Err(format!(
                "its output for {height} x {width} pixels has {rows} x {columns}: it has to lose the same number of pixels on every side"
            )),
        }
    }
}
