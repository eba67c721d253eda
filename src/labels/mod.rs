//! From classes to objects.

mod components;

pub use components::Components;
