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

pub use opening::Canceller;
pub use runs::Stopper;

/// Callbacks that end running work, each under the number that removes it.
type Callbacks = BTreeMap<u64, Box<dyn Fn() + Send>>;

/// Adds a callback, and returns the number that removes it.
fn register(callbacks: &mut Callbacks, callback: impl Fn() + Send + 'static) -> u64 {
    let number = callbacks.last_key_value().map_or(0, |(last, _)| last + 1);
    callbacks.insert(number, Box::new(callback));
    number
}
