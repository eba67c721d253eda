//! Values of GObject (`GValue`) as settings, and back.

use std::path::PathBuf;

use glib::value::{FromValue, ToValue};

/// Value of `min-area` and `outline` that leaves them to the model and to the size of the frame.
pub const AUTOMATIC: i32 = -1;

/// Value of `threshold` that leaves it to the model.
pub const MODELS_THRESHOLD: f64 = -1.0;

/// Sets `setting` to `value`; one of another type leaves it as it is.
pub fn read<'v, T: FromValue<'v>>(value: &'v glib::Value, setting: &mut T) {
    if let Ok(value) = value.get() {
        *setting = value;
    }
}

/// A number of pixels, unless it is left to the model or to the size of the frame.
pub fn whole(value: &glib::Value) -> Option<u32> {
    let number: i32 = value.get().unwrap_or(AUTOMATIC);
    u32::try_from(number).ok()
}

/// A probability, unless it is left to the model.
pub fn share(value: &glib::Value) -> Option<f64> {
    let share: f64 = value.get().unwrap_or(MODELS_THRESHOLD);
    (share >= 0.0).then_some(share)
}

/// The value of a number of pixels, as [`whole`] reads it.
pub fn or_automatic(number: Option<u32>) -> glib::Value {
    let number = number.and_then(|number| i32::try_from(number).ok());
    number.unwrap_or(AUTOMATIC).to_value()
}

/// The file that a property names; an empty text names none.
pub fn path(value: &glib::Value) -> Option<PathBuf> {
    let path: Option<PathBuf> = value.get().unwrap_or_default();
    path.filter(|path| !path.as_os_str().is_empty())
}

/// The text of a value. Nothing keeps a program from putting bytes there that are none, and `String` panics at
/// these; a path takes any.
pub fn text_in(value: &glib::Value) -> Result<Option<String>, &'static str> {
    let bytes: Option<PathBuf> = value.get().unwrap_or_default();
    let text = bytes.map(|bytes| bytes.into_os_string().into_string());
    text.transpose().map_err(|_| "it is not valid UTF-8")
}

/// A text, number or truth value as a text.
pub fn text_of(value: &glib::Value) -> Option<String> {
    if let Ok(flag) = value.get::<bool>() {
        return Some(u8::from(flag).to_string());
    }
    let text = value.transform::<String>().ok()?;
    text_in(&text).ok()?
}
