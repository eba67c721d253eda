//! From classes to objects: which pixels belong together, and the measures of each object.

mod assignment;
mod components;
mod distance;
mod division;
mod holes;
mod measures;
mod objects;
mod regions;
mod room;
mod rules;
mod spatial_index;
mod tracks;
mod watershed;

pub use components::{Components, Connectivity};
pub use measures::Object;
pub use objects::{LabelError, LabelledMask, Labeller, MOST_OBJECTS, TooManyObjects};
pub use rules::{ObjectRules, Split};
pub use tracks::{TrackEvents, Tracker};
