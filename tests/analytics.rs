//! The mask as GStreamer's own analytics meta: an element that knows nothing of the plugin reads the mask of the
//! plugin's own meta there, by reference.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::frames::{HEIGHT, WIDTH, frame};
use common::{Files, SMALL, element, harness};
use glib::translate::from_glib_full;
use gst_analytics::prelude::*;
use gst_analytics::{
    AnalyticsClassificationMtd, AnalyticsMtd, AnalyticsODMtd, AnalyticsRelationMeta, RelTypes, ffi,
};
use gst_video::{VideoFormat, VideoMeta};
use gstreamer as gst;
use gstreamer_analytics as gst_analytics;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;
use gstunetsegment::mask_meta;

/// The kind of meta that the bindings lack.
enum SegmentationMtd {}

// SAFETY: it is the type that GStreamer has for segmentations.
unsafe impl AnalyticsMtd for SegmentationMtd {
    fn mtd_type() -> ffi::GstAnalyticsMtdType {
        // SAFETY: it may be called at any time.
        unsafe { ffi::gst_analytics_segmentation_mtd_get_mtd_type() }
    }
}

/// A segmentation as a stranger reads it.
struct Segmentation {
    mask: gst::Buffer,
    /// Left, top, width and height in the frame.
    place: [i64; 4],
    /// The class of each region by its id.
    regions: BTreeMap<u32, String>,
}

impl Segmentation {
    fn read<'a>(meta: &'a gst::MetaRef<'a, AnalyticsRelationMeta>, id: u32) -> Self {
        let (mut x, mut y, mut width, mut height) = (-1, -1, 0, 0);
        // SAFETY: the meta outlives the handle, and the id is that of a segmentation.
        let (mask, ids) = unsafe {
            let meta = meta.as_mut_ptr();
            let handle = ffi::GstAnalyticsSegmentationMtd { id, meta };
            let mask = ffi::gst_analytics_segmentation_mtd_get_mask(
                &handle,
                &mut x,
                &mut y,
                &mut width,
                &mut height,
            );
            let count = ffi::gst_analytics_segmentation_mtd_get_region_count(&handle);
            let ids = (0..count)
                .map(|index| ffi::gst_analytics_segmentation_mtd_get_region_id(&handle, index));
            (from_glib_full(mask), ids.collect::<Vec<u32>>())
        };
        let related = RelTypes::RELATE_TO;
        let classes: Vec<_> = meta
            .iter_direct_related::<AnalyticsClassificationMtd>(id, related)
            .collect();
        assert_eq!((classes.len(), classes[0].len()), (1, ids.len()));
        let named = ids.iter().zip(classes[0].iterate());
        let regions = named.map(|(id, (name, level))| {
            assert_eq!(level, -1.0, "a confidence that is not known");
            (*id, name.as_str().to_string())
        });
        Segmentation {
            mask,
            place: [x.into(), y.into(), width.into(), height.into()],
            regions: regions.collect(),
        }
    }

    /// Its format and the value of each pixel, by the video meta alone.
    fn pixels(&self) -> (VideoFormat, Vec<u32>) {
        let meta = self.mask.meta::<VideoMeta>().unwrap();
        assert_eq!((meta.n_planes(), meta.offset()), (1, &[0][..]));
        let (width, height) = (meta.width() as usize, meta.height() as usize);
        let bytes = self.mask.map_readable().unwrap();
        let pixel = match meta.format() {
            VideoFormat::Gray8 => 1,
            _ => 2,
        };
        let rows = bytes.chunks(meta.stride()[0] as usize).take(height);
        let values = rows.flat_map(|row| row[..width * pixel].chunks(pixel));
        let value =
            |bytes: &[u8]| u32::from(bytes[0]) + 256 * u32::from(*bytes.get(1).unwrap_or(&0));
        (meta.format(), values.map(value).collect())
    }
}

/// The segmentations in the only analytics meta of a frame.
fn segmentations(frame: &gst::BufferRef) -> Vec<Segmentation> {
    let count = frame.iter_meta::<AnalyticsRelationMeta>().count();
    assert!(count <= 1, "{count} metas");
    let Some(meta) = frame.meta::<AnalyticsRelationMeta>() else {
        return Vec::new();
    };
    let ids: Vec<u32> = meta.iter::<SegmentationMtd>().map(|mtd| mtd.id()).collect();
    ids.into_iter()
        .map(|id| Segmentation::read(&meta, id))
        .collect()
}

/// A mask, or labels, as the plugin's own meta has them.
fn values(buffer: &gst::Buffer, bytes: usize) -> Vec<u32> {
    let map = buffer.map_readable().unwrap();
    let value = |bytes: &[u8]| u32::from(bytes[0]) + 256 * u32::from(*bytes.get(1).unwrap_or(&0));
    map.chunks(bytes).map(value).collect()
}

/// The element that segments bright pixels, in a harness.
fn bright(files: &Files, properties: &[(&str, &str)]) -> (gst::Element, Harness) {
    let element = common::bright(files, properties);
    let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    (element, harness)
}

/// With each output, and in rows of an odd length.
#[test]
fn the_segmentation_refers_to_the_mask() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for output in ["none", "overlay", "mask", "probability"] {
        let element = element(&model, &[("output", output)]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        for number in 0..4 {
            let out = harness.push_and_pull(frame(number)).unwrap();
            let own = mask_meta::of(&out).unwrap();
            let found = segmentations(&out);
            assert_eq!(found.len(), 1, "{output}");
            let found = &found[0];
            assert_eq!(found.mask.as_ptr(), own.mask.as_ptr(), "{output}: a copy");
            assert_eq!(found.place, [0, 0, WIDTH as i64, HEIGHT as i64]);
            let (format, pixels) = found.pixels();
            assert_eq!(format, VideoFormat::Gray8);
            assert_eq!(pixels, values(&own.mask, 1), "{output}");
            assert!(pixels.contains(&0) && pixels.contains(&1), "{output}");
            let classes = [(0, "background".into()), (1, "foreground".into())];
            assert_eq!(found.regions, BTreeMap::from(classes), "{output}");
        }
    }
}

/// Each instance has the class of the mask there.
#[test]
fn labels_become_an_instance_segmentation() {
    let files = Files::new();
    let properties = [
        ("output", "none"),
        ("find-objects", "true"),
        ("track", "true"),
    ];
    let (_element, mut harness) = bright(&files, &properties);
    for number in 0..4 {
        let out = harness.push_and_pull(frame(number)).unwrap();
        let (own, found) = (mask_meta::of(&out).unwrap(), segmentations(&out));
        let [semantic, instances] = &found[..] else {
            panic!("{} segmentations", found.len());
        };
        let (labels, _) = own.labels.unwrap();
        assert_eq!(instances.mask.as_ptr(), labels.as_ptr(), "a copy");
        let (format, pixels) = instances.pixels();
        assert_eq!(format, VideoFormat::Gray16Le);
        assert_eq!(pixels, values(&labels, 2));
        let mut expected = BTreeMap::new();
        let (_, classes) = semantic.pixels();
        for (label, class) in pixels.iter().zip(&classes) {
            // Objects that are too small do not count, though the mask has them.
            let class = if *label == 0 { &0 } else { class };
            expected.insert(*label, semantic.regions[class].clone());
        }
        assert!(expected.len() > 2, "{} regions", expected.len());
        assert_eq!(instances.regions, expected, "frame {number}");
    }
}

/// Every second frame carries the mask of the one before, which is too old by then.
#[test]
fn stale_masks_make_no_segmentation() {
    let files = Files::new();
    let properties = [
        ("output", "none"),
        ("inference-interval", "2"),
        ("max-mask-age", "1"),
    ];
    let (_element, mut harness) = bright(&files, &properties);
    for number in 0..4 {
        std::thread::sleep(Duration::from_millis(5));
        let out = harness.push_and_pull(frame(number)).unwrap();
        let stale = number % 2 == 1;
        assert_eq!(mask_meta::of(&out).unwrap().stale, stale, "frame {number}");
        assert_eq!(
            segmentations(&out).len(),
            usize::from(!stale),
            "frame {number}"
        );
    }
}

/// Objects that another element has found stay on the frame, and a second network adds its own.
#[test]
fn segmentations_join_an_existing_meta() {
    let files = Files::new();
    for output in ["none", "overlay", "mask"] {
        let (_element, mut harness) = bright(&files, &[("output", output)]);
        let mut frame = frame(0);
        let mut meta = AnalyticsRelationMeta::add(frame.get_mut().unwrap());
        let name = glib::Quark::from_str("cell");
        meta.add_od_mtd(name, 1, 2, 3, 4, 0.5).unwrap();
        let out = harness.push_and_pull(frame).unwrap();
        assert_eq!(segmentations(&out).len(), 1, "{output}");
        let meta = out.meta::<AnalyticsRelationMeta>().unwrap();
        let detected = meta.iter::<AnalyticsODMtd>();
        let names: Vec<_> = detected.map(|mtd| mtd.obj_type()).collect();
        assert_eq!(names, [Some(name)], "{output}");
    }
    let (_first, mut first) = bright(&files, &[("output", "none")]);
    let (_second, mut second) = bright(&files, &[("output", "none")]);
    let out = second.push_and_pull(first.push_and_pull(frame(0)).unwrap());
    let found = segmentations(&out.unwrap());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].pixels(), found[1].pixels());
    assert_ne!(found[0].mask.as_ptr(), found[1].mask.as_ptr());
}

/// Even when the frame that they were found on is long gone.
#[test]
fn segmentations_survive_copies_and_conversions() {
    let files = Files::new();
    let (_element, mut segment) = bright(&files, &[("output", "none")]);
    let mut convert = Harness::new_parse("videoconvert ! capsfilter caps=video/x-raw,format=RGBA");
    convert.set_src_caps(common::caps("GRAY8", WIDTH, HEIGHT));
    let mut kept = Vec::new();
    for number in 0..8 {
        let out = segment.push_and_pull(frame(number)).unwrap();
        let expected = values(&mask_meta::of(&out).unwrap().mask, 1);
        let copied = out.copy_deep().unwrap();
        kept.push((convert.push_and_pull(out).unwrap(), expected.clone()));
        kept.push((copied, expected));
    }
    for (frame, expected) in kept {
        let found = segmentations(&frame);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pixels().1, expected);
    }
}
