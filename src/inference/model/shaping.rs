//! Tensors of the requested shapes, and their memory.

use std::time::{Duration, Instant};

use ort::memory::Allocator;
use ort::session::RunOptions;
use ort::value::Tensor;

use super::{InputShape, Model, Purpose, Tensors};
use crate::contract::Sizes;
use crate::inference::error::{ModelError, run_error, unfit};
use crate::inference::memory;
use crate::inference::signature::{dimensions, promised_outputs};
use crate::inference::stopping::time_limit;

/// How many shapes tensors are kept for, and how many bytes besides those of the latest shape.
const SHAPES: usize = 24;
const KEPT_BYTES: usize = 64 << 20;

impl Model {
    /// Allocates tensors for inputs of `height` x `width` pixels, and checks with a run of the network that its output
    /// has the promised shape. Tensors of earlier shapes are kept, except the oldest of many; see
    /// [`forget_shapes`](Self::forget_shapes).
    ///
    /// # Errors
    /// If memory runs out, the run fails, or its output has another shape than the contract promises.
    pub fn shape(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        self.shape_batch(1, height, width)
    }

    /// As [`shape`](Self::shape), for `batch` pictures at once.
    pub fn shape_batch(
        &mut self,
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<(), ModelError> {
        let shape = InputShape {
            batch,
            height,
            width,
        };
        self.use_shape(shape, None)
    }

    /// As [`shape`](Self::shape), but without the run if the network has kept its promise for another shape: for a
    /// shape that comes in the middle of a stream. If the promise is broken for this shape, the next run fails.
    pub fn shape_without_trial(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        let known = Some(self.outputs()).filter(|outputs| *outputs > 0);
        let shape = InputShape {
            batch: 1,
            height,
            width,
        };
        self.use_shape(shape, known)
    }

    /// Makes the tensors of `shape` the current ones, and allocates them first if need be; a run finds out the number
    /// of output channels unless it is `known`.
    fn use_shape(&mut self, shape: InputShape, known: Option<usize>) -> Result<(), ModelError> {
        let mut kept = self.tensors.iter();
        if let Some(at) = kept.position(|tensors| tensors.shape == shape) {
            let tensors = self.tensors.remove(at);
            self.tensors.push(tensors);
            return Ok(());
        }
        while self.tensors.len() >= SHAPES || self.kept_bytes() > KEPT_BYTES {
            self.tensors.remove(0);
        }
        let tensors = self.allocate(shape, known)?;
        self.tensors.push(tensors);
        Ok(())
    }

    /// Bytes of all tensors, at most.
    fn kept_bytes(&self) -> usize {
        let channels = self.contract.channels.count();
        let each = self.tensors.iter().map(|tensors| {
            let InputShape {
                batch,
                height,
                width,
            } = tensors.shape;
            size_of::<f32>() * (channels + tensors.outputs) * batch * height * width
        });
        each.sum()
    }

    fn allocate(&self, shape: InputShape, known: Option<usize>) -> Result<Tensors, ModelError> {
        let InputShape {
            batch,
            height,
            width,
        } = shape;
        memory::check(self.survey.bytes_per_pixel, [batch * height, width], 1.0)
            .map_err(|reason| unfit(&self.path, reason))?;
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let allocator = Allocator::default();
        let channels = self.contract.channels.count();
        let mut input =
            Tensor::<f32>::new(&allocator, [batch, channels, height, width]).map_err(failed)?;
        input.extract_tensor_mut().1.fill(0.0);
        let output_shape = match known {
            Some(outputs) => self.promised_shape(outputs, shape).into(),
            None => self.find_output_shape(&input)?,
        };
        let outputs = self.check_output_shape(&output_shape, shape)?;
        let mut output = Tensor::<f32>::new(&allocator, output_shape).map_err(failed)?;
        let mut binding = self.with_session(Purpose::Trial, |session| {
            session.create_binding().map_err(failed)
        })?;
        let bound = binding
            .bind_input(&self.session.input, &input)
            .and_then(|()| binding.bind_output(&self.session.output, &mut output));
        bound.map_err(failed)?;
        Ok(Tensors {
            shape,
            outputs,
            input,
            output,
            binding,
        })
    }

    /// The shape of the output for `input`, found by a run within the time limit of a first run.
    fn find_output_shape(&self, input: &Tensor<f32>) -> Result<Vec<usize>, ModelError> {
        let provider = self.session.provider;
        self.with_session(Purpose::Trial, |session| {
            time_limit::in_time((&self.path, provider), &self.stopper, || {
                let outputs = session
                    .run_with_options(ort::inputs![input], &*self.stopper.options)
                    .map_err(|error| run_error(&self.path, &error))?;
                dimensions(&outputs).map_err(|reason| unfit(&self.path, reason))
            })
        })
    }

    /// Runs the network on a black picture of the current shape, so that everything it needs for this shape is
    /// allocated, and checks that its scores are finite. Returns how long that took.
    ///
    /// # Errors
    /// If the run fails, or its scores are not finite.
    pub fn warm_up(&mut self) -> Result<Duration, ModelError> {
        self.input().fill(0.0);
        let start = Instant::now();
        let result = self.run_for(Purpose::Trial).map(|_| ());
        if result.is_err() {
            self.tensors.pop();
        }
        // Otherwise weights that are NaN would give masks without any foreground, and no error.
        result.map_err(|error| match error {
            ModelError::NotFinite { path } => unfit(
                &path,
                "its output for a black picture contains values that are not finite: its weights are damaged, or its training failed".into(),
            ),
            other => other,
        })?;
        Ok(start.elapsed())
    }

    /// Frees the memory of all shapes, including what ONNX Runtime keeps for their feature maps.
    pub fn forget_shapes(&mut self) {
        if self.tensors.is_empty() {
            return;
        }
        self.tensors.clear();
        if let Some(arena) = self.session.arena() {
            // If it fails, memory stays allocated, but nothing else is wrong.
            let _ = self.shrink(&arena);
        }
    }

    /// Runs the network on the smallest tile possible, after which the runtime frees the memory that this run did not
    /// need. There is no point for a network with one fixed size: each run needs all of it.
    fn shrink(&self, arena: &str) -> Result<(), ModelError> {
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let Sizes::Steps { min, .. } = self.contract.geometry.sizes else {
            return Ok(());
        };
        let shape = [1, self.contract.channels.count(), min, min];
        let mut input = Tensor::<f32>::new(&Allocator::default(), shape).map_err(failed)?;
        input.extract_tensor_mut().1.fill(0.0);
        let mut options = RunOptions::new().map_err(failed)?;
        options
            .set("memory.enable_memory_arena_shrinkage", arena)
            .map_err(failed)?;
        self.with_session(Purpose::Trial, |session| {
            let shrunk = self.stopper.with_options(options, |options| {
                let outputs = session.run_with_options(ort::inputs![&input], options);
                outputs.map(drop).map_err(failed)
            });
            shrunk.unwrap_or(Ok(()))
        })
    }

    /// The output shape that the contract promises for an input of `shape`, with `outputs` channels.
    fn promised_shape(&self, outputs: usize, shape: InputShape) -> [usize; 4] {
        let lost = 2 * self.contract.geometry.margin;
        let left = |length: usize| length.saturating_sub(lost);
        [shape.batch, outputs, left(shape.height), left(shape.width)]
    }

    /// Checks the output shape for an input of `shape` against the contract; returns its channels.
    fn check_output_shape(&self, found: &[usize], shape: InputShape) -> Result<usize, ModelError> {
        let outputs = found.get(1).copied().unwrap_or_default();
        let promised = self.promised_shape(outputs, shape);
        if self.contract.outputs().contains(&outputs) && found == promised {
            return Ok(outputs);
        }
        let [batch, _, rows, columns] = promised;
        Err(unfit(
            &self.path,
            format!(
                "its output for {} x {} pixels has the shape {found:?}, but its contract promises [{batch}, {}, {rows}, {columns}]",
                shape.height,
                shape.width,
                promised_outputs(&self.contract)
            ),
        ))
    }
}
