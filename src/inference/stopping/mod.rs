//! Ending long-running work from another thread.
//!
//! | module | what is ended | by which thread |
//! | --- | --- | --- |
//! | [`opening`] | the opening of a model | the one that stops or flushes the element |
//! | [`runs`] | runs of an opened model | the same, and a watchdog's when time is up |
//! | [`time_limit`] | a load, or a first run, that exceeds its time limit | a watchdog's |
//! | [`process_exit`] | everything that runs inside ONNX Runtime | the one that calls `exit` |

mod opening;
pub(super) mod process_exit;
mod runs;
pub(super) mod time_limit;

use std::collections::BTreeMap;
use std::io;

pub use opening::Canceller;
pub use runs::Stopper;

/// The reason where work is refused because the thread that would do it, or end it in time, can't be created.
pub fn no_thread(error: &io::Error) -> String {
    format!(
        "a thread can't be created: {error}. Close other programs, or raise the limits on threads and memory"
    )
}

/// Callbacks that end running work, each under the number that removes it.
type Callbacks = BTreeMap<u64, Box<dyn Fn() + Send>>;

/// Adds a callback, and returns the number that removes it.
fn register(callbacks: &mut Callbacks, callback: impl Fn() + Send + 'static) -> u64 {
    let number = callbacks.last_key_value().map_or(0, |(last, _)| last + 1);
    callbacks.insert(number, Box::new(callback));
    number
}
