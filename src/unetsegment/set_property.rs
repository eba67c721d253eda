//! What a property that is set does while the element runs.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::imp::UNetSegment;
use crate::lock::lock;

impl UNetSegment {
    /// Takes in the value of a property; what is wrong with it, the bus is told.
    pub(super) fn set(&self, value: &glib::Value, pspec: &glib::ParamSpec) {
        let name = pspec.name();
        let (mut set, mut changed, runs, another) = {
            let mut settings = lock(&self.settings);
            let before = settings.frame.output;
            let set = settings.set(name, value);
            // A start reads the settings after it has begun to run: either it sees this one, or we see that it runs.
            let runs = self.flow.manner().is_some();
            if runs {
                settings.heard(name);
            }
            let another = (runs && name == "model-file").then(|| settings.clone());
            let changed = (settings.frame.output != before).then_some(before);
            (set, changed, runs, another)
        };
        let wanted = self.frame_settings().output;
        if let Some(before) = changed.filter(|_| runs)
            && let Err(reason) = self.is_taken(wanted)
        {
            let mut settings = lock(&self.settings);
            // Unless another one was asked for meanwhile.
            if settings.frame.output == wanted {
                settings.frame.output = before;
            }
            (set, changed) = (Err(reason), None);
        }
        let for_now = gst::PARAM_FLAG_MUTABLE_PLAYING | gst::PARAM_FLAG_CONTROLLABLE;
        if runs && !pspec.flags().intersects(for_now) {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Settings,
                ("{name} counts from the next start on: it was set while the element runs")
            );
        }
        // Whoever hears of it may read properties, so that nothing is locked here.
        if changed.is_some() {
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
