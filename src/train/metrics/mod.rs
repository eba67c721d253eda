//! How well masks agree with the truth.
//!
//! [`cells`] counts objects, as the Cell Tracking Challenge and the Data Science Bowl do;
//! [`membranes`] judges boundaries, as the ISBI 2012 challenge does.

pub mod cells;
mod contingency;
pub mod membranes;
mod thin;
mod warping;

pub use cells::{Scores, Tally};
pub use thin::thin;
pub use warping::{warped, warping_error};
