//! Gets and sets settings by the names of their properties.

use glib::value::ToValue;

use super::gvalues::{MODELS_THRESHOLD, area, area_value, path, probability, read, text_in};
use super::settings::{FrameSettings, Settings};
use crate::picture::DisplayRange;

/// The properties whose values are the settings themselves. One table serves both get and set, so neither can lack one.
macro_rules! plain_properties {
    ($($name:literal => $group:ident.$setting:ident,)*) => {
        impl Settings {
            /// Sets the property `name` if it is in the table. Returns whether it is.
            fn set_plain(&mut self, name: &str, value: &glib::Value) -> bool {
                match name {
                    $($name => read(value, &mut self.$group.$setting),)*
                    _ => return false,
                }
                true
            }

            /// The value of the property `name`, if it is in the table.
            fn plain(&self, name: &str) -> Option<glib::Value> {
                match name {
                    $($name => Some(self.$group.$setting.to_value()),)*
                    _ => None,
                }
            }
        }
    };
}

plain_properties! {
    "execution-provider" => model.execution_provider,
    "device" => model.device,
    "provider-options" => model.provider_options,
    "allow-external-data" => model.allow_external_data,
    "threads" => model.threads,
    "convolution" => model.convolution,
    "tile-size" => model.tile_size,
    "tile-memory" => model.tile_memory,
    "batch-size" => model.batch_size,
    "blend" => model.blend,
    "reuse" => model.reuse,
    "reuse-limit" => model.reuse_limit,
    "mode" => model.mode,
    "frames-in-flight" => model.frames_in_flight,
    "on-error" => model.on_error,
    "inference-interval" => frame.inference_interval,
    "max-mask-age" => frame.max_mask_age,
    "max-latency" => frame.max_latency,
    "normalization" => frame.normalization,
    "output" => frame.output,
    "opacity" => frame.opacity,
    "post-messages" => frame.post_messages,
    "max-area" => frame.max_area,
    "connectivity" => frame.connectivity,
    "fill-holes" => frame.fill_holes,
    "exclude-border" => frame.exclude_border,
    "split" => frame.split,
    "split-depth" => frame.split_depth,
    "find-objects" => frame.find_objects,
    "keep-probability" => frame.keep_probability,
    "measure-uncertainty" => frame.measure_uncertainty,
    "check-seams" => frame.check_seams,
    "check-pictures" => frame.check_pictures,
    "track" => frame.track,
    "pixel-size" => frame.pixel_size,
    "message-interval" => frame.message_interval,
    "post-objects" => frame.post_objects,
    "color-by" => frame.color_by,
    "outline" => frame.outline,
    "annotations" => frame.annotations,
}

impl Settings {
    /// Why the text of a property was refused, if one was and that was not posted on the bus.
    pub fn refusal(&self) -> Option<String> {
        let (name, reason) = self.refused.first_key_value()?;
        Some(format!("{name}: {reason}"))
    }

    /// Forgets why the text of `name` was refused: that is posted on the bus.
    pub fn clear_refusal(&mut self, name: &str) {
        self.refused.remove(name);
    }

    /// Sets the property `name`; GObject has already checked the type of `value`.
    ///
    /// # Errors
    ///
    /// The reason if a text is invalid; the property stays unchanged.
    pub fn set(&mut self, name: &str, value: &glib::Value) -> Result<(), String> {
        if self.set_plain(name, value) {
            return Ok(());
        }
        let Settings { model, frame, .. } = self;
        match name {
            "model-file" => model.model_file = path(value),
            "runtime-library" => model.runtime_library = path(value),
            "ep-library" => model.ep_library = path(value),
            "cache-directory" => model.cache_directory = path(value),
            "min-area" => frame.min_area = area(value),
            "threshold" => frame.threshold = probability(value),
            "core-threshold" => frame.core_threshold = probability(value),
            "value-range" | "display-range" | "trigger" | "palette" | "show-classes" => {
                return self.set_text(name, value);
            }
            _ => return Err(format!("there is no writable property {name}")),
        }
        Ok(())
    }

    /// Sets a property whose text is parsed.
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

    /// The value of the property `name`; `None` if it is not a setting.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        let Settings { model, frame, .. } = self;
        Some(match name {
            "model-file" => model.model_file.to_value(),
            "runtime-library" => model.runtime_library.to_value(),
            "ep-library" => model.ep_library.to_value(),
            "cache-directory" => model.cache_directory.to_value(),
            "min-area" => area_value(frame.min_area),
            "threshold" => frame.threshold.unwrap_or(MODELS_THRESHOLD).to_value(),
            "core-threshold" => frame.core_threshold.unwrap_or(MODELS_THRESHOLD).to_value(),
            "value-range" => frame.value_range.to_string().to_value(),
            "display-range" => frame.display_range.to_string().to_value(),
            "trigger" => {
                let text = frame.trigger.map(|trigger| trigger.to_string());
                text.unwrap_or_default().to_value()
            }
            "palette" => frame.palette.to_string().to_value(),
            "show-classes" => frame.show_classes.to_string().to_value(),
            name => return self.plain(name),
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
            _ => return Err(format!("there is no text property {name}")),
        }
        Ok(())
    }
}
