//! The mask meta on every frame that `unetsegment` outputs.
//!
//! It is a [`gst::meta::CustomMeta`] (C: `GstCustomMeta`) named [`NAME`], whose structure has
//! these fields:
//!
//! | field | type | content |
//! | --- | --- | --- |
//! | `mask` | `GstBuffer` | one byte per pixel, the class; rows without padding; read-only |
//! | `caps` | `GstCaps` | `video/x-raw, format=GRAY8` with the size of the mask, which is the frame's |
//! | `inference-time` | `guint64` | nanoseconds the network took for this mask |
//! | `age` | `guint64` | nanoseconds between the arrival of the frame that the mask was computed from and that of this one, with `mode=sync` at most between their timestamps; 0 if they are the same |
//! | `stale` | `gboolean` | whether the mask is older than `max-mask-age` allows |
//! | `labels` | `GstBuffer` | two bytes per pixel, little-endian: the number of its object, 0 for none; missing unless objects were requested |
//! | `labels-caps` | `GstCaps` | `video/x-raw, format=GRAY16_LE` with the size of the mask; missing with `labels` |
//! | `objects` | `guint` | how many there are, even if more than the 65535 that labels can distinguish; missing unless objects were requested |
//! | `probability` | `GstBuffer` | two bytes per pixel, little-endian: the probability of the foreground, 0 to 65535 for 0 to 1, of all classes but the background if there are more than two; missing unless requested (`keep-probability`) |
//! | `probability-caps` | `GstCaps` | `video/x-raw, format=GRAY16_LE` with the size of the mask; missing with `probability` |
//! | `timestamp` | `guint64` | timestamp of the frame that the mask was computed from, in nanoseconds; missing if it has none |
//!
//! `docs/embedding.md` has the code that reads it in C, Python and Rust.
//!
//! Elements that scale, crop or rotate a frame drop the meta, because the mask would no longer
//! match the picture; colour conversion keeps it.

use std::sync::Once;
use std::time::Duration;

use glib::translate::{IntoGlib, ToGlibPtr};
use gst::meta::{CustomMeta, MetaTransform};

use crate::times::nanoseconds;

/// Name of the meta.
pub const NAME: &str = "GstUNetSegmentMask";

/// Fields of the optional maps, each with the field of its caps.
const LABELS: [&str; 2] = ["labels", "labels-caps"];
const PROBABILITY: [&str; 2] = ["probability", "probability-caps"];

/// The content of a frame's meta.
#[derive(Clone, Debug)]
pub struct Mask {
    /// One byte per pixel, rows without padding.
    pub mask: gst::Buffer,
    /// Caps of the mask as a picture.
    pub caps: gst::Caps,
    /// Two bytes per pixel, little-endian: the number of its object, if objects were requested; with their caps.
    pub labels: Option<(gst::Buffer, gst::Caps)>,
    /// How many objects there are, if they were requested; may be more than labels can distinguish.
    pub objects: Option<u32>,
    /// Two bytes per pixel, little-endian: the probability of the foreground, 0 to 65535 for 0 to 1, if it was
    /// requested; with its caps.
    pub probability: Option<(gst::Buffer, gst::Caps)>,
    /// How long the network took.
    pub inference: Duration,
    /// How much earlier the frame arrived that the mask was computed from, with `mode=sync` at most the time between
    /// their timestamps; 0 if it is this one.
    pub age: Duration,
    /// Whether the mask is older than allowed.
    pub stale: bool,
    /// Timestamp of the frame that the mask was computed from.
    pub timestamp: Option<gst::ClockTime>,
}

/// Registers the meta with GStreamer. Must be called before the other functions; repeated calls are fine.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if CustomMeta::is_registered(NAME) {
            return;
        }
        let tags = ["video", "size", "orientation"].as_slice();
        // SAFETY: the strings are copied, and `transform` has the required signature. The bindings' own
        // registration doesn't pass on the data that `transform` needs.
        unsafe {
            gst::ffi::gst_meta_register_custom(
                NAME.to_glib_none().0,
                tags.to_glib_none().0,
                Some(transform),
                std::ptr::null_mut(),
                None,
            );
        }
    });
}

/// Copies the meta to a frame derived from the one that carries it: by copying, or by a conversion
/// that keeps the size.
unsafe extern "C" fn transform(
    target: *mut gst::ffi::GstBuffer,
    meta: *mut gst::ffi::GstCustomMeta,
    _source: *mut gst::ffi::GstBuffer,
    kind: glib::ffi::GQuark,
    data: glib::ffi::gpointer,
    _user_data: glib::ffi::gpointer,
) -> glib::ffi::gboolean {
    let is = |quark: glib::Quark| quark.into_glib() == kind;
    // SAFETY: GStreamer calls this with valid buffers and meta, and with the data that belongs to the
    // kind of transformation.
    let (keep, target, meta) = unsafe {
        let keep = if is(gst::meta::MetaTransformCopy::quark()) {
            let region = (*data.cast::<gst::ffi::GstMetaTransformCopy>()).region;
            region == glib::ffi::GFALSE
        } else if is(gst_video::video_meta::VideoMetaTransformScale::quark()) {
            let scale = &*data.cast::<gst_video::ffi::GstVideoMetaTransform>();
            let (from, to) = (&*scale.in_info, &*scale.out_info);
            (from.width, from.height) == (to.width, to.height)
        } else {
            false
        };
        let meta = &*meta.cast::<CustomMeta>();
        (keep, gst::BufferRef::from_mut_ptr(target), meta)
    };
    let copied = keep
        && CustomMeta::add(target, NAME).is_ok_and(|mut copy| {
            let fields = copy.mut_structure();
            for (name, value) in meta.structure().iter() {
                fields.set_value(name, value.clone());
            }
            true
        });
    copied.into_glib()
}

/// Attaches `mask` to `buffer`, replacing an earlier one.
pub fn attach(buffer: &mut gst::BufferRef, mask: Mask) -> Result<(), glib::BoolError> {
    if let Ok(old) = CustomMeta::from_mut_buffer(buffer, NAME) {
        return fill(old, mask);
    }
    fill(CustomMeta::add(buffer, NAME)?, mask)
}

/// Removes the mask of `buffer`, if it has one.
pub fn remove(buffer: &mut gst::BufferRef) {
    if let Ok(meta) = CustomMeta::from_mut_buffer(buffer, NAME) {
        // Fails only for a locked meta, which this one never is.
        let _ = meta.remove();
    }
}

fn fill(
    mut meta: gst::MetaRefMut<CustomMeta, gst::meta::Standalone>,
    mask: Mask,
) -> Result<(), glib::BoolError> {
    let fields = meta.mut_structure();
    fields.set("mask", mask.mask);
    fields.set("caps", mask.caps);
    fields.set("inference-time", nanoseconds(mask.inference));
    fields.set("age", nanoseconds(mask.age));
    fields.set("stale", mask.stale);
    set_map(fields, LABELS, mask.labels);
    match mask.objects {
        Some(objects) => fields.set("objects", objects),
        None => fields.remove_field("objects"),
    }
    set_map(fields, PROBABILITY, mask.probability);
    match mask.timestamp {
        Some(timestamp) => fields.set("timestamp", timestamp.nseconds()),
        None => fields.remove_field("timestamp"),
    }
    Ok(())
}

/// Sets the fields of a map and its caps, or removes both.
fn set_map(
    fields: &mut gst::StructureRef,
    [name, caps_name]: [&str; 2],
    map: Option<(gst::Buffer, gst::Caps)>,
) {
    match map {
        Some((map, caps)) => {
            fields.set(name, map);
            fields.set(caps_name, caps);
        }
        None => fields.remove_fields([name, caps_name]),
    }
}

fn map_of(
    fields: &gst::StructureRef,
    [name, caps_name]: [&str; 2],
) -> Option<(gst::Buffer, gst::Caps)> {
    fields.get(name).ok().zip(fields.get(caps_name).ok())
}

/// The mask that `buffer` carries.
pub fn of(buffer: &gst::BufferRef) -> Option<Mask> {
    let meta = CustomMeta::from_buffer(buffer, NAME).ok()?;
    let fields = meta.structure();
    Some(Mask {
        mask: fields.get("mask").ok()?,
        caps: fields.get("caps").ok()?,
        labels: map_of(fields, LABELS),
        objects: fields.get("objects").ok(),
        probability: map_of(fields, PROBABILITY),
        inference: Duration::from_nanos(fields.get("inference-time").ok()?),
        age: Duration::from_nanos(fields.get("age").ok()?),
        stale: fields.get("stale").ok()?,
        timestamp: fields
            .get("timestamp")
            .ok()
            .map(gst::ClockTime::from_nseconds),
    })
}
