//! Setting properties, also while the element runs.

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::Output;
use super::imp::UNetSegment;
use crate::lock::lock;

impl UNetSegment {
    /// Sets a property. A warning on the bus says what is wrong with the value.
    pub(super) fn set(&self, value: &glib::Value, pspec: &glib::ParamSpec) {
        let name = pspec.name();
        // An output that downstream does not accept is not set, not even for a moment.
        let checked = match value.get::<Output>() {
            Ok(output) if name == "output" && output != self.frame_settings().output => {
                self.check_output(output)
            }
            _ => Ok(()),
        };
        let (set, changed, runs, request) = {
            let mut settings = lock(&self.settings);
            let before = settings.frame.output;
            let set = checked.and_then(|()| settings.set(name, value));
            // A start reads the settings once it runs: either it sees this one, or it is seen to run here.
            let runs = self.flow.scheduling().is_some();
            if runs {
                settings.clear_refusal(name);
            }
            let wants_model = runs && name == "model-file";
            let request = wants_model.then(|| self.request_model(&settings));
            (
                set,
                settings.frame.output != before,
                runs,
                request.flatten(),
            )
        };
        let at_once = gst::PARAM_FLAG_MUTABLE_PLAYING | gst::PARAM_FLAG_CONTROLLABLE;
        if runs && !pspec.flags().intersects(at_once) {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Settings,
                ("{name} takes effect at the next start: it was set while the element runs")
            );
        }
        // A handler of it may read properties, so nothing is locked here.
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
        if let Some(request) = request {
            self.load_another(request);
        }
    }
}
