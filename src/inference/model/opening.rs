//! Opening a model: its file is read and checked, a session is started, and a missing contract is probed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Model, Options};
use crate::bioimageio::Description;
use crate::contract::{Contract, METADATA_KEY};
use crate::inference::error::{ModelError, lost, run_error, unfit};
use crate::inference::file::{self, ModelFile, Reader};
use crate::inference::shared::{self, Lookup, SessionKey, SharedSession};
use crate::inference::signature::Signature;
use crate::inference::stopping::process_exit::{self, OnExit};
use crate::inference::stopping::{Stopper, time_limit};
use crate::inference::{library, probe, session};
use crate::onnx::{self, Graph, survey::Survey};

impl Model {
    /// Opens the model in the file `path`, with the contract that it carries or one that is found by probing.
    ///
    /// # Errors
    /// If the file can't be read or could do harm, ONNX Runtime or the provider rejects the model, it does not segment
    /// pictures, or [`Options::canceller`] ends the opening.
    pub fn open(path: &Path, options: &Options) -> Result<Model, ModelError> {
        let stopped = || options.canceller.is_cancelled();
        let reader = Reader {
            path,
            stopped: &stopped,
        };
        let read = reader.read(options.allow_external_data)?;
        let hash_of_all = reader.hash_of_all(&read)?;
        let _guard = process_exit::enter().ok_or_else(|| lost(path))?;
        let canceller = options.canceller.clone();
        let _on_exit = OnExit::new(move || canceller.cancel());
        loop {
            match open_in_session(path, &read, hash_of_all, options) {
                // The failed session is not shared any more: try again with another one.
                Err(ModelError::SharedFault { .. }) => (),
                result => return result,
            }
        }
    }
}

/// The model that was `read` from the file `path`, in a session that other models may share.
fn open_in_session(
    path: &Path,
    read: &ModelFile,
    hash_of_all: [u8; 32],
    options: &Options,
) -> Result<Model, ModelError> {
    let stopped = || options.canceller.is_cancelled();
    let session = shared_session((path, read), hash_of_all, options)?;
    let stopper = Stopper::new().map_err(|error| run_error(path, &error))?;
    let signature = session
        .with(stopped, |session| Signature::of(session))
        .map_err(|error| {
            if stopped() {
                cancelled(path)
            } else {
                error.for_model(path)
            }
        })?
        .map_err(|reason| unfit(path, reason))?;
    let nothing = Graph::default();
    let graph = read.model.graph.as_ref().unwrap_or(&nothing);
    let survey = onnx::survey::survey(graph, signature.channels);
    let mut entries = read.model.metadata_props.iter();
    let carried = entries.find(|entry| entry.key == METADATA_KEY);
    let contract = match carried {
        Some(entry) => {
            Contract::from_json(&entry.value).map_err(|source| ModelError::Contract {
                path: path.to_owned(),
                source,
            })?
        }
        None => {
            let stopping = stopper.clone();
            let probe = || probe_contract(path, &session, &signature, &survey, &stopper);
            let contract = options.canceller.during(move || stopping.stop(), probe)?;
            with_description(path, contract, read.description.as_ref())?
        }
    };
    signature
        .agrees_with(&contract)
        .and_then(|()| survey.agrees_with(&contract))
        .map_err(|reason| unfit(path, reason))?;
    Ok(Model {
        path: path.to_owned(),
        session,
        has_failed: AtomicBool::new(false),
        hash: read.hash,
        hash_of_all,
        description: read.description.clone(),
        contract,
        carries_contract: carried.is_some(),
        survey,
        supports_batches: signature.dynamic_batch,
        stopper,
        tensors: Vec::new(),
    })
}

/// The session of a model that was opened in the same way, or a new one.
fn shared_session(
    (path, read): (&Path, &ModelFile),
    hash_of_all: [u8; 32],
    options: &Options,
) -> Result<Arc<SharedSession>, ModelError> {
    options.check()?;
    let environment = library::environment(&options.library)?;
    let stopped = || options.canceller.is_cancelled();
    if stopped() {
        return Err(cancelled(path));
    }
    let reservation = match SessionKey::new(hash_of_all, options) {
        Some(key) => match shared::find_or_reserve(&key, stopped) {
            Some(Lookup::Existing(session)) => return Ok(session),
            Some(Lookup::Reserved(reservation)) => Some(reservation),
            None => return Err(cancelled(path)),
        },
        None => None,
    };
    let new = session::start(path, read, &environment, options)?;
    let session = Arc::new(SharedSession::new(new));
    if let Some(reservation) = reservation {
        reservation.fulfil(&session);
    }
    Ok(session)
}

/// A contract that was found by probing, with the corrections in the description of a package.
fn with_description(
    path: &Path,
    mut contract: Contract,
    description: Option<&Description>,
) -> Result<Contract, ModelError> {
    if let Some(description) = description {
        let completed = description.complete(&mut contract);
        completed.map_err(|source| ModelError::Package {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
    }
    Ok(contract)
}

/// The error of a model whose opening was cancelled.
fn cancelled(path: &Path) -> ModelError {
    ModelError::Stopped {
        path: path.to_owned(),
    }
}

/// Probes the contract of a model that carries none, within the time limit of a first run.
fn probe_contract(
    path: &Path,
    session: &SharedSession,
    signature: &Signature,
    survey: &Survey,
    stopper: &Stopper,
) -> Result<Contract, ModelError> {
    let options = &*stopper.options;
    let stopped = || stopper.is_stopped();
    let provider = session.provider;
    let probed = session.with(stopped, |session| {
        time_limit::in_time((path, provider), stopper, || {
            probe::contract(session, options, signature, survey, &file::stem(path))
                .map_err(|reason| unfit(path, reason))
        })
    });
    match probed {
        Ok(Err(_)) | Err(_) if stopped() => Err(cancelled(path)),
        Ok(contract) => contract,
        Err(error) => Err(error.for_model(path)),
    }
}
