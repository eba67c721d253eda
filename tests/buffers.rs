//! The buffers in which frames come and go, and the layout of their rows.

mod common;

use common::frames::{HEIGHT, WIDTH, frame};
use common::{Files, SMALL, cells, element, harness, info, mask_of};
use gst::prelude::*;
use gst_base::prelude::*;
use gstreamer as gst;
use gstreamer_base as gst_base;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;

/// Lets `answer` answer allocation queries in the place of the element behind `element`.
fn answer_allocation(
    element: &gst::Element,
    answer: impl Fn(&mut gst::query::Allocation) + Send + Sync + 'static,
) {
    let pad = element.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(query) = query.view_mut()
        {
            answer(query);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

/// The element's answer to an allocation query from upstream.
fn allocation(harness: &Harness, format: &str) -> gst::query::Allocation<gst::Query> {
    let caps = common::caps(format, WIDTH, HEIGHT);
    let mut query = gst::query::Allocation::new(Some(&caps), false);
    assert!(harness.srcpad().unwrap().peer_query(&mut query));
    query
}

/// Whether the element accepts rows in the layout of a buffer's video meta.
fn takes_rows(harness: &Harness, format: &str) -> bool {
    let query = allocation(harness, format);
    query
        .find_allocation_meta::<gst_video::VideoMeta>()
        .is_some()
}

/// Where frames go out in the buffers that they came in, downstream reads their rows: without the video meta that has
/// their layout, unless it has said that it knows that meta.
#[test]
fn padded_rows_are_accepted_only_if_downstream_reads_them() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (output, format, in_place) in [
        ("none", "GRAY8", true),
        ("none", "I420", true),
        ("overlay", "RGB", true),
        ("overlay", "GRAY8", false),
        ("mask", "RGB", false),
    ] {
        for downstream in [false, true] {
            let element = element(&model, &[("output", output)]);
            let harness = harness(&element, format, WIDTH, HEIGHT);
            answer_allocation(&element, move |query| {
                if downstream {
                    query.add_allocation_meta::<gst_video::VideoMeta>(None);
                }
            });
            let takes = takes_rows(&harness, format);
            assert_eq!(takes, !in_place || downstream, "{output} {format}");
        }
    }
}

/// A decoder that is offered the meta sends frames that are larger than their caps, and leaves it to others to crop
/// them.
#[test]
fn no_uncropped_frames_are_asked_for() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (output, format) in [("none", "GRAY8"), ("overlay", "I420"), ("mask", "GRAY8")] {
        let element = element(&model, &[("output", output)]);
        let harness = harness(&element, format, WIDTH, HEIGHT);
        answer_allocation(&element, |query| {
            query.add_allocation_meta::<gst_video::VideoCropMeta>(None);
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
        });
        let query = allocation(&harness, format);
        let crop = query.find_allocation_meta::<gst_video::VideoCropMeta>();
        assert_eq!(crop, None, "{output}");
        assert!(takes_rows(&harness, format), "{output}");
    }
}

/// Another output accepts other rows, of which upstream has to learn.
#[test]
fn another_output_makes_upstream_reconfigure() {
    let files = Files::new();
    let element = element(&files.model(&SMALL), &[("output", "mask")]);
    let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
    drop(harness.push_and_pull(frame(0)).unwrap());
    assert!(takes_rows(&harness, "GRAY8"));
    for (output, takes) in [("none", false), ("overlay", true), ("none", false)] {
        while harness.try_pull_upstream_event().is_some() {}
        element.set_property_from_str("output", output);
        drop(harness.push_and_pull(frame(1)).unwrap());
        let mut events = std::iter::from_fn(|| harness.try_pull_upstream_event());
        let asked = events.any(|event| event.type_() == gst::EventType::Reconfigure);
        assert!(asked, "{output}");
        assert_eq!(takes_rows(&harness, "GRAY8"), takes, "{output}");
    }
}

/// After a change of output frames use the buffers of downstream, or those of its pool, as after the start.
#[test]
fn another_output_uses_the_pool_of_downstream() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let size = info("GRAY8", WIDTH, HEIGHT).size();
    for asks_first in [false, true] {
        let element = element(&model, &[("output", "none")]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let offered = gst::BufferPool::new();
        let pool = offered.clone();
        answer_allocation(&element, move |query| {
            query.add_allocation_pool(Some(&pool), size as u32, 2, 0);
        });
        drop(harness.push_and_pull(frame(0)).unwrap());
        let transform = element.downcast_ref::<gst_base::BaseTransform>().unwrap();
        assert!(transform.buffer_pool().is_none());
        element.set_property_from_str("output", "mask");
        if asks_first {
            allocation(&harness, "GRAY8");
        }
        drop(harness.push_and_pull(frame(1)).unwrap());
        assert_eq!(transform.buffer_pool(), Some(offered.clone()));
        assert!(offered.is_active(), "no buffer is taken of it");
        element.set_property_from_str("output", "none");
        drop(harness.push_and_pull(frame(2)).unwrap());
        assert!(transform.buffer_pool().is_none());
    }
}

/// A frame in one memory up to each of these bytes, and one for the rest.
fn cut(format: &str, cuts: &[usize]) -> gst::Buffer {
    let size = info(format, WIDTH, HEIGHT).size();
    let picture = cells(WIDTH, HEIGHT, 1).into_iter().cycle();
    let bytes: Vec<u8> = picture.take(size).collect();
    let mut buffer = gst::Buffer::new();
    let places = [&[0][..], cuts, &[size]].concat();
    for ends in places.windows(2) {
        let part = &bytes[ends[0]..ends[1]];
        let mut memory = gst::Memory::with_size(part.len());
        let bytes = memory.get_mut().unwrap().map_writable();
        bytes.unwrap().copy_from_slice(part);
        buffer.get_mut().unwrap().append_memory(memory);
    }
    buffer
}

/// Many cameras have a memory for each plane. Their pools take no buffer back that has another one.
#[test]
fn planes_stay_in_memories_of_their_own() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for (format, output) in [("NV12", "none"), ("NV12", "overlay"), ("I420", "overlay")] {
        let properties = [
            ("output", output),
            ("post-messages", "true"),
            ("post-objects", "true"),
        ];
        let element = element(&model, &properties);
        let mut harness = harness(&element, format, WIDTH, HEIGHT);
        let mut played = |frame: gst::Buffer| {
            let out = harness.push_and_pull(frame).unwrap();
            let memories = out.n_memory();
            let pixels = out.map_readable().unwrap().to_vec();
            (memories, pixels, mask_of(&out).0)
        };
        let (_, pixels, mask) = played(cut(format, &[]));
        let planes = info(format, WIDTH, HEIGHT).offset()[1..].to_vec();
        let expected = (planes.len() + 1, pixels.clone(), mask.clone());
        assert!(
            played(cut(format, &planes)) == expected,
            "{format} {output}"
        );
        let mut read_only = gst::Buffer::new();
        for memory in cut(format, &planes).iter_memories() {
            let bytes = memory.map_readable().unwrap().to_vec();
            let memory = gst::Memory::from_slice(bytes);
            read_only.get_mut().unwrap().append_memory(memory);
        }
        let (_, others, other) = played(read_only);
        assert!(others == pixels && other == mask, "{format} {output}");
        // No memory is that of a plane.
        let (_, others, other) = played(cut(format, &[100]));
        assert!(others == pixels && other == mask, "{format} {output}");
    }
}
