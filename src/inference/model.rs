//! An opened model, which runs on tensors that are allocated once.

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
use super::shared::{self, SharedSession, TurnError};
use super::stopping::{Stopper, process_exit};
use crate::bioimageio::Description;
use crate::contract::Contract;
use crate::onnx::survey::Survey;

/// An opened model and, after [`shape`](Model::shape), its tensors.
pub struct Model {
    path: PathBuf,
    session: Arc<SharedSession>,
    /// Whether the session failed in a run of this model.
    has_failed: AtomicBool,
    hash: [u8; 32],
    hash_of_all: [u8; 32],
    description: Option<Description>,
    contract: Contract,
    carries_contract: bool,
    survey: Survey,
    supports_batches: bool,
    stopper: Stopper,
    /// Tensors of several shapes, the current ones last.
    tensors: Vec<Tensors>,
}

/// Input and output of one shape, bound to the session.
struct Tensors {
    shape: InputShape,
    outputs: usize,
    input: Tensor<f32>,
    output: Tensor<f32>,
    binding: IoBinding,
}

/// Batch size, height and width of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InputShape {
    batch: usize,
    height: usize,
    width: usize,
}

/// The purpose of a run, which decides how its failure is handled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To compute a mask.
    Frame,
    /// To find out whether the network accepts inputs of some shape; many networks don't accept all.
    Trial,
}

impl Drop for Model {
    /// Objects of ONNX Runtime can't be freed once it is torn down.
    fn drop(&mut self) {
        if process_exit::is_exiting() {
            mem::forget(mem::take(&mut self.tensors));
            mem::forget((self.session.clone(), self.stopper.clone()));
        }
    }
}

impl Model {
    /// The contract that the file carries, or that was found by probing.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Whether the file carries its contract, instead of having been probed.
    pub fn carries_contract(&self) -> bool {
        self.carries_contract
    }

    /// Facts derived from the graph.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The provider that the model runs on; never [`Provider::Auto`].
    pub fn provider(&self) -> Provider {
        self.session.provider
    }

    /// Its name; that of a [plug-in provider](Provider::Plugin) comes from its library, and that of the CPU tells
    /// whether this project computes its convolutions.
    pub fn provider_name(&self) -> &str {
        let plugin = self.session.plugin.as_deref();
        plugin.unwrap_or(if self.session.winograd {
            "cpu, winograd"
        } else {
            self.session.provider.name()
        })
    }

    /// The providers that [`Provider::Auto`] tried before and that rejected the model, each with the reason.
    pub fn refused(&self) -> &[ModelError] {
        &self.session.refused
    }

    /// Stops its runs from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Output channels of the network; 0 before [`shape`](Self::shape).
    pub fn outputs(&self) -> usize {
        self.tensors.last().map_or(0, |tensors| tensors.outputs)
    }

    /// Whether each new input shape costs a compilation, which may take minutes.
    pub fn compiles_shapes(&self) -> bool {
        match self.session.provider {
            // The plug-in providers that are known not to do so.
            Provider::Plugin => !["webgpu", "cuda"]
                .iter()
                .any(|known| self.provider_name().to_ascii_lowercase().contains(known)),
            provider => provider.compiles_shapes(),
        }
    }

    /// Whether it takes several pictures at once, according to its file.
    pub fn supports_batches(&self) -> bool {
        self.supports_batches
    }

    /// Calls `work` with the session, once it is this model's turn.
    fn with_session<R>(
        &self,
        purpose: Purpose,
        work: impl FnOnce(&mut Session) -> Result<R, ModelError>,
    ) -> Result<R, ModelError> {
        let stopped = || self.stopper.is_stopped();
        let result = self.session.with(stopped, |session| {
            work(session).inspect_err(|error| self.handle_failure(error, purpose))
        });
        match result {
            Ok(Err(ModelError::Run { .. })) | Err(_) if stopped() => Err(ModelError::Stopped {
                path: self.path.clone(),
            }),
            Ok(result) => result,
            Err(error) => Err(self.turn_error(error)),
        }
    }

    /// Handles the failure of a run, while this model holds the session. After a fault the state of the session is
    /// unknown; a lack of memory leaves it intact.
    fn handle_failure(&self, error: &ModelError, purpose: Purpose) {
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

    /// The error of a turn that was not granted.
    fn turn_error(&self, error: TurnError) -> ModelError {
        match error {
            TurnError::Failed if self.has_failed.load(Ordering::Relaxed) => ModelError::Run {
                path: self.path.clone(),
                reason: "its session has failed before".into(),
            },
            error => error.for_model(&self.path),
        }
    }

    /// Whether both models take turns on the same session.
    pub fn shares_session_with(&self, other: &Model) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    /// Whether both were opened from the same content, in all files that belong to them.
    pub fn has_content_of(&self, other: &Model) -> bool {
        self.hash_of_all == other.hash_of_all && self.description == other.description
    }

    /// SHA-256 of the ONNX file, without weights in other files and without the description of its package.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The model's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The network's input, \[batch, channels, height, width\], to be filled before [`run`](Self::run);
    /// empty before [`shape`](Self::shape).
    pub fn input(&mut self) -> &mut [f32] {
        match self.tensors.last_mut() {
            Some(tensors) => tensors.input.extract_tensor_mut().1,
            None => &mut [],
        }
    }

    /// Runs the network on its input and returns its scores, \[batch, outputs, height, width\].
    ///
    /// # Errors
    /// If the run fails, or scores are not finite. After that neither this model nor one that
    /// [shares its session](Self::shares_session_with) can run until it is opened again, unless memory ran out.
    pub fn run(&mut self) -> Result<&[f32], ModelError> {
        self.run_for(Purpose::Frame)
    }

    fn run_for(&mut self, purpose: Purpose) -> Result<&[f32], ModelError> {
        self.rebind_input()?;
        let Some(tensors) = self.tensors.last() else {
            return Err(ModelError::Run {
                path: self.path.clone(),
                reason: "no input shape has been set".into(),
            });
        };
        self.with_session(purpose, |session| {
            session
                .run_binding_with_options(&tensors.binding, &self.stopper.options)
                .map(drop)
                .map_err(|error| run_error(&self.path, &error))?;
            // Checked before the turn ends, so that no other model runs a session whose results are not finite.
            if are_finite(tensors.output.extract_tensor().1) {
                Ok(())
            } else {
                Err(ModelError::NotFinite {
                    path: self.path.clone(),
                })
            }
        })?;
        Ok(tensors.output.extract_tensor().1)
    }

    /// Binds the input again, if it is on another device: that has a copy, made when the input is bound.
    fn rebind_input(&mut self) -> Result<(), ModelError> {
        match self.tensors.last_mut() {
            Some(tensors) if self.session.provider != Provider::Cpu => tensors
                .binding
                .bind_input(&self.session.input, &tensors.input)
                .map_err(|error| run_error(&self.path, &error)),
            _ => Ok(()),
        }
    }
}

/// Whether all values are finite: no exponent has all bits set. Taking the maximum of all values vectorises.
fn are_finite(values: &[f32]) -> bool {
    const INFINITE: u32 = 0x7f80_0000;
    let largest = values.iter().fold(0, |largest: u32, value| {
        largest.max(value.to_bits() & 0x7fff_ffff)
    });
    largest < INFINITE
}
