//! The operators that compute convolutions by [Winograd's method](crate::winograd), on the threads of ONNX Runtime.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{
    IntoTensorElementType, PrimitiveTensorElementType, TensorElementType, TensorValueType,
};
use prost::Message;

use super::options::Options;
use super::stopping::Canceller;
use crate::onnx;
use crate::onnx::winograd::{
    CODINGS, DOMAIN, OPERATOR, OPERATOR_OF_CODES, OUTPUTS, PADDING, RECTIFIED, with_winograd,
};
use crate::winograd::{
    self, Arithmetic, Codes, Coding, Convolution, Floats, Kernels, ScratchPool, Shape,
};

/// The bytes of `model` with the operators in place of convolutions; `None` if there are none that it can compute, or
/// the processor can't.
///
/// # Errors
/// If there is not enough memory for a second copy of the model.
pub(super) fn replaced(model: &onnx::Model, options: &Options) -> ort::Result<Option<Bytes>> {
    if !winograd::is_supported() {
        return Ok(None);
    }
    let reserve = |bytes: &mut Vec<u8>, model: &onnx::Model, copies: usize| {
        let reserved = bytes.try_reserve_exact(copies * model.encoded_len());
        reserved.map_err(|reason| error(format!("failed to allocate memory: {reason}")))
    };
    // The copy of lists of numbers would end the process if there were no memory for it.
    reserve(&mut Vec::new(), model, 2)?;
    let stopped = || options.canceller.is_cancelled();
    let Some(model) = with_winograd(model, &stopped) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reserve(&mut bytes, &model, 1)?;
    model.encode(&mut bytes).map_err(error)?;
    Ok(Some(bytes.into()))
}

/// The operators for a session with these options.
pub(super) fn domain(options: &Options) -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?
        .add(WinogradOperator::<Floats>::new(options))?
        .add(WinogradOperator::<Codes>::new(options))
}

/// How an operator is called, and how its maps are laid out.
trait Maps: Arithmetic<Value: PrimitiveTensorElementType + Debug> {
    /// The name of the operator.
    const NAME: &str;
    /// The types of its inputs, and whether they have to be there.
    const INPUTS: &[(TensorElementType, bool)];
    /// The pictures, channels, rows and columns of a map with these dimensions.
    fn lengths(dimensions: [i64; 4]) -> [i64; 4];
    /// The opposite.
    fn dimensions(lengths: [i64; 4]) -> [i64; 4];

    /// The convolution of one node; `None` if the processor can't compute it.
    fn convolution(
        context: &KernelContext<'_>,
        shape: Shape,
    ) -> ort::Result<Option<Convolution<Self>>>;
}

const REQUIRED: bool = true;

impl Maps for Floats {
    const NAME: &str = OPERATOR;
    const INPUTS: &[(TensorElementType, bool)] = &[
        (TensorElementType::Float32, REQUIRED),
        (TensorElementType::Float32, REQUIRED),
        (TensorElementType::Float32, !REQUIRED),
    ];

    fn lengths(dimensions: [i64; 4]) -> [i64; 4] {
        dimensions
    }

    fn dimensions(lengths: [i64; 4]) -> [i64; 4] {
        lengths
    }

    fn convolution(
        context: &KernelContext<'_>,
        shape: Shape,
    ) -> ort::Result<Option<Convolution<Self>>> {
        let weights = context.constant_input::<TensorValueType<f32>>(1)?;
        let bias = if context.inputs()?.len() > 2 {
            Some(context.constant_input::<TensorValueType<f32>>(2)?)
        } else {
            None
        };
        let bias = bias.as_ref().map(|bias| bias.extract_tensor().1);
        Convolution::<Floats>::new(shape, weights.extract_tensor().1, bias).map_err(error)
    }
}

impl Maps for Codes {
    const NAME: &str = OPERATOR_OF_CODES;
    const INPUTS: &[(TensorElementType, bool)] = &[
        (TensorElementType::Uint8, REQUIRED),
        (TensorElementType::Int8, REQUIRED),
        (TensorElementType::Float32, REQUIRED),
        (TensorElementType::Float32, REQUIRED),
    ];

    fn lengths([pictures, rows, columns, channels]: [i64; 4]) -> [i64; 4] {
        [pictures, channels, rows, columns]
    }

    fn dimensions([pictures, channels, rows, columns]: [i64; 4]) -> [i64; 4] {
        [pictures, rows, columns, channels]
    }

    fn convolution(
        context: &KernelContext<'_>,
        shape: Shape,
    ) -> ort::Result<Option<Convolution<Self>>> {
        let coding = |[step, zero]: [&str; 2]| {
            let value = context.get::<f32>(step);
            Ok::<_, ort::Error>(Coding {
                step: value.ok_or_else(|| missing::<Self>(step))?,
                zero: u8::try_from(number::<Self>(context, zero)?).map_err(error)?,
            })
        };
        let [input, output] = CODINGS;
        let codings = [coding(input)?, coding(output)?];
        let codes = context.constant_input::<TensorValueType<i8>>(1)?;
        let steps = context.constant_input::<TensorValueType<f32>>(2)?;
        let biases = context.constant_input::<TensorValueType<f32>>(3)?;
        let kernels = Kernels {
            codes: codes.extract_tensor().1,
            steps: steps.extract_tensor().1,
            biases: biases.extract_tensor().1,
        };
        Convolution::<Codes>::new(shape, kernels, codings).map_err(error)
    }
}

/// The attribute `name` of a node.
fn number<A: Maps>(context: &KernelContext<'_>, name: &str) -> ort::Result<usize> {
    let value = context.get::<i64>(name);
    let value = value.and_then(|value| usize::try_from(value).ok());
    value.ok_or_else(|| missing::<A>(name))
}

struct WinogradOperator<A: Arithmetic> {
    threads: usize,
    /// Ends the loading of the model.
    canceller: Canceller,
    /// Shared by all convolutions of the session, which are computed one after the other.
    scratches: Arc<ScratchPool<A>>,
}

impl<A: Arithmetic> WinogradOperator<A> {
    fn new(options: &Options) -> Self {
        WinogradOperator {
            threads: options.threads_of_run(),
            canceller: options.canceller.clone(),
            scratches: Arc::default(),
        }
    }
}

impl<A: Maps + 'static> Operator for WinogradOperator<A> {
    type Kernel<'attr> = WinogradKernel<A>;

    fn name(&self) -> &str {
        A::NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        A::INPUTS.iter().map(|(kind, is_required)| {
            if *is_required {
                OperatorInput::required(*kind)
            } else {
                OperatorInput::optional(*kind)
            }
        })
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(
            A::Value::into_tensor_element_type(),
        )]
    }

    fn create_kernel(&self, context: &KernelContext<'_>) -> ort::Result<WinogradKernel<A>> {
        caught::<A, _>(|| {
            let weights = context.inputs()?;
            let weights = weights
                .get(1)
                .and_then(|weights| weights.dtype().tensor_shape());
            let inputs = weights.and_then(|dimensions| dimensions.get(1));
            let inputs = inputs.and_then(|count| usize::try_from(*count).ok());
            let shape = Shape {
                inputs: inputs.ok_or_else(|| missing::<A>("weights"))?,
                outputs: number::<A>(context, OUTPUTS)?,
                padding: number::<A>(context, PADDING)?,
                rectified: number::<A>(context, RECTIFIED)? != 0,
            };
            // ONNX Runtime does not ask between two operators, and transforming many weights takes long.
            if self.canceller.is_cancelled() {
                return Err(error("loading was cancelled"));
            }
            let convolution = A::convolution(context, shape)?;
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
struct WinogradKernel<A: Arithmetic> {
    convolution: Convolution<A>,
    threads: usize,
    scratches: Arc<ScratchPool<A>>,
}

impl<A: Maps> Kernel for WinogradKernel<A> {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        caught::<A, _>(|| self.compute_on(context))
    }
}

impl<A: Maps> WinogradKernel<A> {
    fn compute_on(&self, context: &ComputeContext) -> ort::Result<()> {
        let input = context.input(0)?.ok_or_else(|| missing::<A>("input"))?;
        let (dimensions, input) = input.try_extract_tensor::<A::Value>()?;
        let Ok(dimensions) = <[i64; 4]>::try_from(&**dimensions) else {
            return Err(error(format!(
                "{} got an input of the shape {dimensions:?}",
                A::NAME
            )));
        };
        let [pictures, _, rows, columns] = A::lengths(dimensions);
        let length = |length: i64| usize::try_from(length).map_err(error);
        let size = (length(rows)?, length(columns)?);
        let (rows, columns) = self.convolution.output_size(size).map_err(error)?;
        let outputs = self.convolution.shape().outputs;
        let lengths = [pictures, outputs as i64, rows as i64, columns as i64];
        let output = context.output(0, A::dimensions(lengths))?;
        let mut output = output.ok_or_else(|| missing::<A>("output"))?;
        let (_, output) = output.try_extract_tensor_mut::<A::Value>()?;
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
            return Err(panic_error::<A>());
        }
        Ok(())
    }
}

/// Does `work`; a panic becomes an error, because ONNX Runtime could not pass it on.
fn caught<A: Maps, R>(work: impl FnOnce() -> ort::Result<R>) -> ort::Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panic_error::<A>()))
}

fn panic_error<A: Maps>() -> ort::Error {
    error(format!("{} panicked; standard error says where", A::NAME))
}

fn missing<A: Maps>(what: &str) -> ort::Error {
    error(format!("{} got no {what}", A::NAME))
}

fn error(reason: impl std::fmt::Display) -> ort::Error {
    ort::Error::new(reason.to_string())
}
