//! Sessions that models of a process share: sixteen cameras with one model hold its weights once, and take turns on
//! the cores instead of competing for them.

use std::collections::VecDeque;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use ort::session::Session;

use super::error::{ModelError, lost};
use super::options::{ConvolutionMethod, Options};
use super::provider::Provider;
use super::session::NewSession;
use super::stopping::process_exit;
use crate::lock::{lock, wait_timeout};

/// A session of one or more models, which use it one at a time, in the order of their requests.
pub(super) struct SharedSession {
    turns: Mutex<Turns>,
    changed: Condvar,
    /// Names of its input and output, which are needed while another model runs it, too.
    pub input: String,
    pub output: String,
    /// The provider that it runs on.
    pub provider: Provider,
    device: i32,
    /// Whether convolutions are computed by [Winograd's method](super::ConvolutionMethod::Winograd).
    pub winograd: bool,
    /// The name of a plug-in provider.
    pub plugin: Option<String>,
    /// The providers that were tried before and rejected the model, each with the reason.
    pub refused: Vec<ModelError>,
}

struct Turns {
    /// The session, unless a model is using it.
    session: Option<Session>,
    /// The tickets of the waiting models, in order.
    waiting: VecDeque<u64>,
    next: u64,
    /// Whether a panic has destroyed the session.
    lost: bool,
    /// Whether a run on a frame has failed, after which no masks can be trusted.
    failed: bool,
}

/// Why a model gets no turn on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnError {
    /// It was stopped while it waited.
    Stopped,
    /// A panic has destroyed the session, or the process is exiting.
    Lost,
    /// A run on a frame has [failed](SharedSession::fail).
    Failed,
}

impl TurnError {
    /// The error of the model in the file `path`, which has not failed itself.
    pub fn for_model(self, path: &Path) -> ModelError {
        let owned = || path.to_owned();
        match self {
            TurnError::Stopped => ModelError::Stopped { path: owned() },
            TurnError::Lost => lost(path),
            TurnError::Failed => ModelError::SharedFault { path: owned() },
        }
    }
}

/// Notifies the waiting models that the session is lost, if a panic drops this.
struct OnPanic<'a>(&'a SharedSession);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        self.0.lock().lost = true;
        self.0.changed.notify_all();
    }
}

/// How often a waiting model checks whether it was stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl SharedSession {
    /// A session that no model uses yet.
    pub fn new(new: NewSession) -> Self {
        let NewSession {
            session,
            provider,
            device,
            winograd,
            plugin,
            refused,
        } = new;
        let name = |outlet: Option<&ort::value::Outlet>| {
            outlet.map_or_else(String::new, |outlet| outlet.name().to_owned())
        };
        SharedSession {
            input: name(session.inputs().first()),
            output: name(session.outputs().first()),
            provider,
            device,
            winograd,
            plugin,
            refused,
            turns: Mutex::new(Turns {
                session: Some(session),
                waiting: VecDeque::with_capacity(16),
                next: 0,
                lost: false,
                failed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The name of the memory arena that ONNX Runtime keeps for feature maps and shrinks on request. `None` if each
    /// shape costs a compilation: the run that it takes to shrink it would be too expensive.
    pub fn arena(&self) -> Option<String> {
        match self.provider {
            Provider::Cpu => Some("cpu:0".to_owned()),
            Provider::Cuda => Some(format!("gpu:{}", self.device)),
            _ => None,
        }
    }

    /// Calls `work` with the session once it is this model's turn, with nothing locked; `stopped` ends the waiting.
    pub fn with<R>(
        &self,
        stopped: impl Fn() -> bool,
        work: impl FnOnce(&mut Session) -> R,
    ) -> Result<R, TurnError> {
        let mut session = self.take(stopped)?;
        let inside = process_exit::enter();
        let on_panic = OnPanic(self);
        let result = inside.is_some().then(|| work(&mut session));
        mem::forget(on_panic);
        drop(inside);
        self.lock().session = Some(session);
        self.changed.notify_all();
        result.ok_or(TurnError::Lost)
    }

    /// Grants no more turns: a run on a frame has failed, and the state of the session is unknown. To be called while
    /// the failed model holds the session, so that no other gets a turn in between.
    pub fn fail(&self) {
        self.lock().failed = true;
    }

    fn take(&self, stopped: impl Fn() -> bool) -> Result<Session, TurnError> {
        let mut turns = self.lock();
        let ticket = turns.next;
        turns.next += 1;
        turns.waiting.push_back(ticket);
        loop {
            if !turns.failed
                && turns.waiting.front() == Some(&ticket)
                && let Some(session) = turns.session.take()
            {
                turns.waiting.pop_front();
                return Ok(session);
            }
            let error = match (turns.failed, turns.lost) {
                (true, _) => Some(TurnError::Failed),
                (_, true) => Some(TurnError::Lost),
                _ => stopped().then_some(TurnError::Stopped),
            };
            if let Some(error) = error {
                turns.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(error);
            }
            turns = wait_timeout(&self.changed, turns, POLL_INTERVAL);
        }
    }

    /// Whether it still grants turns.
    fn is_usable(&self) -> bool {
        let turns = self.lock();
        !turns.lost && !turns.failed
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        lock(&self.turns)
    }
}

/// What two models must have in common to share a session: the hash of the file, and how it is run.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SessionKey {
    hash: [u8; 32],
    provider: Provider,
    device: i32,
    convolutions: ConvolutionMethod,
    ep_library: Option<PathBuf>,
    provider_options: Vec<(String, String)>,
    cache: Option<PathBuf>,
}

impl SessionKey {
    /// The key of the file with this `hash`, opened with `options`. `None` if the session is not to be shared: a user
    /// who sets the number of threads of an element wants them for that element only.
    pub fn new(hash: [u8; 32], options: &Options) -> Option<Self> {
        (options.threads == 0).then_some(SessionKey {
            hash,
            provider: options.provider,
            device: options.device,
            convolutions: options.convolutions,
            ep_library: options.ep_library.clone(),
            provider_options: options.provider_options.clone(),
            cache: options.cache.clone(),
        })
    }
}

/// A session that may be shared, as long as a model uses it.
struct Entry {
    key: SessionKey,
    session: Weak<SharedSession>,
}

/// The sessions of this process that may be shared.
static SESSIONS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// The keys of sessions that are being created.
static RESERVED: Mutex<Vec<SessionKey>> = Mutex::new(Vec::new());

/// Notified when one of them was created, or can't be.
static RELEASED: Condvar = Condvar::new();

/// The right to create the session of a key. Other models that need it wait until this is dropped.
pub(super) struct Reservation(SessionKey);

impl Reservation {
    /// Lets others find `session`.
    pub fn fulfil(self, session: &Arc<SharedSession>) {
        let session = Arc::downgrade(session);
        let key = self.0.clone();
        sessions().push(Entry { key, session });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        reserved().retain(|key| *key != self.0);
        RELEASED.notify_all();
    }
}

/// The result of looking for a session.
pub(super) enum Lookup {
    /// Another model has it.
    Existing(Arc<SharedSession>),
    /// The caller is to create it.
    Reserved(Reservation),
}

/// The session of `key`, once no other model is creating it, or the right to create it; `None` if `stopped` meanwhile.
///
/// Without reservations sixteen elements that start at once would all find no session, and create sixteen.
pub(super) fn find_or_reserve(key: &SessionKey, stopped: impl Fn() -> bool) -> Option<Lookup> {
    let mut reserved = reserved();
    loop {
        if let Some(session) = find(key) {
            return Some(Lookup::Existing(session));
        }
        if !reserved.contains(key) {
            reserved.push(key.clone());
            return Some(Lookup::Reserved(Reservation(key.clone())));
        }
        if stopped() {
            return None;
        }
        reserved = wait_timeout(&RELEASED, reserved, POLL_INTERVAL);
    }
}

fn reserved() -> MutexGuard<'static, Vec<SessionKey>> {
    lock(&RESERVED)
}

/// The session of `key` that another model has, unless it has failed.
fn find(key: &SessionKey) -> Option<Arc<SharedSession>> {
    let mut entries = sessions();
    entries.retain(|entry| entry.session.strong_count() > 0);
    let mut found = entries
        .iter()
        .filter(|entry| entry.key == *key)
        .filter_map(|entry| entry.session.upgrade());
    found.find(|session| session.is_usable())
}

/// Shares `session` with no further model, because a trial in it has failed. Those that have it can keep using it.
pub(super) fn withdraw(session: &Arc<SharedSession>) {
    sessions().retain(|entry| !std::ptr::eq(entry.session.as_ptr(), Arc::as_ptr(session)));
}

fn sessions() -> MutexGuard<'static, Vec<Entry>> {
    lock(&SESSIONS)
}
