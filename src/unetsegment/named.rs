//! Settings by the names of their properties.

use glib::value::ToValue;

use super::settings::{FrameSettings, Settings};
use super::values::{MODELS_THRESHOLD, or_automatic, path, read, share, text_in, whole};
use crate::picture::DisplayRange;

impl Settings {
    /// What is wrong with a property that was set to a text which says nothing, if one was and nobody has heard of it.
    pub fn refusal(&self) -> Option<String> {
        let (name, reason) = self.refused.first_key_value()?;
        Some(format!("{name}: {reason}"))
    }

    /// Takes in that somebody has heard what is wrong with the text of `name`.
    pub fn heard(&mut self, name: &str) {
        self.refused.remove(name);
    }

    /// Sets the property `name`; GObject has checked the type of `value` before. A text that says
    /// nothing leaves the property as it is, and the reason comes back.
    pub fn set(&mut self, name: &str, value: &glib::Value) -> Result<(), String> {
        let Settings { model, frame, .. } = self;
        match name {
            "model-file" => model.model_file = path(value),
            "runtime-library" => model.runtime_library = path(value),
            "execution-provider" => read(value, &mut model.execution_provider),
            "device" => read(value, &mut model.device),
            "ep-library" => model.ep_library = path(value),
            "cache-directory" => model.cache_directory = path(value),
            "allow-external-data" => read(value, &mut model.allow_external_data),
            "provider-options" => model.provider_options = value.get().unwrap_or_default(),
            "threads" => read(value, &mut model.threads),
            "mode" => read(value, &mut model.mode),
            "on-error" => read(value, &mut model.on_error),
            "inference-interval" => read(value, &mut frame.inference_interval),
            "max-mask-age" => read(value, &mut frame.max_mask_age),
            "max-latency" => read(value, &mut frame.max_latency),
            "frames-in-flight" => read(value, &mut model.frames_in_flight),
            "tile-size" => read(value, &mut model.tile_size),
            "tile-memory" => read(value, &mut model.tile_memory),
            "batch-size" => read(value, &mut model.batch_size),
            "blend" => read(value, &mut model.blend),
            "reuse" => read(value, &mut model.reuse),
            "reuse-limit" => read(value, &mut model.reuse_limit),
            "normalization" => read(value, &mut frame.normalization),
            "output" => read(value, &mut frame.output),
            "opacity" => read(value, &mut frame.opacity),
            "post-messages" => read(value, &mut frame.post_messages),
            "message-interval" => read(value, &mut frame.message_interval),
            "post-objects" => read(value, &mut frame.post_objects),
            "min-area" => frame.min_area = whole(value),
            "outline" => frame.outline = whole(value),
            "threshold" => frame.threshold = share(value),
            "max-area" => read(value, &mut frame.max_area),
            "connectivity" => read(value, &mut frame.connectivity),
            "fill-holes" => read(value, &mut frame.fill_holes),
            "exclude-border" => read(value, &mut frame.exclude_border),
            "split" => read(value, &mut frame.split),
            "split-depth" => read(value, &mut frame.split_depth),
            "core-threshold" => frame.core_threshold = share(value),
            "find-objects" => read(value, &mut frame.find_objects),
            "keep-probability" => read(value, &mut frame.keep_probability),
            "measure-uncertainty" => read(value, &mut frame.measure_uncertainty),
            "check-seams" => read(value, &mut frame.check_seams),
            "check-pictures" => read(value, &mut frame.check_pictures),
            "track" => read(value, &mut frame.track),
            "pixel-size" => read(value, &mut frame.pixel_size),
            "color-by" => read(value, &mut frame.color_by),
            "annotations" => read(value, &mut frame.annotations),
            "value-range" | "display-range" | "trigger" | "palette" | "show-classes" => {
                return self.set_text(name, value);
            }
            _ => return Err(format!("there is no property {name} to set")),
        }
        Ok(())
    }

    /// Sets a property whose text has a meaning.
    fn set_text(&mut self, name: &str, value: &glib::Value) -> Result<(), String> {
        let set = match text_in(value) {
            Ok(text) => self.frame.set_text(name, text.as_deref()),
            Err(reason) => return Err(reason.to_owned()),
        };
        match &set {
            Ok(()) => drop(self.refused.remove(name)),
            Err(reason) => drop(self.refused.insert(name.to_owned(), reason.clone())),
        }
        set
    }

    /// The value of the property `name`; `None` for one that is not a setting.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        let Settings { model, frame, .. } = self;
        Some(match name {
            "model-file" => model.model_file.to_value(),
            "runtime-library" => model.runtime_library.to_value(),
            "execution-provider" => model.execution_provider.to_value(),
            "device" => model.device.to_value(),
            "ep-library" => model.ep_library.to_value(),
            "cache-directory" => model.cache_directory.to_value(),
            "allow-external-data" => model.allow_external_data.to_value(),
            "provider-options" => model.provider_options.to_value(),
            "threads" => model.threads.to_value(),
            "mode" => model.mode.to_value(),
            "on-error" => model.on_error.to_value(),
            "inference-interval" => frame.inference_interval.to_value(),
            "max-mask-age" => frame.max_mask_age.to_value(),
            "max-latency" => frame.max_latency.to_value(),
            "frames-in-flight" => model.frames_in_flight.to_value(),
            "tile-size" => model.tile_size.to_value(),
            "tile-memory" => model.tile_memory.to_value(),
            "batch-size" => model.batch_size.to_value(),
            "blend" => model.blend.to_value(),
            "reuse" => model.reuse.to_value(),
            "reuse-limit" => model.reuse_limit.to_value(),
            "normalization" => frame.normalization.to_value(),
            "value-range" => frame.value_range.to_string().to_value(),
            "output" => frame.output.to_value(),
            "opacity" => frame.opacity.to_value(),
            "display-range" => frame.display_range.to_string().to_value(),
            "post-messages" => frame.post_messages.to_value(),
            "message-interval" => frame.message_interval.to_value(),
            "post-objects" => frame.post_objects.to_value(),
            "trigger" => {
                let text = frame.trigger.map(|trigger| trigger.to_string());
                text.unwrap_or_default().to_value()
            }
            "threshold" => frame.threshold.unwrap_or(MODELS_THRESHOLD).to_value(),
            "min-area" => or_automatic(frame.min_area),
            "max-area" => frame.max_area.to_value(),
            "connectivity" => frame.connectivity.to_value(),
            "fill-holes" => frame.fill_holes.to_value(),
            "exclude-border" => frame.exclude_border.to_value(),
            "split" => frame.split.to_value(),
            "split-depth" => frame.split_depth.to_value(),
            "core-threshold" => frame.core_threshold.unwrap_or(MODELS_THRESHOLD).to_value(),
            "find-objects" => frame.find_objects.to_value(),
            "keep-probability" => frame.keep_probability.to_value(),
            "measure-uncertainty" => frame.measure_uncertainty.to_value(),
            "check-seams" => frame.check_seams.to_value(),
            "check-pictures" => frame.check_pictures.to_value(),
            "track" => frame.track.to_value(),
            "pixel-size" => frame.pixel_size.to_value(),
            "color-by" => frame.color_by.to_value(),
            "palette" => frame.palette.to_string().to_value(),
            "outline" => or_automatic(frame.outline),
            "annotations" => frame.annotations.to_value(),
            "show-classes" => frame.show_classes.to_string().to_value(),
            _ => return None,
        })
    }
}

impl FrameSettings {
    fn set_text(&mut self, name: &str, text: Option<&str>) -> Result<(), String> {
        let range = || match text {
            None => Ok(DisplayRange::Auto),
            Some(text) => text.parse().map_err(|error| format!("{error}")),
        };
        let text = text.unwrap_or("").trim();
        match name {
            "value-range" => self.value_range = range()?,
            "display-range" => self.display_range = range()?,
            "show-classes" => self.show_classes = text.parse()?,
            "palette" => self.palette = text.parse()?,
            "trigger" if text.is_empty() => self.trigger = None,
            "trigger" => self.trigger = Some(text.parse()?),
            _ => return Err(format!("there is no property {name} that is a text")),
        }
        Ok(())
    }
}
