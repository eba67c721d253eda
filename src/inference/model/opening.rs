//! From a file to a model: what is read, checked, started and found out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Model, Options};
use crate::bioimageio::Description;
use crate::contract::{Contract, METADATA_KEY};
use crate::inference::error::{ModelError, lost, run_error, unfit};
use crate::inference::file::{self, ModelFile, Reader};
use crate::inference::network::Network;
use crate::inference::shared::{self, Found, Key, SharedSession};
use crate::inference::stopping::process_exit::{self, OnEnd};
use crate::inference::stopping::{Stopper, time_limit};
use crate::inference::{library, probe, session};
use crate::onnx::{self, Graph, survey::Survey};

impl Model {
    /// Opens the model in the file `path`, with the contract that it carries or one that is found
    /// out by trying.
    ///
    /// # Errors
    /// Where the file can't be read or could do harm, ONNX Runtime or the provider does not take the model, it is not
    /// one that segments pictures, or [`Options::canceller`] ends it.
    pub fn open(path: &Path, options: &Options) -> Result<Model, ModelError> {
        let stopped = || options.canceller.is_cancelled();
        let reader = Reader {
            path,
            stopped: &stopped,
        };
        let read = reader.read(options.allow_external_data)?;
        let hash_of_all = reader.hash_of_all(&read)?;
        let _inside = process_exit::enter().ok_or_else(|| lost(path))?;
        let canceller = options.canceller.clone();
        let _on_end = OnEnd::new(move || canceller.cancel());
        loop {
            match opened(path, &read, hash_of_all, options) {
                // By now there is another session to share, or none.
                Err(ModelError::SharedFault { .. }) => (),
                done => return done,
            }
        }
    }
}

/// The model that was `read` from the file `path`, in a session that others may have made.
fn opened(
    path: &Path,
    read: &ModelFile,
    hash_of_all: [u8; 32],
    options: &Options,
) -> Result<Model, ModelError> {
    let stopped = || options.canceller.is_cancelled();
    let session = shared_session((path, read), hash_of_all, options)?;
    let stopper = Stopper::new().map_err(|error| run_error(path, &error))?;
    let network = session
        .with(stopped, |session| Network::of(session))
        .map_err(|refusal| match stopped() {
            true => ended(path),
            false => refusal.error(path),
        })?
        .map_err(|reason| unfit(path, reason))?;
    let nothing = Graph::default();
    let graph = read.model.graph.as_ref().unwrap_or(&nothing);
    let survey = onnx::survey::survey(graph, network.channels);
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
            let end = stopper.clone();
            let probe = || probed(path, &session, &network, &survey, &stopper);
            let contract = options.canceller.during(move || end.stop(), probe)?;
            completed(path, contract, read.description.as_ref())?
        }
    };
    network
        .agrees_with(&contract)
        .and_then(|()| survey.agrees_with(&contract))
        .map_err(|reason| unfit(path, reason))?;
    Ok(Model {
        path: path.to_owned(),
        session,
        has_failed: AtomicBool::new(false),
        hash: read.hash,
        contract,
        described: carried.is_some(),
        survey,
        batches: network.batches,
        stopper,
        tensors: Vec::new(),
    })
}

/// The session of a model that others have opened in the same way, or a new one.
fn shared_session(
    (path, read): (&Path, &ModelFile),
    hash_of_all: [u8; 32],
    options: &Options,
) -> Result<Arc<SharedSession>, ModelError> {
    options.check()?;
    let environment = library::environment(&options.library)?;
    let stopped = || options.canceller.is_cancelled();
    if stopped() {
        return Err(ended(path));
    }
    let making = match Key::new(hash_of_all, options) {
        Some(key) => match shared::find_or_make(&key, stopped) {
            Some(Found::Made(session)) => return Ok(session),
            Some(Found::Yours(making)) => Some(making),
            None => return Err(ended(path)),
        },
        None => None,
    };
    let started = session::start(path, read, &environment, options)?;
    let session = Arc::new(SharedSession::new(started));
    if let Some(making) = making {
        making.done(&session);
    }
    Ok(session)
}

/// A contract that was found out by trying, with what the description of a package knows better.
fn completed(
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

/// The error of a model whose opening was ended.
fn ended(path: &Path) -> ModelError {
    ModelError::Stopped {
        path: path.to_owned(),
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
    let options = &*stopper.options;
    let stopped = || stopper.is_stopped();
    let provider = session.provider;
    let found = session.with(stopped, |session| {
        time_limit::in_time((path, provider), stopper, || {
            probe::contract(session, options, network, survey, &file::stem(path))
                .map_err(|reason| unfit(path, reason))
        })
    });
    match found {
        Ok(Err(_)) | Err(_) if stopped() => Err(ended(path)),
        Ok(contract) => contract,
        Err(refusal) => Err(refusal.error(path)),
    }
}
