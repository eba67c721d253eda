//! The exit of the process. ONNX Runtime tears its own state down in `exit` while other threads still run, and a
//! thread that is inside it then crashes. So threads register when they enter it, and `exit` waits for them and admits
//! no more.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Callbacks, register};
use crate::lock::lock;

/// How many threads are inside ONNX Runtime.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

static EXITING: AtomicBool = AtomicBool::new(false);

/// The longest that `exit` waits for these threads: somewhat more than one operator takes, after which a stopped run
/// returns.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the process is exiting, so that a failure in ONNX Runtime is not the model's fault.
pub(in crate::inference) fn is_exiting() -> bool {
    EXITING.load(Ordering::SeqCst)
}

/// A thread is inside ONNX Runtime until this is dropped.
pub(in crate::inference) struct RuntimeGuard(());

/// Enters ONNX Runtime, unless the process is exiting.
pub(in crate::inference) fn enter() -> Option<RuntimeGuard> {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let guard = RuntimeGuard(());
    (!is_exiting()).then_some(guard)
}

impl Drop for RuntimeGuard {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Called when the process exits.
static CALLBACKS: Mutex<Callbacks> = Mutex::new(Callbacks::new());

/// Has a callback called when the process exits, until this is dropped.
pub(in crate::inference) struct OnExit(u64);

impl OnExit {
    /// Registers `end`, which may be called on any thread and must not block.
    pub fn new(end: impl Fn() + Send + 'static) -> Self {
        OnExit(register(&mut lock(&CALLBACKS), end))
    }
}

impl Drop for OnExit {
    fn drop(&mut self) {
        lock(&CALLBACKS).remove(&self.0);
    }
}

/// Makes `exit` wait before it tears down any library that is loaded so far: handlers run in reverse order of
/// registration. To be called again after more libraries were loaded.
pub(in crate::inference) fn register_handler() {
    // On Windows other threads are gone before a library is torn down.
    #[cfg(unix)]
    {
        extern "C" fn handler() {
            end_all();
        }
        // SAFETY: the handler takes and returns nothing, and does not unwind: nothing in it panics.
        // Should there be no room for it, the process exits as it would without.
        let _ = unsafe { libc::atexit(handler) };
    }
}

/// Ends everything that runs inside ONNX Runtime, and waits for it.
#[cfg_attr(not(unix), allow(dead_code))]
fn end_all() {
    EXITING.store(true, Ordering::SeqCst);
    lock(&CALLBACKS).values().for_each(|end| end());
    let start = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}
