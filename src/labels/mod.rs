//! From classes to objects: which pixels belong together, and the measures of each object.

mod assignment;
mod components;
mod distance;
mod holes;
mod measures;
mod objects;
mod room;
mod spatial_index;
mod tracks;
mod watershed;

pub use components::{Components, Connectivity};
pub use measures::Object;
pub use objects::{
    LabelError, LabelledMask, Labeller, MOST_OBJECTS, ObjectRules, Split, TooManyObjects,
};
pub use tracks::{TrackEvents, Tracker};
