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
use crate::onnx::winograd::{DOMAIN, OPERATOR, OUTPUTS, PADDING, RECTIFIED, with_winograd};
use crate::winograd::{self, Convolution, ScratchPool};

/// The bytes of `model` with the operator in place of convolutions; `None` if there are none that it can compute, or
/// the processor can't.
///
/// # Errors
/// If there is not enough memory for a second copy of the model.
pub(super) fn replaced(model: &onnx::Model) -> ort::Result<Option<Bytes>> {
    if !winograd::is_supported() {
        return Ok(None);
    }
    let reserve = |bytes: &mut Vec<u8>, model: &onnx::Model, copies: usize| {
        let reserved = bytes.try_reserve_exact(copies * model.encoded_len());
        reserved.map_err(|reason| error(format!("failed to allocate memory: {reason}")))
    };
    // The copy of lists of numbers would end the process if there were no memory for it.
    reserve(&mut Vec::new(), model, 2)?;
    let Some(model) = with_winograd(model) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reserve(&mut bytes, &model, 1)?;
    model.encode(&mut bytes).map_err(error)?;
    Ok(Some(bytes.into()))
}

/// The operator for a session with so many `threads`.
pub(super) fn domain(threads: usize) -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?.add(WinogradOperator {
        threads,
        scratches: Arc::default(),
    })
}

struct WinogradOperator {
    threads: usize,
    /// Shared by all convolutions of the session, which are computed one after the other.
    scratches: Arc<ScratchPool>,
}

impl Operator for WinogradOperator {
    type Kernel<'attr> = WinogradKernel;

    fn name(&self) -> &str {
        OPERATOR
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let float = TensorElementType::Float32;
        [
            OperatorInput::required(float),
            OperatorInput::required(float),
            OperatorInput::optional(float),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<WinogradKernel> {
        caught(|| {
            let integer = |name: &str| {
                let value = context.get::<i64>(name);
                let value = value.and_then(|value| usize::try_from(value).ok());
                value.ok_or_else(|| error(format!("{OPERATOR} has no {name}")))
            };
            let weights = context.constant_input::<TensorValueType<f32>>(1)?;
            let (dimensions, weights) = weights.extract_tensor();
            let inputs = dimensions
                .get(1)
                .copied()
                .and_then(|count| usize::try_from(count).ok());
            let shape = winograd::Shape {
                inputs: inputs.ok_or_else(|| error(format!("{OPERATOR} has no weights")))?,
                outputs: integer(OUTPUTS)?,
                padding: integer(PADDING)?,
                rectified: integer(RECTIFIED)? != 0,
            };
            let bias = if context.inputs()?.len() > 2 {
                Some(context.constant_input::<TensorValueType<f32>>(2)?)
            } else {
                None
            };
            let bias = bias.as_ref().map(|bias| bias.extract_tensor().1);
            let convolution = Convolution::new(shape, weights, bias).map_err(error)?;
            Ok(WinogradKernel {
                convolution: convolution
                    .ok_or_else(|| error("this processor lacks AVX2 or FMA"))?,
                threads: self.threads,
                scratches: self.scratches.clone(),
            })
        })
    }
}

/// The convolution of one node.
struct WinogradKernel {
    convolution: Convolution,
    threads: usize,
    scratches: Arc<ScratchPool>,
}

impl Kernel for WinogradKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        caught(|| self.compute_on(context))
    }
}

impl WinogradKernel {
    fn compute_on(&self, context: &ComputeContext) -> ort::Result<()> {
        let missing = |what| error(format!("{OPERATOR} got no {what}"));
        let input = context.input(0)?.ok_or_else(|| missing("input"))?;
        let (dimensions, input) = input.try_extract_tensor::<f32>()?;
        let &[pictures, _, rows, columns] = &**dimensions else {
            return Err(error(format!(
                "{OPERATOR} got an input of the shape {dimensions:?}"
            )));
        };
        let length = |length: i64| usize::try_from(length).map_err(error);
        let size = (length(rows)?, length(columns)?);
        let (rows, columns) = self.convolution.output_size(size).map_err(error)?;
        let outputs = self.convolution.shape().outputs;
        let shape = [pictures, outputs as i64, rows as i64, columns as i64];
        let mut output = context.output(0, shape)?.ok_or_else(|| missing("output"))?;
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
            return Err(panic_error());
        }
        Ok(())
    }
}

/// Does `work`; a panic becomes an error, because ONNX Runtime could not pass it on.
fn caught<R>(work: impl FnOnce() -> ort::Result<R>) -> ort::Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panic_error()))
}

fn panic_error() -> ort::Error {
    error(format!("{OPERATOR} panicked; standard error says where"))
}

fn error(reason: impl std::fmt::Display) -> ort::Error {
    ort::Error::new(reason.to_string())
}
