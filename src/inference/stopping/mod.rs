//! Ending what takes long, from another thread.
//!
//! | module | what is ended | by which thread |
//! | --- | --- | --- |
//! | [`opening`] | the opening of a model | the one that stops or flushes the element |
//! | [`runs`] | runs of an opened model | the same, and a watchdog's when time is up |
//! | [`time_limit`] | a load, or a first run, that takes longer than it may | a watchdog's |
//! | [`process_exit`] | all that goes on inside ONNX Runtime | the one that calls `exit` |

mod opening;
pub(super) mod process_exit;
mod runs;
pub(super) mod time_limit;

pub use opening::Canceller;
pub use runs::Stopper;
