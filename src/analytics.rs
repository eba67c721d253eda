//! The mask as GStreamer's own analytics meta, for elements and programs that know nothing of this plugin: the cargo
//! feature `analytics`, which takes GStreamer 1.26.
//!
//! A frame with a mask that is not stale carries, besides [`mask_meta`](crate::mask_meta), a `GstAnalyticsRelationMeta`
//! with a `GstAnalyticsSegmentationMtd` of the semantic kind, whose region ids are the values of the mask; and, where
//! the frame has labels, behind it one of the instance kind, whose region ids are the numbers of the objects. Both are
//! related to a `GstAnalyticsClsMtd` with the name of the class of each region, by the index of the region. The masks
//! are the buffers of [`mask_meta`](crate::mask_meta) themselves, which carry a `GstVideoMeta` each.

use std::mem::MaybeUninit;

use glib::translate::{IntoGlibPtr, from_glib_full};
use gst::meta::Standalone;
use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsRelationMeta, RelTypes, ffi};
use gst_video::VideoMeta;

use crate::contract::Class;
use crate::labels::Object;
use crate::mask_meta::Mask;

type RelationMeta<'a> = gst::MetaRefMut<'a, AnalyticsRelationMeta, Standalone>;

/// How sure a class is, where that is not known.
const UNDEFINED: f32 = -1.0;

/// The buffer with a meta that says that it is a picture in rows without padding, as a segmentation wants it.
pub fn described(
    mut buffer: gst::Buffer,
    caps: &gst::CapsRef,
) -> Result<gst::Buffer, glib::BoolError> {
    let info = gst_video::VideoInfo::from_caps(caps)?;
    // Not that of the caps, whose rows are padded.
    let stride = info.width() * info.comp_pstride(0).unsigned_abs();
    VideoMeta::add_full(
        buffer.make_mut(),
        gst_video::VideoFrameFlags::empty(),
        info.format(),
        info.width(),
        info.height(),
        &[0],
        &[i32::try_from(stride).unwrap_or(i32::MAX)],
    )?;
    Ok(buffer)
}

/// Puts masks on frames. It keeps the room that it took for the regions, so that a frame takes none.
#[derive(Default)]
pub struct Attacher {
    /// Names of the classes.
    names: Vec<glib::Quark>,
    /// Each region's id, the name of its class, and how sure that is.
    ids: Vec<u32>,
    classes: Vec<glib::Quark>,
    levels: Vec<f32>,
}

impl Attacher {
    /// Puts `mask` on `buffer`, beside what other elements have found on it. Its buffers were [`described`]; `objects`
    /// are those of its labels.
    pub fn attach(
        &mut self,
        buffer: &mut gst::BufferRef,
        mask: &Mask,
        objects: &[Object],
        classes: &[Class],
    ) -> Result<(), glib::BoolError> {
        self.names.clear();
        let names = classes.iter().map(|class| class.name.as_str());
        self.names.extend(names.map(glib::Quark::from_str));
        if buffer.meta::<AnalyticsRelationMeta>().is_none() {
            AnalyticsRelationMeta::add(buffer);
        }
        let mut meta = buffer
            .meta_mut::<AnalyticsRelationMeta>()
            .ok_or_else(|| glib::bool_error!("no relation meta"))?;
        self.set_regions((0..).zip(0..self.names.len()));
        self.add(&mut meta, ffi::GST_SEGMENTATION_TYPE_SEMANTIC, &mask.mask)?;
        if let Some((labels, _)) = &mask.labels {
            let objects = objects.iter().map(|o| (o.number, usize::from(o.class)));
            // The background is a region of its own.
            self.set_regions(std::iter::once((0, 0)).chain(objects));
            self.add(&mut meta, ffi::GST_SEGMENTATION_TYPE_INSTANCE, labels)?;
        }
        Ok(())
    }

    /// Takes regions in by their ids and classes.
    fn set_regions(&mut self, regions: impl Iterator<Item = (u32, usize)>) {
        self.ids.clear();
        self.classes.clear();
        for (id, class) in regions {
            if let Some(name) = self.names.get(class) {
                self.ids.push(id);
                self.classes.push(*name);
            }
        }
        self.levels.resize(self.ids.len(), UNDEFINED);
    }

    /// Adds a segmentation with the regions, and their classes.
    fn add(
        &self,
        meta: &mut RelationMeta,
        kind: ffi::GstSegmentationType,
        mask: &gst::Buffer,
    ) -> Result<(), glib::BoolError> {
        let regions = add_regions(meta, kind, mask, &self.ids)?;
        let classes = meta.add_cls_mtd(&self.levels, &self.classes)?.id();
        meta.set_relation(RelTypes::RELATE_TO, regions, classes)
    }
}

/// Adds a segmentation of the whole frame without names; returns its number in the meta. The bindings lack this.
fn add_regions(
    meta: &mut RelationMeta,
    kind: ffi::GstSegmentationType,
    mask: &gst::Buffer,
    ids: &[u32],
) -> Result<u32, glib::BoolError> {
    let picture = mask.meta::<VideoMeta>();
    let picture = picture.ok_or_else(|| glib::bool_error!("a mask without a video meta"))?;
    let (width, height) = (picture.width(), picture.height());
    let mask = mask.clone().into_glib_ptr();
    let mut handle = MaybeUninit::uninit();
    // SAFETY: `meta` is borrowed for writing, so no other thread has it. The numbers are copied and not changed. The mask
    // is a buffer with a video meta, as asked for, and the reference to it is the meta's from now on. `handle` has
    // room for what is written there.
    let added = unsafe {
        ffi::gst_analytics_relation_meta_add_segmentation_mtd(
            meta.as_mut_ptr(),
            mask,
            kind,
            ids.len(),
            ids.as_ptr().cast_mut(),
            0,
            0,
            width,
            height,
            handle.as_mut_ptr(),
        )
    };
    if added == glib::ffi::GFALSE {
        // SAFETY: the reference was not taken over, so it is still this function's own.
        let mask: gst::Buffer = unsafe { from_glib_full(mask) };
        drop(mask);
        return Err(glib::bool_error!("no room for a segmentation"));
    }
    // SAFETY: it was written, for the function has succeeded.
    let handle: ffi::GstAnalyticsSegmentationMtd = unsafe { handle.assume_init() };
    Ok(handle.id)
}
