//! Whose buffers frames come and go in, and how their rows may lie.

mod common;

use common::frames::{HEIGHT, WIDTH, frame};
use common::{Files, SMALL, element, harness, info};
use gst::prelude::*;
use gst_base::prelude::*;
use gstreamer as gst;
use gstreamer_base as gst_base;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;

/// Lets `answer` say, in the place of what is behind `element`, what buffers that takes.
fn take(
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

/// What the element answers whoever asks what buffers it takes.
fn asked(harness: &Harness, format: &str) -> gst::query::Allocation<gst::Query> {
    let caps = common::caps(format, WIDTH, HEIGHT);
    let mut query = gst::query::Allocation::new(Some(&caps), false);
    assert!(harness.srcpad().unwrap().peer_query(&mut query));
    query
}

/// Whether the element says that rows may lie as a buffer's meta has it.
fn takes_rows(harness: &Harness, format: &str) -> bool {
    let query = asked(harness, format);
    query
        .find_allocation_meta::<gst_video::VideoMeta>()
        .is_some()
}

/// Where frames go out in the buffers that they came in, their rows lie as downstream takes them: it reads them without
/// a meta that says how, unless it has said that it knows that one.
#[test]
fn rows_lie_as_downstream_takes_them() {
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
            take(&element, move |query| {
                if downstream {
                    query.add_allocation_meta::<gst_video::VideoMeta>(None);
                }
            });
            let told = takes_rows(&harness, format);
            assert_eq!(told, !in_place || downstream, "{output} {format}");
        }
    }
}

/// Upstream is told that another output takes other rows.
#[test]
fn another_output_has_upstream_ask_again() {
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
        let told = events.any(|event| event.type_() == gst::EventType::Reconfigure);
        assert!(told, "{output}");
        assert_eq!(takes_rows(&harness, "GRAY8"), takes, "{output}");
    }
}

/// After another output frames come in downstream's buffers, or in those of its pool, as from the beginning.
#[test]
fn another_output_takes_the_buffers_that_it_is_given() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let size = info("GRAY8", WIDTH, HEIGHT).size();
    for asks_first in [false, true] {
        let element = element(&model, &[("output", "none")]);
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let offered = gst::BufferPool::new();
        let pool = offered.clone();
        take(&element, move |query| {
            query.add_allocation_pool(Some(&pool), size as u32, 2, 0);
        });
        drop(harness.push_and_pull(frame(0)).unwrap());
        let transform = element.downcast_ref::<gst_base::BaseTransform>().unwrap();
        assert!(transform.buffer_pool().is_none());
        element.set_property_from_str("output", "mask");
        if asks_first {
            asked(&harness, "GRAY8");
        }
        drop(harness.push_and_pull(frame(1)).unwrap());
        assert_eq!(transform.buffer_pool(), Some(offered.clone()));
        assert!(offered.is_active(), "no buffer is taken of it");
        element.set_property_from_str("output", "none");
        drop(harness.push_and_pull(frame(2)).unwrap());
        assert!(transform.buffer_pool().is_none());
    }
}
