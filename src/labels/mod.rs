//! From classes to objects: which pixels belong together, and what can be measured on them.

mod assignment;
mod components;
mod distance;
mod holes;
mod measures;
mod nearby;
mod objects;
mod tracks;
mod watershed;

pub use components::{Components, Connectivity};
pub use measures::Object;
pub use objects::{Labelled, Labeller, MOST_OBJECTS, Rules, Split, TooMany};
pub use tracks::{Events, Tracker};
