//! Catches panics in functions that glib, or a thread of the plugin, calls without catching them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gst::prelude::*;
use gst::subclass::prelude::*;

/// Runs `work`: a panic in it becomes an error of `element` on the bus, and `otherwise` the result.
pub fn guarded<E: ElementImpl, T>(element: &E, otherwise: T, work: impl FnOnce() -> T) -> T
where
    E::Type: IsA<gst::Element>,
{
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let text = "Internal error in unetsegment; the operation was aborted. Details are on standard error";
        let error = gst::error_msg!(gst::LibraryError::Failed, ("{text}"));
        element.obj().post_error_message(error);
        otherwise
    })
}
