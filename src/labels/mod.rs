//! From classes to objects.

mod components;
mod islands;

pub use components::Components;
pub use islands::{INSIDE, Islands, RIM};
