//! Sessions that several models of a process share: sixteen cameras with one model hold its weights once, and
//! take turns on the cores instead of fighting for them.

use std::collections::VecDeque;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ort::session::Session;

use super::error::{ModelError, lost};
use super::options::Options;
use super::provider::Provider;
use super::session::Started;
use super::stopping::process_exit;
use crate::lock::lock;

/// A session in use by one or more models, of which one runs it at a time, in the order of their asking.
pub(super) struct SharedSession {
    turns: Mutex<Turns>,
    changed: Condvar,
    /// Names of its input and output, which may be asked for while another model runs it.
    pub input: String,
    pub output: String,
    /// What it runs on, and the name of that where it comes from a library of its own.
    pub provider: Provider,
    device: i32,
    pub plugin: Option<String>,
    /// The providers that were tried before and refused the model, each with its reason.
    pub refused: Vec<ModelError>,
}

struct Turns {
    /// The session, unless a model runs it.
    session: Option<Session>,
    /// The tickets of the models that wait for it, in order.
    waiting: VecDeque<u64>,
    next: u64,
    /// Whether a panic has taken the session along.
    lost: bool,
    /// Whether a run on a frame has failed, so that no model may take masks from it any more.
    failed: bool,
}

/// Why a model gets no turn on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// It was stopped while it waited.
    Stopped,
    /// A panic has taken the session along, or the process ends.
    Lost,
    /// A run on a frame has [failed](SharedSession::fail).
    Failed,
}

impl NoTurn {
    /// The error of the model in the file `path`, which has not failed itself.
    pub fn error(self, path: &Path) -> ModelError {
        let owned = || path.to_owned();
        match self {
            NoTurn::Stopped => ModelError::Stopped { path: owned() },
            NoTurn::Lost => lost(path),
            NoTurn::Failed => ModelError::SharedFault { path: owned() },
        }
    }
}

/// Tells the models that wait that the session is lost, where a panic drops it.
struct OnPanic<'a>(&'a SharedSession);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        self.0.lock().lost = true;
        self.0.changed.notify_all();
    }
}

/// How often a model that waits looks whether it was stopped.
const LOOK: Duration = Duration::from_millis(10);

impl SharedSession {
    /// One that no model runs yet.
    pub fn new(started: Started) -> Self {
        let Started {
            session,
            provider,
            device,
            plugin,
            refused,
        } = started;
        let name = |outlet: Option<&ort::value::Outlet>| {
            outlet.map_or_else(String::new, |outlet| outlet.name().to_owned())
        };
        SharedSession {
            input: name(session.inputs().first()),
            output: name(session.outputs().first()),
            provider,
            device,
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

    /// The memory that ONNX Runtime keeps for feature maps and gives back when asked to, by its name for it. Where
    /// each shape costs a compilation, the run that asks would be dearer than the memory.
    pub fn arena(&self) -> Option<String> {
        match self.provider {
            Provider::Cpu => Some("cpu:0".to_owned()),
            Provider::Cuda => Some(format!("gpu:{}", self.device)),
            _ => None,
        }
    }

    /// Runs `work` on the session once it is its turn, with nothing locked; `stopped` ends the waiting.
    pub fn with<R>(
        &self,
        stopped: impl Fn() -> bool,
        work: impl FnOnce(&mut Session) -> R,
    ) -> Result<R, NoTurn> {
        let mut session = self.take(stopped)?;
        let inside = process_exit::enter();
        let on_panic = OnPanic(self);
        let result = inside.is_some().then(|| work(&mut session));
        mem::forget(on_panic);
        drop(inside);
        self.lock().session = Some(session);
        self.changed.notify_all();
        result.ok_or(NoTurn::Lost)
    }

    /// Gives no more turns: a run on a frame has failed, and what is left of the session can't be told. To be called in
    /// the turn of that run, so that none comes after it.
    pub fn fail(&self) {
        self.lock().failed = true;
    }

    fn take(&self, stopped: impl Fn() -> bool) -> Result<Session, NoTurn> {
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
            let refusal = match (turns.failed, turns.lost) {
                (true, _) => Some(NoTurn::Failed),
                (_, true) => Some(NoTurn::Lost),
                _ => stopped().then_some(NoTurn::Stopped),
            };
            if let Some(refusal) = refusal {
                turns.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(refusal);
            }
            let woken = self.changed.wait_timeout(turns, LOOK);
            turns = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether there are turns on it still.
    fn is_sound(&self) -> bool {
        let turns = self.lock();
        !turns.lost && !turns.failed
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        lock(&self.turns)
    }
}

/// What makes two sessions the same: the hash of the model's file, and how it is run.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    hash: [u8; 32],
    provider: Provider,
    device: i32,
    ep_library: Option<PathBuf>,
    provider_options: Vec<(String, String)>,
    cache: Option<PathBuf>,
}

impl Key {
    /// Of the file of this `hash` that is opened with `options`; none where the session is not to be shared:
    /// a user who says how many threads work for an element wants them for that one alone.
    pub fn new(hash: [u8; 32], options: &Options) -> Option<Self> {
        (options.threads == 0).then_some(Key {
            hash,
            provider: options.provider,
            device: options.device,
            ep_library: options.ep_library.clone(),
            provider_options: options.provider_options.clone(),
            cache: options.cache.clone(),
        })
    }
}

struct Offer {
    key: Key,
    session: Weak<SharedSession>,
}

/// The sessions of this process that may be shared.
static SESSIONS: Mutex<Vec<Offer>> = Mutex::new(Vec::new());

/// The keys of sessions that are being made.
static MAKING: Mutex<Vec<Key>> = Mutex::new(Vec::new());

/// Tells that one of them is made, or can't be.
static MADE: Condvar = Condvar::new();

/// The right to make the session of a key. Other models wait for it, until it is dropped at the latest.
pub(super) struct Making(Key);

impl Making {
    /// Lets others find `session`.
    pub fn done(self, session: &Arc<SharedSession>) {
        let session = Arc::downgrade(session);
        let key = self.0.clone();
        offers().push(Offer { key, session });
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        making().retain(|key| *key != self.0);
        MADE.notify_all();
    }
}

/// What there is of a session.
pub(super) enum Found {
    /// Another model has it.
    Made(Arc<SharedSession>),
    /// The model that asked is to make it.
    Yours(Making),
}

/// The session of `key`, once no other model makes it, or the right to make it; none if `stopped` says so meanwhile.
///
/// Otherwise sixteen elements that start at once would all find none, and make sixteen.
pub(super) fn find_or_make(key: &Key, stopped: impl Fn() -> bool) -> Option<Found> {
    let mut making = making();
    loop {
        if let Some(session) = find(key) {
            return Some(Found::Made(session));
        }
        if !making.contains(key) {
            making.push(key.clone());
            return Some(Found::Yours(Making(key.clone())));
        }
        if stopped() {
            return None;
        }
        let woken = MADE.wait_timeout(making, LOOK);
        making = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn making() -> MutexGuard<'static, Vec<Key>> {
    lock(&MAKING)
}

/// The session of `key` that a model has already, and that has not failed.
fn find(key: &Key) -> Option<Arc<SharedSession>> {
    let mut offers = offers();
    offers.retain(|offer| offer.session.strong_count() > 0);
    let mut sessions = offers
        .iter()
        .filter(|offer| offer.key == *key)
        .filter_map(|offer| offer.session.upgrade());
    sessions.find(|session| session.is_sound())
}

/// Offers `session` to no further model: a trial of it has failed. Those that have it may go on with it.
pub(super) fn withdraw(session: &Arc<SharedSession>) {
    offers().retain(|offer| !std::ptr::eq(offer.session.as_ptr(), Arc::as_ptr(session)));
}

fn offers() -> MutexGuard<'static, Vec<Offer>> {
    lock(&SESSIONS)
}
