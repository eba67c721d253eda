//! A model that was opened, and runs on tensors that are made once.

mod opening;
mod shaping;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::error::{ModelError, run_error};
use super::options::Options;
use super::provider::Provider;
use super::shared::{self, NoTurn, SharedSession};
use super::stopping::{Stopper, process_exit};
use crate::contract::Contract;
use crate::onnx::survey::Survey;

/// An opened model with, once [shaped](Model::shape), its tensors.
pub struct Model {
    path: PathBuf,
    session: Arc<SharedSession>,
    /// Whether it was this model that the session has failed for.
    has_failed: AtomicBool,
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

/// What a run is for, by which its failure is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A mask.
    Frame,
    /// To find out whether the network takes inputs of some shape, which many do not.
    Trial,
}

impl Drop for Model {
    /// What ONNX Runtime has made can't be given back to it once it is taken down.
    fn drop(&mut self) {
        if process_exit::is_ending() {
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

    /// The providers that [`Provider::Auto`] tried before and that refused the model, each with its reason.
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
        purpose: Purpose,
        work: impl FnOnce(&mut Session) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        let stopped = || self.stopper.is_stopped();
        let done = self.session.with(stopped, |session| {
            work(session).inspect_err(|error| self.meet_failure(error, purpose))
        });
        match done {
            Ok(Err(ModelError::Run { .. })) | Err(_) if stopped() => Err(ModelError::Stopped {
                path: self.path.clone(),
            }),
            Ok(result) => result,
            Err(refusal) => Err(self.without_turn(refusal)),
        }
    }

    /// Takes in the failure of a run, in its turn. After a fault what is left of the session can't be told; a lack of
    /// memory leaves it as it was.
    fn meet_failure(&self, error: &ModelError, purpose: Purpose) {
        let is_fault = match error {
            ModelError::NotFinite { .. } => true,
            ModelError::Run { .. } => !self.stopper.is_stopped() && !error.is_out_of_memory(),
            _ => false,
        };
        match purpose {
            Purpose::Frame if is_fault => {
                self.has_failed.store(true, Ordering::Relaxed);
                self.session.fail();
            }
            Purpose::Trial if is_fault => shared::withdraw(&self.session),
            _ => (),
        }
    }

    /// The error where the session gives no turn.
    fn without_turn(&self, refusal: NoTurn) -> ModelError {
        match refusal {
            NoTurn::Failed if self.has_failed.load(Ordering::Relaxed) => ModelError::Run {
                path: self.path.clone(),
                reason: "its session has failed before".into(),
            },
            refusal => refusal.error(&self.path),
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

    /// Runs the network on its input and returns its scores, \[batch, outputs, height, width\].
    ///
    /// # Errors
    /// Where ONNX Runtime ends the run with an error, or scores are not finite. After that neither this model nor one
    /// that [shares its session](Self::shares_session_with) runs again until it is opened anew, unless memory was short.
    pub fn run(&mut self) -> Result<&[f32], ModelError> {
        self.run_for(Purpose::Frame)
    }

    fn run_for(&mut self, purpose: Purpose) -> Result<&[f32], ModelError> {
        self.hand_over_input()?;
        let Some(tensors) = self.tensors.last() else {
            return Err(ModelError::Run {
                path: self.path.clone(),
                reason: "it has not been given a shape".into(),
            });
        };
        self.in_turn(purpose, |session| {
            session
                .run_binding_with_options(&tensors.binding, &self.stopper.options)
                .map(drop)
                .map_err(|error| run_error(&self.path, &error))?;
            // It is looked at before the turn ends, so that no other model runs a session that makes no numbers.
            match are_finite(tensors.output.extract_tensor().1) {
                true => Ok(()),
                false => Err(ModelError::NotFinite {
                    path: self.path.clone(),
                }),
            }
        })?;
        Ok(tensors.output.extract_tensor().1)
    }

    /// Gives the input to the device, which has a copy of it, made when it is bound.
    fn hand_over_input(&mut self) -> Result<(), ModelError> {
        match self.tensors.last_mut() {
            Some(tensors) if self.session.provider != Provider::Cpu => tensors
                .binding
                .bind_input(&self.session.input, &tensors.input)
                .map_err(|error| run_error(&self.path, &error)),
            _ => Ok(()),
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
