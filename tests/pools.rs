//! Buffers of other elements, of which there may be few: upstream learns how many the element keeps, and waiting for
//! those of downstream does not count as latency.

mod common;

use std::thread;
use std::time::Duration;

use common::frames::{HEIGHT, WIDTH, frame};
use common::process::alone;
use common::schedulings::{LATEST, OVERLAPPING, SCHEDULINGS, SEQUENTIAL, Scheduling};
use common::watch::wait;
use common::{Files, SMALL, element, harness, info};
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_check::Harness;

/// Lets downstream offer a pool of buffers of `size` bytes, of which it needs `min` and has `max`, or any number of
/// them with 0.
fn offer(element: &gst::Element, (size, min, max): (usize, u32, u32)) -> gst::BufferPool {
    let offered = gst::BufferPool::new();
    let (pool, size) = (offered.clone(), u32::try_from(size).unwrap());
    let pad = element.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(query) = query.view_mut()
        {
            query.add_allocation_pool(Some(&pool), size, min, max);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
    offered
}

/// A pool, if there is one, with the size of its buffers, how many are needed, and the most.
type Pool = (Option<gst::BufferPool>, u32, u32, u32);

/// The pools in the element's answer to an allocation query from upstream.
fn pools(harness: &Harness) -> Vec<Pool> {
    let caps = common::caps("GRAY8", WIDTH, HEIGHT);
    let mut query = gst::query::Allocation::new(Some(&caps), true);
    assert!(harness.srcpad().unwrap().peer_query(&mut query));
    query.allocation_pools().collect()
}

#[test]
fn upstream_learns_how_many_buffers_are_kept() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let size = info("GRAY8", WIDTH, HEIGHT).size() as u32;
    let many = Scheduling {
        in_flight: "5",
        ..OVERLAPPING
    };
    for (scheduling, kept) in [(SEQUENTIAL, 2), (OVERLAPPING, 3), (many, 6), (LATEST, 4)] {
        // In place, so that downstream is asked, and not.
        for output in ["none", "mask"] {
            let properties = [("output", output)];
            let (_element, harness, _bus) = scheduling.start(&model, &properties, (WIDTH, HEIGHT));
            let expected: Pool = (None, size, kept, 0);
            assert_eq!(pools(&harness), [expected], "{scheduling} {output}");
        }
    }
}

/// Where frames go out in the buffers that they came in, downstream keeps some of them, too. A pool of downstream that
/// can't have as many is not offered.
#[test]
fn buffers_that_downstream_keeps_are_counted_too() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let size = info("GRAY8", WIDTH, HEIGHT).size();
    for (max, suffices) in [(0, true), (4, true), (3, false)] {
        let properties = [("output", "none"), ("frames-in-flight", "1")];
        let element = element(&model, &properties);
        let pool = offer(&element, (size, 2, max));
        let harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        let expected: Pool = if suffices {
            (Some(pool), size as u32, 4, max)
        } else {
            (None, size as u32, 4, 0)
        };
        assert_eq!(pools(&harness), [expected], "{max}");
    }
}

/// How long a buffer takes to come back.
const HELD: Duration = Duration::from_millis(300);

#[test]
fn latency_excludes_waiting_for_buffers_of_downstream() {
    let _alone = alone();
    let files = Files::new();
    let model = files.model(&SMALL);
    for scheduling in SCHEDULINGS {
        let element = element(&model, &scheduling.properties());
        let pool = offer(&element, (info("RGBA", WIDTH, HEIGHT).size(), 2, 2));
        let mut harness = harness(&element, "GRAY8", WIDTH, HEIGHT);
        wait("the model", || {
            let provider: Option<String> = element.property("active-provider");
            provider.is_some()
        });
        drop(harness.push_and_pull(frame(0)).unwrap());
        assert!(pool.is_active(), "no buffer is taken of it");
        let pad = element.static_pad("sink").unwrap();
        let pushing = thread::spawn(move || {
            for number in 1..=4 {
                pad.chain(frame(number)).unwrap();
            }
        });
        for _ in 0..4 {
            thread::sleep(HELD);
            drop(harness.pull().unwrap());
        }
        pushing.join().unwrap();
        let latency = harness.query_latency().unwrap();
        assert!(Duration::from(latency) < HELD, "{scheduling}: {latency}");
    }
}
