//! Opening a model file and running it on tensors that are made once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ort::environment::Environment;
use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};
use prost::Message;

use super::library::{self, LibraryError, Search};
use super::probe;
use super::provider::Provider;
use crate::contract::{Contract, ContractError, METADATA_KEY};
use crate::onnx::{self, survey::Survey};

/// Largest model file: protobuf can't hold more.
const LARGEST: u64 = 2 << 30;

/// How to open a model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where ONNX Runtime is.
    pub library: Search,
    /// What to compute on.
    pub provider: Provider,
    /// Number of the device of that provider.
    pub device: i32,
    /// Threads that compute one run on the CPU; 0: one for each core.
    pub threads: usize,
}

/// Why a model can't be used, or a run of it failed. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("model {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("model {path} is {what}, not a regular file")]
    NotAFile { path: PathBuf, what: &'static str },
    #[error("model {path} is empty")]
    Empty { path: PathBuf },
    #[error("model {path} has {size} bytes, and the format allows {LARGEST}")]
    TooLarge { path: PathBuf, size: u64 },
    #[error("model {path} is not an ONNX file")]
    NotOnnx { path: PathBuf },
    #[error("model {path} is damaged or truncated: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("model {path}: {source}")]
    Contract {
        path: PathBuf,
        source: ContractError,
    },
    #[error("model {path} does not fit: {reason}")]
    Unfit { path: PathBuf, reason: String },
    #[error("execution provider {provider} can't be used: {reason}")]
    Provider { provider: Provider, reason: String },
    #[error("model {path} can't be loaded: {reason}")]
    Load { path: PathBuf, reason: String },
    #[error("model {path}: inference failed: {reason}")]
    Run { path: PathBuf, reason: String },
}

/// An opened model with, once [shaped](Model::shape), its tensors.
pub struct Model {
    path: PathBuf,
    session: Session,
    contract: Contract,
    described: bool,
    survey: Survey,
    provider: Provider,
    refused: Vec<ModelError>,
    tensors: Option<Tensors>,
}

/// Input and output of one shape, bound to the session.
struct Tensors {
    shape: Shape,
    input: Tensor<f32>,
    output: Tensor<f32>,
    binding: IoBinding,
    options: Arc<RunOptions>,
}

/// Height and width of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    height: usize,
    width: usize,
}

impl Model {
    /// Opens the model in the file `path`, with the contract that it carries or one that is found
    /// out by trying.
    pub fn open(path: &Path, options: &Options) -> Result<Model, ModelError> {
        let bytes = read(path)?;
        let file = parse(path, &bytes)?;
        let environment = library::environment(&options.library)?;
        let mut refused = Vec::new();
        let (mut session, provider) = start(path, &bytes, &environment, options, &mut refused)?;
        let network = Network::of(&session).map_err(|reason| unfit(path, reason))?;
        let graph = file.graph.unwrap_or_default();
        let survey = onnx::survey::survey(&graph, network.channels);
        let carried = file
            .metadata_props
            .iter()
            .find(|entry| entry.key == METADATA_KEY);
        let contract = match carried {
            Some(entry) => {
                Contract::from_json(&entry.value).map_err(|source| ModelError::Contract {
                    path: path.to_owned(),
                    source,
                })?
            }
            None => probe::contract(&mut session, &network, &survey, &name_of(path))
                .map_err(|reason| unfit(path, reason))?,
        };
        network
            .agrees_with(&contract)
            .map_err(|reason| unfit(path, reason))?;
        Ok(Model {
            path: path.to_owned(),
            session,
            contract,
            described: carried.is_some(),
            survey,
            provider,
            refused,
            tensors: None,
        })
    }

    /// What the model promises, by its own word or by probing.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Whether the file carries its contract, instead of having been probed.
    pub fn is_described(&self) -> bool {
        self.described
    }

    /// What the graph does to a picture.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// What the model runs on; never [`Provider::Auto`].
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The providers that [`Provider::Auto`] tried in vain before, each with its reason.
    pub fn refused(&self) -> &[ModelError] {
        &self.refused
    }

    /// Makes tensors for inputs of `height` x `width` pixels and runs the network once, so that
    /// everything it allocates for this shape is there, and what comes out has the promised shape.
    pub fn shape(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        let shape = Shape { height, width };
        if self
            .tensors
            .as_ref()
            .is_some_and(|tensors| tensors.shape == shape)
        {
            return Ok(());
        }
        // The old tensors go first, so that two sets never take memory at once.
        self.tensors = None;
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let margin = self.contract.geometry.margin;
        let expected = [
            1,
            self.contract.outputs(),
            height.saturating_sub(2 * margin),
            width.saturating_sub(2 * margin),
        ];
        let allocator = Allocator::default();
        let channels = self.contract.channels.count();
        let mut input =
            Tensor::<f32>::new(&allocator, [1, channels, height, width]).map_err(failed)?;
        input.extract_tensor_mut().1.fill(0.0);
        let found = {
            let outputs = self.session.run(ort::inputs![&input]).map_err(failed)?;
            dimensions(&outputs[0]).map_err(|reason| unfit(&self.path, reason))?
        };
        if found != expected {
            let reason = format!(
                "from {height} x {width} pixels it makes an output of {found:?}, where its contract promises {expected:?}"
            );
            return Err(unfit(&self.path, reason));
        }
        let mut output = Tensor::<f32>::new(&allocator, expected).map_err(failed)?;
        let mut binding = self.session.create_binding().map_err(failed)?;
        let bound = binding
            .bind_input(self.session.inputs()[0].name(), &input)
            .and_then(|()| binding.bind_output(self.session.outputs()[0].name(), &mut output));
        bound.map_err(failed)?;
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        self.tensors = Some(Tensors {
            shape,
            input,
            output,
            binding,
            options,
        });
        self.run().map(drop)
    }

    /// The network's input, \[channels, height, width\], to be filled before [`run`](Self::run).
    /// Empty before [`shape`](Self::shape).
    pub fn input(&mut self) -> &mut [f32] {
        match &mut self.tensors {
            Some(tensors) => tensors.input.extract_tensor_mut().1,
            None => &mut [],
        }
    }

    /// Runs the network on its input and returns what came out, \[outputs, height, width\].
    pub fn run(&mut self) -> Result<&[f32], ModelError> {
        let path = &self.path;
        let failed = |error: ort::Error| run_error(path, &error);
        let Some(tensors) = &mut self.tensors else {
            return Err(ModelError::Run {
                path: path.clone(),
                reason: "it has not been given a shape".into(),
            });
        };
        if self.provider != Provider::Cpu {
            // A device has a copy of the input, made when it is bound.
            tensors
                .binding
                .bind_input(self.session.inputs()[0].name(), &tensors.input)
                .map_err(failed)?;
        }
        self.session
            .run_binding_with_options(&tensors.binding, &tensors.options)
            .map_err(failed)?;
        Ok(tensors.output.extract_tensor().1)
    }
}

/// Reads a model file, once and whole; only a regular one, so that a pipe can't hold up a pipeline.
fn read(path: &Path) -> Result<Bytes, ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let metadata = path.metadata().map_err(io)?;
    let size = metadata.len();
    let path_buf = || path.to_owned();
    if !metadata.is_file() {
        let what = match metadata.is_dir() {
            true => "a directory",
            false => "a pipe, socket or device",
        };
        return Err(ModelError::NotAFile {
            path: path_buf(),
            what,
        });
    }
    if size > LARGEST {
        return Err(ModelError::TooLarge {
            path: path_buf(),
            size,
        });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    // One byte more than allowed shows a file that has grown since.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 {
        0 => Err(ModelError::Empty { path: path_buf() }),
        size if size > LARGEST => Err(ModelError::TooLarge {
            path: path_buf(),
            size,
        }),
        _ => Ok(bytes.into()),
    }
}

/// Parses the bytes of an ONNX file. The weights are not copied.
fn parse(path: &Path, bytes: &Bytes) -> Result<onnx::Model, ModelError> {
    // Every ONNX file starts with its first field, the version of the format.
    const FORMAT_VERSION: u8 = 0x08;
    let model = onnx::Model::decode(bytes.clone()).map_err(|error| match bytes.first() {
        Some(&FORMAT_VERSION) => ModelError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        _ => ModelError::NotOnnx {
            path: path.to_owned(),
        },
    })?;
    if model.ir_version == 0 || model.graph.is_none() {
        return Err(ModelError::NotOnnx {
            path: path.to_owned(),
        });
    }
    Ok(model)
}

/// Loads the model on the provider that was asked for, or the first that takes it.
fn start(
    path: &Path,
    bytes: &[u8],
    environment: &Environment,
    options: &Options,
    refused: &mut Vec<ModelError>,
) -> Result<(Session, Provider), ModelError> {
    let only = [options.provider];
    let candidates: &[Provider] = match options.provider {
        Provider::Auto => &Provider::AUTO,
        _ => &only,
    };
    for &provider in candidates {
        if !provider.is_built_in() {
            if options.provider == provider {
                let library = library::loaded().unwrap_or_default();
                return Err(ModelError::Provider {
                    provider,
                    reason: format!(
                        "the ONNX Runtime in {} was built without it",
                        library.display()
                    ),
                });
            }
            continue;
        }
        match session(bytes, environment, options, provider) {
            Ok(session) => return Ok((session, provider)),
            Err(error) if provider == Provider::Cpu => {
                return Err(ModelError::Load {
                    path: path.to_owned(),
                    reason: error.to_string(),
                });
            }
            Err(error) => {
                let error = ModelError::Provider {
                    provider,
                    reason: error.to_string(),
                };
                if options.provider == provider {
                    return Err(error);
                }
                refused.push(error);
            }
        }
    }
    Err(ModelError::Load {
        path: path.to_owned(),
        reason: "no execution provider takes it".into(),
    })
}

fn session(
    bytes: &[u8],
    environment: &Environment,
    options: &Options,
    provider: Provider,
) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?
        .with_no_environment_execution_providers()?
        // Spinning threads would keep a core busy between the frames of a camera.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?;
    if options.threads > 0 {
        builder = builder.with_intra_threads(options.threads)?;
    }
    if let Some(dispatch) = provider.dispatch(options.device) {
        builder = builder
            .with_execution_providers([dispatch])?
            .with_disable_cpu_fallback()?;
    }
    builder.commit_from_memory(bytes)
}

/// Input and output of a network, as its file declares them.
pub(super) struct Network {
    pub channels: usize,
    /// Output channels, where the file fixes them.
    pub outputs: Option<usize>,
    /// Height and width, where the file fixes them.
    pub fixed: Option<(usize, usize)>,
}

impl Network {
    fn of(session: &Session) -> Result<Network, String> {
        let [input] = session.inputs() else {
            return Err(format!(
                "it has {} inputs, and one picture is all there is to give",
                session.inputs().len()
            ));
        };
        let output = session.outputs().first().ok_or("it has no output")?;
        let (input, output) = (shape_of(input, "input")?, shape_of(output, "output")?);
        let channels = extent(input[1]).filter(|n| matches!(n, 1 | 3)).ok_or_else(|| {
            format!(
                "its input has {} channels, where 1 (grey) or 3 (red, green, blue) are possible",
                count(input[1])
            )
        })?;
        if extent(input[0]).is_some_and(|batch| batch != 1) {
            return Err(format!("it takes batches of {} pictures only", input[0]));
        }
        let fixed = match (extent(input[2]), extent(input[3])) {
            (Some(height), Some(width)) => Some((height, width)),
            (None, None) => None,
            _ => return Err("it fixes one of height and width, and leaves the other open".into()),
        };
        Ok(Network {
            channels,
            outputs: extent(output[1]),
            fixed,
        })
    }

    fn agrees_with(&self, contract: &Contract) -> Result<(), String> {
        let promised = contract.channels.count();
        if self.channels != promised {
            return Err(format!(
                "its input has {} channels, and its contract promises {promised}",
                self.channels
            ));
        }
        match self.outputs {
            Some(outputs) if outputs != contract.outputs() => Err(format!(
                "it has {outputs} output channels, and its contract promises {}",
                contract.outputs()
            )),
            _ => Ok(()),
        }
    }
}

/// The four declared dimensions of an input or output of floats; -1 for an open one.
fn shape_of(outlet: &Outlet, what: &str) -> Result<[i64; 4], String> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("its {what} is not a tensor"));
    };
    if *ty != TensorElementType::Float32 {
        return Err(format!(
            "its {what} holds {ty} values, where float32 is needed"
        ));
    }
    <[i64; 4]>::try_from(&shape[..]).map_err(|_| {
        format!(
            "its {what} has {} dimensions, where 4 are needed: batch, channels, height, width",
            shape.len()
        )
    })
}

/// A declared length, unless it is left open.
fn extent(declared: i64) -> Option<usize> {
    usize::try_from(declared).ok().filter(|n| *n > 0)
}

fn count(declared: i64) -> String {
    extent(declared).map_or("an open number of".into(), |n| n.to_string())
}

/// The real dimensions of an output.
pub(super) fn dimensions(value: &ort::value::DynValue) -> Result<Vec<usize>, String> {
    match value.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32,
            shape,
            ..
        } => Ok(shape
            .iter()
            .map(|n| usize::try_from(*n).unwrap_or(0))
            .collect()),
        other => Err(format!(
            "its output is {other}, where a tensor of float32 is needed"
        )),
    }
}

fn unfit(path: &Path, reason: String) -> ModelError {
    ModelError::Unfit {
        path: path.to_owned(),
        reason,
    }
}

fn run_error(path: &Path, error: &ort::Error) -> ModelError {
    ModelError::Run {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn name_of(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
