//! What a property that is set does while the element runs.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::Output;
use super::imp::UNetSegment;
use crate::lock::lock;

impl UNetSegment {
    /// Takes in the value of a property; what is wrong with it, the bus is told.
    pub(super) fn set(&self, value: &glib::Value, pspec: &glib::ParamSpec) {
        let name = pspec.name();
        // What downstream does not take no frame sees, not even for a moment.
        let taken = match value.get::<Output>() {
            Ok(output) if name == "output" && output != self.frame_settings().output => {
                self.is_taken(output)
            }
            _ => Ok(()),
        };
        let (set, changed, runs, another) = {
            let mut settings = lock(&self.settings);
            let before = settings.frame.output;
            let set = taken.and_then(|()| settings.set(name, value));
            // A start reads the settings after it has begun to run: either it sees this one, or we see that it runs.
            let runs = self.flow.manner().is_some();
            if runs {
                settings.heard(name);
            }
            let another = (runs && name == "model-file").then(|| settings.clone());
            (set, settings.frame.output != before, runs, another)
        };
        let for_now = gst::PARAM_FLAG_MUTABLE_PLAYING | gst::PARAM_FLAG_CONTROLLABLE;
        if runs && !pspec.flags().intersects(for_now) {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Settings,
                ("{name} counts from the next start on: it was set while the element runs")
            );
        }
        // A program that hears of it may read properties, so that nothing is locked here.
        if changed {
            self.obj().reconfigure_src();
        }
        match set {
            Ok(()) if name == "show-classes" => self.warn_of_classes(),
            Ok(()) => (),
            Err(reason) => gst::element_imp_warning!(
                self,
                gst::ResourceError::Settings,
                ("{name} stays as it is: {reason}")
            ),
        }
        if let Some(settings) = another {
            self.load_another(&settings);
        }
    }
}
