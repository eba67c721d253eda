//! Conversions between `GValue`s and settings.

use std::path::PathBuf;

use glib::value::{FromValue, ToValue};

/// Value of `min-area` that leaves it to the model.
pub const MODELS_MIN_AREA: i32 = -1;

/// Value of `threshold` and `core-threshold` that leaves them to the model.
pub const MODELS_THRESHOLD: f64 = -1.0;

/// Sets `setting` to `value`; a value of another type leaves it unchanged.
pub fn read<'v, T: FromValue<'v>>(value: &'v glib::Value, setting: &mut T) {
    if let Ok(value) = value.get() {
        *setting = value;
    }
}

/// An area in pixels, unless it is left to the model.
pub fn area(value: &glib::Value) -> Option<u32> {
    let area: i32 = value.get().unwrap_or(MODELS_MIN_AREA);
    u32::try_from(area).ok()
}

/// A probability, unless it is left to the model.
pub fn probability(value: &glib::Value) -> Option<f64> {
    let probability: f64 = value.get().unwrap_or(MODELS_THRESHOLD);
    (probability >= 0.0).then_some(probability)
}

/// The inverse of [`area`].
pub fn area_value(area: Option<u32>) -> glib::Value {
    let area = area.and_then(|area| i32::try_from(area).ok());
    area.unwrap_or(MODELS_MIN_AREA).to_value()
}

/// The path in a property; `None` for an empty string.
pub fn path(value: &glib::Value) -> Option<PathBuf> {
    let path: Option<PathBuf> = value.get().unwrap_or_default();
    path.filter(|path| !path.as_os_str().is_empty())
}

/// The text of a value. An application may put bytes there that are not UTF-8, and `String` panics on them; a path
/// accepts any bytes.
pub fn text_in(value: &glib::Value) -> Result<Option<String>, &'static str> {
    let bytes: Option<PathBuf> = value.get().unwrap_or_default();
    let text = bytes.map(|bytes| bytes.into_os_string().into_string());
    text.transpose().map_err(|_| "it is not valid UTF-8")
}

/// A string, number or boolean as text.
pub fn text_of(value: &glib::Value) -> Option<String> {
    if let Ok(flag) = value.get::<bool>() {
        return Some(u8::from(flag).to_string());
    }
    let text = value.transform::<String>().ok()?;
    text_in(&text).ok()?
}
