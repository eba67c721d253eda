//! Tensors of the shapes that are asked for, and the memory that they take.

use std::time::{Duration, Instant};

use ort::memory::Allocator;
use ort::session::RunOptions;
use ort::value::Tensor;

use super::{Model, Purpose, Shape, Tensors};
use crate::contract::Sizes;
use crate::inference::error::{ModelError, run_error, unfit};
use crate::inference::memory;
use crate::inference::network::{dimensions, promised_outputs};
use crate::inference::stopping::time_limit;

/// Shapes that tensors are kept of.
const SHAPES: usize = 24;

impl Model {
    /// Makes tensors for inputs of `height` x `width` pixels, and sees by a run of the network that what comes out has
    /// the promised shape. Shapes that were asked for before are still there, except the oldest where they are many;
    /// see [`forget_shapes`](Self::forget_shapes).
    ///
    /// # Errors
    /// Where memory is short, the run fails, or its output has another shape than the contract promises.
    pub fn shape(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        self.shape_of_batch(1, height, width)
    }

    /// As [`shape`](Self::shape), for `batch` pictures at once.
    pub fn shape_of_batch(
        &mut self,
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<(), ModelError> {
        let shape = Shape {
            batch,
            height,
            width,
        };
        self.use_shape(shape, None)
    }

    /// As [`shape`](Self::shape), without a run where the network has kept its promise for another shape: for one that
    /// comes in the middle of a stream. Should it break it now, the next run fails.
    pub fn shape_of_part(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        let known = Some(self.outputs()).filter(|outputs| *outputs > 0);
        let shape = Shape {
            batch: 1,
            height,
            width,
        };
        self.use_shape(shape, known)
    }

    /// Takes the tensors of `shape`, or makes them; how many channels come out is found by a run unless it is `known`.
    fn use_shape(&mut self, shape: Shape, known: Option<usize>) -> Result<(), ModelError> {
        let mut there = self.tensors.iter();
        if let Some(at) = there.position(|tensors| tensors.shape == shape) {
            let made = self.tensors.remove(at);
            self.tensors.push(made);
            return Ok(());
        }
        if self.tensors.len() >= SHAPES {
            self.tensors.remove(0);
        }
        let made = self.make_tensors(shape, known)?;
        self.tensors.push(made);
        Ok(())
    }

    fn make_tensors(&self, shape: Shape, known: Option<usize>) -> Result<Tensors, ModelError> {
        let Shape {
            batch,
            height,
            width,
        } = shape;
        memory::check(self.survey.bytes_per_pixel, batch * height, width)
            .map_err(|reason| unfit(&self.path, reason))?;
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let allocator = Allocator::default();
        let channels = self.contract.channels.count();
        let mut input =
            Tensor::<f32>::new(&allocator, [batch, channels, height, width]).map_err(failed)?;
        input.extract_tensor_mut().1.fill(0.0);
        let found = match known {
            Some(outputs) => self.promise(outputs, shape).into(),
            None => self.see_outputs(&input)?,
        };
        let outputs = self.promised(&found, shape)?;
        let mut output = Tensor::<f32>::new(&allocator, found).map_err(failed)?;
        let mut binding = self.in_turn(Purpose::Trial, |session| {
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

    /// The lengths of what the network makes of `input`, which it is shown within the time that a first run may take.
    fn see_outputs(&self, input: &Tensor<f32>) -> Result<Vec<usize>, ModelError> {
        let provider = self.session.provider;
        self.in_turn(Purpose::Trial, |session| {
            time_limit::in_time((&self.path, provider), &self.stopper, || {
                let outputs = session
                    .run_with_options(ort::inputs![input], &*self.stopper.options)
                    .map_err(|error| run_error(&self.path, &error))?;
                dimensions(&outputs).map_err(|reason| unfit(&self.path, reason))
            })
        })
    }

    /// Runs the network on a black picture of the shape in use, so that everything it allocates for this shape is there,
    /// and sees that its scores are finite. Returns how long that took.
    ///
    /// # Errors
    /// Where the run fails, or its scores are not finite.
    pub fn try_out(&mut self) -> Result<Duration, ModelError> {
        self.input().fill(0.0);
        let start = Instant::now();
        let ran = self.run_for(Purpose::Trial).map(|_| ());
        if ran.is_err() {
            self.tensors.pop();
        }
        // Weights that are not numbers would give masks without any foreground, and no error.
        ran.map_err(|error| match error {
            ModelError::NotFinite { path } => unfit(
                &path,
                "for a black picture its output has values that are not finite: its weights are damaged, or its training has failed".into(),
            ),
            other => other,
        })?;
        Ok(start.elapsed())
    }

    /// Gives back the memory for all shapes, even what ONNX Runtime keeps for their feature maps.
    pub fn forget_shapes(&mut self) {
        if self.tensors.is_empty() {
            return;
        }
        self.tensors.clear();
        if let Some(arena) = self.session.arena() {
            // Should it fail, memory is taken, but nothing else is wrong.
            let _ = self.shrink(&arena);
        }
    }

    /// Runs the network on the smallest tile there is, at the end of which the runtime frees what that did not
    /// need. Of a network that takes one size only it needs all of it, and for no other size it would need more.
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
        self.in_turn(Purpose::Trial, |session| {
            let shrunk = self.stopper.with_options(options, |options| {
                let outputs = session.run_with_options(ort::inputs![&input], options);
                outputs.map(drop).map_err(failed)
            });
            shrunk.unwrap_or(Ok(()))
        })
    }

    /// The lengths of what the network makes of `shape` by its contract, with so many `outputs`.
    fn promise(&self, outputs: usize, shape: Shape) -> [usize; 4] {
        let lost = 2 * self.contract.geometry.margin;
        let left = |length: usize| length.saturating_sub(lost);
        [shape.batch, outputs, left(shape.height), left(shape.width)]
    }

    /// Checks the lengths of what the network has made of `shape` against the contract; gives its channels.
    fn promised(&self, found: &[usize], shape: Shape) -> Result<usize, ModelError> {
        let outputs = found.get(1).copied().unwrap_or_default();
        if self.contract.outputs().contains(&outputs) && found == self.promise(outputs, shape) {
            return Ok(outputs);
        }
        let [batch, _, rows, columns] = self.promise(outputs, shape);
        Err(unfit(
            &self.path,
            format!(
                "from {} x {} pixels it makes an output of {found:?}, where its contract promises [{batch}, {}, {rows}, {columns}]",
                shape.height,
                shape.width,
                promised_outputs(&self.contract)
            ),
        ))
    }
}
