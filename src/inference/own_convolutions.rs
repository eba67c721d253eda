//! The operator that computes convolutions by [Winograd's method](crate::winograd), on the threads of ONNX Runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{TensorElementType, TensorValueType};
use prost::Message;

use crate::onnx;
use crate::onnx::own_convolutions::{DOMAIN, OPERATOR, PADDING, RECTIFIED, with_own_convolutions};
use crate::winograd::{Convolution, ScratchPool, Shape, is_supported};

/// The bytes of `model` with the operator in place of convolutions; `None` if there are none that it can compute, or
/// the processor can't.
///
/// # Errors
/// If there is not enough memory for a second copy of the model.
pub(super) fn replaced(model: &onnx::Model) -> ort::Result<Option<Bytes>> {
    let Some(model) = is_supported()
        .then(|| with_own_convolutions(model))
        .flatten()
    else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(model.encoded_len());
    reserved.map_err(|reason| error(format!("failed to allocate memory: {reason}")))?;
    model.encode(&mut bytes).map_err(error)?;
    Ok(Some(bytes.into()))
}

/// The operator for a session with so many `threads`.
pub(super) fn domain(threads: usize) -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?.add(OwnConvolution {
        threads,
        scratches: Arc::default(),
    })
}

struct OwnConvolution {
    threads: usize,
    /// Shared by all convolutions of the session, which are computed one after the other.
    scratches: Arc<ScratchPool>,
}

impl Operator for OwnConvolution {
    type Kernel<'attr> = OwnKernel;

    fn name(&self) -> &str {
        OPERATOR
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [const { OperatorInput::required(TensorElementType::Float32) }; 3]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<OwnKernel> {
        caught(|| {
            let integer = |name: &str| {
                let value = context
                    .get::<i64>(name)
                    .and_then(|value| usize::try_from(value).ok());
                value.ok_or_else(|| error(format!("{OPERATOR} has no {name}")))
            };
            let weights = context.constant_input::<TensorValueType<f32>>(1)?;
            let biases = context.constant_input::<TensorValueType<f32>>(2)?;
            let ((dimensions, weights), (_, biases)) =
                (weights.extract_tensor(), biases.extract_tensor());
            let [outputs, inputs] = channels(dimensions)?;
            let shape = Shape {
                inputs,
                outputs,
                padding: integer(PADDING)?,
                rectified: integer(RECTIFIED)? != 0,
            };
            let convolution = Convolution::new(shape, weights, biases).map_err(error)?;
            Ok(OwnKernel {
                convolution: convolution
                    .ok_or_else(|| error("this processor lacks AVX2 or FMA"))?,
                threads: self.threads,
                scratches: self.scratches.clone(),
            })
        })
    }
}

/// The convolution of one node.
struct OwnKernel {
    convolution: Convolution,
    threads: usize,
    scratches: Arc<ScratchPool>,
}

impl Kernel for OwnKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        caught(|| self.compute_on(context))
    }
}

impl OwnKernel {
    fn compute_on(&self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || error(format!("{OPERATOR} lacks its input or output"));
        let input = context.input(0)?.ok_or_else(missing)?;
        let (dimensions, input) = input.try_extract_tensor::<f32>()?;
        let &[pictures, _, rows, columns] = &**dimensions else {
            return Err(missing());
        };
        let length = |length: i64| usize::try_from(length).map_err(error);
        let size = (length(rows)?, length(columns)?);
        let left = self.convolution.output_size(size);
        let (rows, columns) = left.ok_or_else(|| error("its input is smaller than a kernel"))?;
        let outputs = self.convolution.shape().outputs;
        let shape = [pictures, outputs as i64, rows as i64, columns as i64];
        let mut output = context.output(0, shape)?.ok_or_else(missing)?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        let panicked = AtomicBool::new(false);
        let on_threads = |work: &(dyn Fn() + Sync)| {
            // What is not done for lack of threads is done afterwards. A panic must not pass through ONNX Runtime.
            let _ = context.par_for(self.threads, self.threads, |_| {
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    panicked.store(true, Ordering::Relaxed);
                }
            });
        };
        let threads = (self.threads, &*self.scratches);
        let computed = self
            .convolution
            .compute(input, size, output, threads, on_threads);
        computed.map_err(error)?;
        if panicked.into_inner() {
            return Err(error("a thread panicked"));
        }
        Ok(())
    }
}

/// Output and input channels of weights.
fn channels(dimensions: &[i64]) -> ort::Result<[usize; 2]> {
    match *dimensions {
        [outputs, inputs, 3, 3] => {
            let count = |channels: i64| usize::try_from(channels).map_err(error);
            Ok([count(outputs)?, count(inputs)?])
        }
        _ => Err(error(format!(
            "{OPERATOR} has weights of the shape {dimensions:?}"
        ))),
    }
}

/// Does `work`; a panic becomes an error, because ONNX Runtime could not pass it on.
fn caught<R>(work: impl FnOnce() -> ort::Result<R>) -> ort::Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(error("it panicked")))
}

fn error(reason: impl std::fmt::Display) -> ort::Error {
    ort::Error::new(reason.to_string())
}
