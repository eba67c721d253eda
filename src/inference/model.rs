//! A model that was opened, and runs on tensors that are made once.

mod opening;
mod shaping;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::ending;
use super::error::{ModelError, lost, run_error};
use super::options::Options;
use super::provider::Provider;
use super::shared::{self, SharedSession};
use super::stopper::Stopper;
use crate::contract::Contract;
use crate::onnx::survey::Survey;

/// An opened model with, once [shaped](Model::shape), its tensors.
pub struct Model {
    path: PathBuf,
    session: Arc<SharedSession>,
    hash: [u8; 32],
    contract: Contract,
    described: bool,
    survey: Survey,
    batches: bool,
    stopper: Stopper,
    /// Tensors of several shapes, those in use last.
    tensors: Vec<Tensors>,
}

/// Input and output of one shape, bound to the session.
struct Tensors {
    shape: Shape,
    outputs: usize,
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
        &self.session.refused
    }

    /// Ends its runs from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Output channels of the network; 0 before [`shape`](Self::shape).
    pub fn outputs(&self) -> usize {
        self.tensors.last().map_or(0, |tensors| tensors.outputs)
    }

    /// Whether each shape that it is shown costs a compilation, which may take minutes.
    pub fn compiles_shapes(&self) -> bool {
        match self.session.provider {
            // Of what libraries of their own bring, those are known that compile nothing of that kind.
            Provider::Plugin => !["webgpu", "cuda"]
                .iter()
                .any(|known| self.provider_name().to_ascii_lowercase().contains(known)),
            provider => provider.compiles_shapes(),
        }
    }

    /// Whether it takes several pictures at once, as far as its file declares.
    pub fn batches(&self) -> bool {
        self.batches
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
