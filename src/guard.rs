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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_element() {
        gst::init().unwrap();
        let element = glib::Object::new::<crate::unetsegment::UNetSegment>();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        assert_eq!(guarded(element.imp(), 1, || 2), 2);
        assert!(bus.pop().is_none());
        assert_eq!(guarded(element.imp(), 1, || panic!("a test")), 1);
        let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
        assert_eq!(message.src(), Some(element.upcast_ref()));
    }
}
