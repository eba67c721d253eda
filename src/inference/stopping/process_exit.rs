//! The end of the process. ONNX Runtime takes its own state down in `exit`, while other threads still run; one that is
//! inside it then crashes. So threads that enter it say so, and `exit` waits for these and lets no other in any more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// How many threads are inside ONNX Runtime.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

static ENDING: AtomicBool = AtomicBool::new(false);

/// How long `exit` waits for these threads at most: somewhat more than an operator takes, after which a run that was ended ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the process ends, so that what goes wrong in ONNX Runtime is not the model's fault.
pub(in crate::inference) fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// A thread that is inside ONNX Runtime, until this is dropped.
pub(in crate::inference) struct Inside(());

/// Enters ONNX Runtime, unless the process ends.
pub(in crate::inference) fn enter() -> Option<Inside> {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let inside = Inside(());
    (!is_ending()).then_some(inside)
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

type End = Box<dyn Fn() + Send>;

/// What ends what is going on.
static ENDS: Mutex<Vec<(u64, End)>> = Mutex::new(Vec::new());

/// Has `end` called when the process ends, until it is dropped.
pub(in crate::inference) struct OnEnd(u64);

impl OnEnd {
    /// Registers `end`, which may be called on any thread and must not wait.
    pub fn new(end: impl Fn() + Send + 'static) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        ends().push((number, Box::new(end)));
        OnEnd(number)
    }
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        ends().retain(|(number, _)| *number != self.0);
    }
}

fn ends() -> MutexGuard<'static, Vec<(u64, End)>> {
    lock(&ENDS)
}

/// Has `exit` wait before it takes down any library that is loaded by now; it runs its handlers in reverse order. To be
/// called again once more libraries are there.
pub(in crate::inference) fn watch() {
    // On Windows other threads are gone before a library is taken down.
    #[cfg(unix)]
    {
        extern "C" fn handler() {
            let_all_end();
        }
        // SAFETY: the handler takes and gives nothing, and does not unwind: nothing in it panics.
        // Should there be no room for it, the process ends as it would without.
        let _ = unsafe { libc::atexit(handler) };
    }
}

/// Ends what goes on inside ONNX Runtime, and waits for it.
#[cfg_attr(not(unix), allow(dead_code))]
fn let_all_end() {
    ENDING.store(true, Ordering::SeqCst);
    for (_, end) in ends().iter() {
        end();
    }
    let start = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}
