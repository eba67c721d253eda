//! Tensors of the shapes that are asked for, and the memory that they take.

use std::time::{Duration, Instant};

use ort::memory::Allocator;
use ort::session::{RunOptions, Session};
use ort::value::Tensor;

use super::{Model, Shape, Tensors};
use crate::inference::error::{ModelError, run_error, unfit};
use crate::inference::memory;
use crate::inference::network::{dimensions, promised_outputs};
use crate::inference::provider::Provider;
use crate::inference::watchdog::{self, Watchdog};

/// Shapes that tensors are kept of.
const SHAPES: usize = 24;

impl Model {
    /// Makes tensors for inputs of `height` x `width` pixels and runs the network once, so that
    /// everything it allocates for this shape is there, and what comes out has the promised shape and
    /// is made of numbers. Shapes that were asked for before are still there, but for the oldest where they
    /// are many; see [`forget_shapes`](Self::forget_shapes).
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
        let mut there = self.tensors.iter();
        if let Some(at) = there.position(|tensors| tensors.shape == shape) {
            let made = self.tensors.remove(at);
            self.tensors.push(made);
            return Ok(());
        }
        if self.tensors.len() >= SHAPES {
            self.tensors.remove(0);
        }
        let limit = watchdog::limit(self.session.provider);
        let stopper = self.stopper.clone();
        let watchdog = Watchdog::new(limit, move || stopper.expire());
        let made = self.make_tensors(shape);
        if watchdog.has_acted() {
            self.stopper.forgive();
            return Err(ModelError::Slow {
                path: self.path.clone(),
                seconds: limit.as_secs(),
            });
        }
        made
    }

    fn make_tensors(&mut self, shape: Shape) -> Result<(), ModelError> {
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
        let found = {
            let run = |session: &mut Session| {
                let outputs = session
                    .run_with_options(ort::inputs![&input], &*self.stopper.options)
                    .map_err(failed)?;
                dimensions(&outputs).map_err(|reason| unfit(&self.path, reason))
            };
            self.in_turn(run)?
        };
        let outputs = self.promised(&found, shape)?;
        let mut output = Tensor::<f32>::new(&allocator, found).map_err(failed)?;
        let mut binding = self.in_turn(|session| session.create_binding().map_err(failed))?;
        let bound = binding
            .bind_input(&self.session.input, &input)
            .and_then(|()| binding.bind_output(&self.session.output, &mut output));
        bound.map_err(failed)?;
        self.tensors.push(Tensors {
            shape,
            outputs,
            trial: Duration::ZERO,
            input,
            output,
            binding,
        });
        let start = Instant::now();
        let ran = self.run().map(|_| ());
        match self.tensors.last_mut() {
            Some(tensors) if ran.is_ok() => tensors.trial = start.elapsed(),
            _ => drop(self.tensors.pop()),
        }
        // Weights that are no numbers would give masks without any foreground, and no error.
        ran.map_err(|error| match error {
            ModelError::NotFinite { path } => unfit(
                &path,
                "for a black picture its output holds values that are no finite numbers: its weights are damaged, or its training has failed".into(),
            ),
            other => other,
        })
    }

    /// Gives back the memory for all shapes, also what ONNX Runtime keeps for their feature maps.
    pub fn forget_shapes(&mut self) {
        if self.tensors.is_empty() {
            return;
        }
        self.tensors.clear();
        if self.session.provider == Provider::Cpu {
            // Should it fail, memory is taken, but nothing else is wrong.
            let _ = self.shrink_arena();
        }
    }

    /// Runs the network on the smallest tile there is, at the end of which the runtime frees what that did not
    /// need.
    fn shrink_arena(&self) -> Result<(), ModelError> {
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let Some((height, width)) = self.contract.geometry.legal(1, 1) else {
            return Ok(());
        };
        let shape = [1, self.contract.channels.count(), height, width];
        let mut input = Tensor::<f32>::new(&Allocator::default(), shape).map_err(failed)?;
        input.extract_tensor_mut().1.fill(0.0);
        let mut options = RunOptions::new().map_err(failed)?;
        options
            .set("memory.enable_memory_arena_shrinkage", "cpu:0")
            .map_err(failed)?;
        self.in_turn(|session| {
            let outputs = session.run_with_options(ort::inputs![&input], &options);
            outputs.map(drop).map_err(failed)
        })
    }

    /// Checks the shape of what the network has made of `height` x `width` pixels against the
    /// contract; gives its channels.
    fn promised(&self, found: &[usize], shape: Shape) -> Result<usize, ModelError> {
        let Shape {
            batch,
            height,
            width,
        } = shape;
        let lost = 2 * self.contract.geometry.margin;
        let (rows, columns) = (height.saturating_sub(lost), width.saturating_sub(lost));
        match found {
            [pictures, outputs, found_rows, found_columns]
                if *pictures == batch
                    && self.contract.outputs().contains(outputs)
                    && (*found_rows, *found_columns) == (rows, columns) =>
            {
                Ok(*outputs)
            }
            _ => Err(unfit(
                &self.path,
                format!(
                    "from {height} x {width} pixels it makes an output of {found:?}, where its contract promises [{batch}, {}, {rows}, {columns}]",
                    promised_outputs(&self.contract)
                ),
            )),
        }
    }
}
