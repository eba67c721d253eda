//! Opening a model file and running it on tensors that are made once.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::Tensor;

use super::canceller::Canceller;
use super::ending::{self, OnEnd};
use super::error::{ModelError, lost, run_error, unfit};
use super::file::{self, Reader};
use super::library::{self, Search};
use super::memory;
use super::network::{Network, dimensions, promised_outputs};
use super::probe;
use super::provider::Provider;
use super::session;
use super::shared::{self, Key, SharedSession};
use super::stopper::Stopper;
use super::watchdog::{self, Watchdog};
use crate::contract::{Contract, METADATA_KEY};
use crate::onnx::{self, survey::Survey};

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
    /// Library of an execution provider that the runtime was not built with, to be used instead.
    pub ep_library: Option<PathBuf>,
    /// Options for the provider, by its own names; they come before ours.
    pub provider_options: Vec<(String, String)>,
    /// Whether weights may lie in files beside the model.
    pub allow_external_data: bool,
    /// Folder for what a provider compiles, so that the next start need not.
    pub cache: Option<PathBuf>,
    /// Ends the opening from another thread.
    pub canceller: Canceller,
}

impl Options {
    /// Whether they contradict each other; makes the folder of the cache.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let wrong = |reason: &str| ModelError::Options {
            reason: reason.into(),
        };
        if self.ep_library.is_some() && self.provider != Provider::Auto {
            return Err(wrong(&format!(
                "the library of ep-library brings a provider of its own, and execution-provider={} asks for another: leave it at auto",
                self.provider
            )));
        }
        let nobody_takes_them = match self.provider {
            Provider::Auto => self.ep_library.is_none(),
            named => !named.takes_options(),
        };
        if nobody_takes_them && !self.provider_options.is_empty() {
            return Err(wrong(&format!(
                "nobody takes provider-options: they are for one provider, and {} has none. Set execution-provider to the one they are meant for",
                self.provider
            )));
        }
        let Some(cache) = &self.cache else {
            return Ok(());
        };
        std::fs::create_dir_all(cache).map_err(|error| {
            wrong(&format!(
                "can't make the folder of cache-directory, {}: {error}",
                cache.display()
            ))
        })
    }
}

/// An opened model with, once [shaped](Model::shape), its tensors.
pub struct Model {
    path: PathBuf,
    session: Arc<SharedSession>,
    hash: [u8; 32],
    contract: Contract,
    described: bool,
    survey: Survey,
    batches: bool,
    refused: Vec<ModelError>,
    stopper: Stopper,
    /// Tensors of several shapes, those in use last.
    tensors: Vec<Tensors>,
}

/// Shapes that tensors are kept of.
const SHAPES: usize = 24;

/// Input and output of one shape, bound to the session.
struct Tensors {
    shape: Shape,
    outputs: usize,
    /// How long the run took that was made to see what comes out.
    trial: Duration,
    input: Tensor<f32>,
    output: Tensor<f32>,
    binding: IoBinding,
}

/// Pictures, height and width of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    batch: usize,
    height: usize,
    width: usize,
}

impl Drop for Model {
    /// What ONNX Runtime has made can't be given back to it once it is taken down.
    fn drop(&mut self) {
        if ending::is_ending() {
            mem::forget(mem::take(&mut self.tensors));
            mem::forget((self.session.clone(), self.stopper.clone()));
        }
    }
}

impl Model {
    /// Opens the model in the file `path`, with the contract that it carries or one that is found
    /// out by trying.
    pub fn open(path: &Path, options: &Options) -> Result<Model, ModelError> {
        let stopped = || options.canceller.is_cancelled();
        let reader = Reader {
            path,
            stopped: &stopped,
        };
        let read = reader.read(options.allow_external_data)?;
        let hash_of_all = reader.hash_of_all(&read)?;
        let _inside = ending::enter().ok_or_else(|| lost(path))?;
        let canceller = options.canceller.clone();
        let _on_end = OnEnd::new(move || canceller.cancel());
        let environment = library::environment(&options.library)?;
        let mut refused = Vec::new();
        if stopped() {
            return Err(ModelError::Stopped {
                path: path.to_owned(),
            });
        }
        let key = Key::new(hash_of_all, options);
        let session = match key.as_ref().and_then(shared::find) {
            Some(found) => found,
            None => {
                let started = session::start(path, &read, &environment, options, &mut refused)?;
                let session = Arc::new(SharedSession::new(started));
                if let Some(key) = key {
                    shared::offer(key, &session);
                }
                session
            }
        };
        let stopper = Stopper::new().map_err(|error| run_error(path, &error))?;
        let network = session
            .with(stopped, |session| Network::of(session))
            .ok_or_else(|| stopped_or_lost(path, stopped()))?
            .map_err(|reason| unfit(path, reason))?;
        let graph = read.model.graph.unwrap_or_default();
        let survey = onnx::survey::survey(&graph, network.channels);
        let carried = read
            .model
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
            None => {
                let end = stopper.clone();
                let mut contract = options.canceller.during(
                    move || end.stop(),
                    || probed(path, &session, &network, &survey, &stopper),
                )?;
                if let Some(description) = &read.description {
                    let completed = description.complete(&mut contract);
                    completed.map_err(|source| ModelError::Package {
                        path: path.to_owned(),
                        source: Box::new(source),
                    })?;
                }
                contract
            }
        };
        network
            .agrees_with(&contract)
            .and_then(|()| survey.agrees_with(&contract))
            .map_err(|reason| unfit(path, reason))?;
        Ok(Model {
            path: path.to_owned(),
            session,
            hash: read.hash,
            contract,
            described: carried.is_some(),
            survey,
            batches: network.batches,
            refused,
            stopper,
            tensors: Vec::new(),
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
        self.session.provider
    }

    /// Its name: for a provider of a library of its own, the one that it has there.
    pub fn provider_name(&self) -> &str {
        let plugin = self.session.plugin.as_deref();
        plugin.unwrap_or(self.session.provider.name())
    }

    /// The providers that [`Provider::Auto`] tried in vain before, each with its reason.
    pub fn refused(&self) -> &[ModelError] {
        &self.refused
    }

    /// Ends its runs from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Output channels of the network; 0 before [`shape`](Self::shape).
    pub fn outputs(&self) -> usize {
        self.tensors.last().map_or(0, |tensors| tensors.outputs)
    }

    /// How long a run takes, as far as one on a black picture tells; 0 before [`shape`](Self::shape).
    pub fn trial(&self) -> Duration {
        self.tensors
            .last()
            .map_or(Duration::ZERO, |tensors| tensors.trial)
    }

    /// Makes tensors for inputs of `height` x `width` pixels and runs the network once, so that
    /// everything it allocates for this shape is there, and what comes out has the promised shape and
    /// is made of numbers. Shapes that were asked for before are still there, but for the oldest where they
    /// are many; see [`forget_shapes`](Self::forget_shapes).
    pub fn shape(&mut self, height: usize, width: usize) -> Result<(), ModelError> {
        self.shape_of_batch(1, height, width)
    }

    /// Whether it takes several pictures at once, as far as its file declares.
    pub fn batches(&self) -> bool {
        self.batches
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
        if let Some(at) = self
            .tensors
            .iter()
            .position(|tensors| tensors.shape == shape)
        {
            self.tensors[at..].rotate_left(1);
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
                dimensions(&outputs[0]).map_err(|reason| unfit(&self.path, reason))
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

    /// What `work` makes of the session, once it is this model's turn.
    fn in_turn<R>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        let stopped = || self.stopper.is_stopped();
        match self.session.with(stopped, work) {
            Some(Err(ModelError::Run { .. })) | None if stopped() => Err(ModelError::Stopped {
                path: self.path.clone(),
            }),
            Some(result) => {
                if matches!(result, Err(ModelError::Run { .. })) {
                    // Nobody can tell what is left of it.
                    shared::withdraw(&self.session);
                }
                result
            }
            None => Err(lost(&self.path)),
        }
    }

    /// Whether both run the same session, in turns.
    pub fn shares_session_with(&self, other: &Model) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    /// SHA-256 of the file.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// The network's input, \[batch, channels, height, width\], to be filled before [`run`](Self::run).
    /// Empty before [`shape`](Self::shape).
    pub fn input(&mut self) -> &mut [f32] {
        match self.tensors.last_mut() {
            Some(tensors) => tensors.input.extract_tensor_mut().1,
            None => &mut [],
        }
    }

    /// Runs the network on its input and returns what came out, \[batch, outputs, height, width\].
    pub fn run(&mut self) -> Result<&[f32], ModelError> {
        let path = &self.path;
        let failed = |error: ort::Error| run_error(path, &error);
        let Some(tensors) = self.tensors.last_mut() else {
            return Err(ModelError::Run {
                path: path.clone(),
                reason: "it has not been given a shape".into(),
            });
        };
        if self.session.provider != Provider::Cpu {
            // A device has a copy of the input, made when it is bound.
            tensors
                .binding
                .bind_input(&self.session.input, &tensors.input)
                .map_err(failed)?;
        }
        let run = |session: &mut Session| {
            let ran = session.run_binding_with_options(&tensors.binding, &self.stopper.options);
            ran.map(drop)
        };
        let stopped = || self.stopper.is_stopped();
        match self.session.with(stopped, run) {
            Some(Ok(())) => (),
            Some(Err(error)) if !stopped() => {
                // Nobody can tell what is left of it.
                shared::withdraw(&self.session);
                return Err(failed(error));
            }
            _ if stopped() => return Err(ModelError::Stopped { path: path.clone() }),
            _ => return Err(lost(path)),
        }
        let scores = tensors.output.extract_tensor().1;
        match are_finite(scores) {
            true => Ok(scores),
            false => {
                // What makes no numbers may be in the session, as where a device has lost its weights.
                shared::withdraw(&self.session);
                Err(ModelError::NotFinite { path: path.clone() })
            }
        }
    }
}

/// Whether all values are finite: the exponent of none has all bits set. The largest one is looked for, which
/// takes several values at a time.
fn are_finite(values: &[f32]) -> bool {
    const INFINITE: u32 = 0x7f80_0000;
    let largest = values.iter().fold(0, |largest: u32, value| {
        largest.max(value.to_bits() & 0x7fff_ffff)
    });
    largest < INFINITE
}

/// The error of whoever got no turn.
fn stopped_or_lost(path: &Path, stopped: bool) -> ModelError {
    match stopped {
        true => ModelError::Stopped {
            path: path.to_owned(),
        },
        false => lost(path),
    }
}

/// The contract of a model that carries none, found out within the time that a first run may take.
fn probed(
    path: &Path,
    session: &SharedSession,
    network: &Network,
    survey: &Survey,
    stopper: &Stopper,
) -> Result<Contract, ModelError> {
    let limit = watchdog::limit(session.provider);
    let ends = stopper.clone();
    let watchdog = Watchdog::new(limit, move || ends.expire());
    let options = &*stopper.options;
    let stopped = || stopper.is_stopped();
    let found = session.with(stopped, |session| {
        probe::contract(session, options, network, survey, &file::stem(path))
    });
    match found {
        _ if watchdog.has_acted() => Err(ModelError::Slow {
            path: path.to_owned(),
            seconds: limit.as_secs(),
        }),
        Some(Ok(contract)) => Ok(contract),
        Some(Err(reason)) if !stopped() => Err(unfit(path, reason)),
        _ => Err(stopped_or_lost(path, stopped())),
    }
}
