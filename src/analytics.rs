//! The mask as GStreamer's own analytics meta, for elements and programs that don't know this plugin: the cargo
//! feature `analytics`, which needs GStreamer 1.26.
//!
//! A frame whose mask is not stale carries, besides [`mask_meta`](crate::mask_meta), a `GstAnalyticsRelationMeta` with
//! a `GstAnalyticsSegmentationMtd` of the semantic type, whose region ids are the values of the mask, and, if the frame
//! has labels, after it one of the instance type, whose region ids are the numbers of the objects. Each is related to a
//! `GstAnalyticsClsMtd` with the class name of each region, by region index. The masks are the buffers of
//! [`mask_meta`](crate::mask_meta) themselves, each with a `GstVideoMeta`.

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

/// Confidence of a class if it is unknown.
const UNDEFINED: f32 = -1.0;

/// Adds the video meta that a segmentation mask needs: a picture in rows without padding.
pub fn with_video_meta(
    mut buffer: gst::Buffer,
    caps: &gst::CapsRef,
) -> Result<gst::Buffer, glib::BoolError> {
    let info = gst_video::VideoInfo::from_caps(caps)?;
    // Not the stride of the caps, whose rows are padded.
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

/// Attaches masks to frames. Keeps its working memory, so that a frame needs no allocation.
#[derive(Default)]
pub struct Attacher {
    /// Names of the classes.
    names: Vec<glib::Quark>,
    /// Id, class name and confidence of each region.
    ids: Vec<u32>,
    classes: Vec<glib::Quark>,
    levels: Vec<f32>,
}

impl Attacher {
    /// Attaches `mask` to `buffer`, beside the results of other elements. The buffers of the mask must have their
    /// [video meta](with_video_meta); `objects` are those of its labels.
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
            // The background is a region too.
            self.set_regions(std::iter::once((0, 0)).chain(objects));
            self.add(&mut meta, ffi::GST_SEGMENTATION_TYPE_INSTANCE, labels)?;
        }
        Ok(())
    }

    /// Sets the regions by their ids and classes.
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

    /// Adds a segmentation with the regions and their classes.
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

/// Adds a segmentation of the whole frame without class names; returns its id in the meta. Not in the bindings.
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
    // SAFETY: `meta` is borrowed mutably, so no other thread uses it. The ids are copied and not changed. The mask is a
    // buffer with a video meta, as required, and the meta takes over the reference to it. `handle` has room for what
    // is written there.
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
        // SAFETY: on failure the reference is not taken over, so this function still owns it.
        let mask: gst::Buffer = unsafe { from_glib_full(mask) };
        drop(mask);
        return Err(glib::bool_error!("no room for a segmentation"));
    }
    // SAFETY: the function has succeeded, so it was written.
    let handle: ffi::GstAnalyticsSegmentationMtd = unsafe { handle.assume_init() };
    Ok(handle.id)
}
