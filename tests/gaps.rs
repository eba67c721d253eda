//! Where only maps go out and a frame has none, a gap event goes out in its place, so that downstream does not wait for
//! it.

mod common;

use std::sync::{Arc, Mutex};

use common::frames::{HEIGHT, WIDTH};
use common::pipelines::{end, launch};
use common::schedulings::{LATEST, OVERLAPPING, SEQUENTIAL, Scheduling};
use common::watch::{Hold, stats, wait};
use common::{Files, SMALL, cells, foreign, gray8, timed};
use gst::prelude::*;
use gstreamer as gst;
use gstunetsegment::onnx::{Attribute, AttributeType, DataType, Graph, Node, Tensor};

/// Leaves the element for the frame of this number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Map(u64),
    Gap(u64, Option<gst::ClockTime>),
}

impl Out {
    fn number(self) -> u64 {
        match self {
            Out::Map(number) | Out::Gap(number, _) => number,
        }
    }

    fn is_gap(self) -> bool {
        matches!(self, Out::Gap(..))
    }
}

/// A gap as long as a frame.
fn gap(number: u64) -> Out {
    Out::Gap(number, Some(gst::ClockTime::from_mseconds(40)))
}

/// Records what leaves `element` for frames at 25 a second.
fn record(element: &gst::Element) -> Arc<Mutex<Vec<Out>>> {
    let seen: Arc<Mutex<Vec<Out>>> = Arc::default();
    let noted = seen.clone();
    let pad = element.static_pad("src").unwrap();
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        let number = |time: gst::ClockTime| time.mseconds() / 40;
        let out = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => buffer.pts().map(number).map(Out::Map),
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Gap(gap) => {
                    let (time, duration) = gap.get();
                    Some(Out::Gap(number(time), duration))
                }
                _ => None,
            },
            _ => None,
        };
        noted.lock().unwrap().extend(out);
        gst::PadProbeReturn::Ok
    });
    seen
}

/// Frame `number`, with times and cells of its own, none of which is brighter than half of white, and one pixel of the
/// value `brightest`.
fn frame(number: u64, brightest: u8) -> gst::Buffer {
    let mut pixels = cells(WIDTH, HEIGHT, number);
    pixels.iter_mut().for_each(|pixel| *pixel /= 2);
    pixels[5] = brightest;
    let mut frame = timed(&pixels, WIDTH, HEIGHT, number);
    let times = frame.get_mut().unwrap();
    times.set_duration(gst::ClockTime::from_mseconds(40));
    frame
}

/// With `mode=latest`, in which frames do not wait for it.
#[test]
fn gaps_replace_maps_before_the_first_mask() {
    let files = Files::new();
    let model = files.model(&SMALL);
    for output in ["mask", "labels", "probability", "uncertainty"] {
        let properties = [("output", output), ("check-seams", "true")];
        let (element, mut harness, bus) = LATEST.start(&model, &properties, (WIDTH, HEIGHT));
        let seen = record(&element);
        let held = Hold::network(&bus);
        for number in 0..6 {
            harness.push(frame(number, 0)).unwrap();
        }
        // Without a time, there is nothing to wait for.
        let untimed = gray8(&cells(WIDTH, HEIGHT, 6), WIDTH, HEIGHT);
        harness.push(untimed).unwrap();
        let gaps: Vec<_> = (0..6).map(gap).collect();
        assert_eq!(*seen.lock().unwrap(), gaps, "{output}");
        let pad = element.static_pad("src").unwrap();
        let end = gst::ClockTime::from_mseconds(6 * 40);
        assert_eq!(
            pad.query_position::<gst::ClockTime>(),
            Some(end),
            "{output}"
        );
        drop(held);
        let mut number = 6;
        wait("maps", || {
            harness.push(frame(number, 0)).unwrap();
            number += 1;
            stats(&element, "out") > 2
        });
        let seen = seen.lock().unwrap();
        let numbers: Vec<_> = seen.iter().map(|out| out.number()).collect();
        assert_eq!(numbers, (0..number).collect::<Vec<_>>(), "{output}");
        // Frames with gaps count as dropped.
        let gaps = seen.iter().filter(|out| out.is_gap()).count() as u64;
        let counted = ["in", "out", "dropped"].map(|name| stats(&element, name));
        assert_eq!(counted, [number + 1, number - gaps, gaps + 1], "{output}");
    }
}

/// Makes a network fail where a picture has a pixel of more than 200 counts: its scores are divided by 1, or by 0.
fn fail_on_bright(graph: &mut Graph) {
    let (picture, scores) = (graph.input[0].name.clone(), graph.output[0].name.clone());
    let limit = Tensor::of_floats("limit".into(), &[1], &[200.0 / 255.0]);
    graph.initializer.push(limit);
    graph.node.last_mut().unwrap().output = vec!["before".into()];
    let node = |op: &str, inputs: &[&str], output: &str| Node {
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        name: output.into(),
        op_type: op.into(),
        ..Default::default()
    };
    let number = |name: &str, i: i64| Attribute {
        name: name.into(),
        i,
        r#type: AttributeType::Int as i32,
        ..Default::default()
    };
    let mut brightest = node("ReduceMax", &[picture.as_str()], "brightest");
    brightest.attribute.push(number("keepdims", 1));
    let mut divisor = node("Cast", &["dark"], "divisor");
    divisor.attribute.push(number("to", DataType::Float as i64));
    graph.node.extend([
        brightest,
        node("Less", &["brightest", "limit"], "dark"),
        divisor,
        node("Div", &["before", "divisor"], &scores),
    ]);
}

/// In the order of frames, even where these overlap.
#[test]
fn gaps_replace_maps_once_the_network_has_failed() {
    let files = Files::new();
    let failing = files.write("fails.onnx", &foreign(&SMALL, fail_on_bright));
    let sound = files.model(&SMALL);
    let properties = [
        ("output", "mask"),
        ("on-error", "passthrough"),
        ("normalization", "fixed"),
        ("value-range", "0,255"),
    ];
    let many = Scheduling {
        in_flight: "4",
        ..OVERLAPPING
    };
    for scheduling in [SEQUENTIAL, OVERLAPPING, many] {
        let (element, mut harness, _bus) = scheduling.start(&failing, &properties, (WIDTH, HEIGHT));
        let seen = record(&element);
        for (number, brightest) in (0..).zip([100, 100, 255, 100, 100]) {
            harness.push(frame(number, brightest)).unwrap();
        }
        wait("all of them", || seen.lock().unwrap().len() == 5);
        let expected = [Out::Map(0), Out::Map(1), gap(2), gap(3), gap(4)];
        assert_eq!(*seen.lock().unwrap(), expected, "{scheduling}");
        let counted = ["in", "out", "dropped"].map(|name| stats(&element, name));
        assert_eq!(counted, [5, 2, 3], "{scheduling}");
        // With another model, maps follow upon gaps.
        element.set_property("model-file", sound.to_str().unwrap());
        let mut number = 5;
        wait("maps of another model", || {
            harness.push(frame(number, 100)).unwrap();
            number += 1;
            stats(&element, "out") > 4
        });
        assert!(harness.push_event(gst::event::Eos::new()));
        let seen = seen.lock().unwrap();
        let numbers: Vec<_> = seen.iter().map(|out| out.number()).collect();
        assert_eq!(numbers, (0..number).collect::<Vec<_>>(), "{scheduling}");
        let mut kinds: Vec<_> = seen.iter().map(|out| out.is_gap()).collect();
        kinds.dedup();
        assert_eq!(kinds, [false, true, false], "{scheduling}");
    }
}

/// An element that shows the maps beside the frames goes on even without any map: otherwise it would hold back the
/// frames that the network is to see.
#[test]
fn another_branch_does_not_wait_for_maps() {
    let files = Files::new();
    let model = files.model(&SMALL);
    let text = format!(
        "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=GRAY8,width=96,height=64,framerate=25/1 ! \
         tee name=frames \
         frames. ! queue max-size-buffers=5 ! both.sink_0 compositor name=both ! fakesink \
         frames. ! queue ! unetsegment model-file={} mode=latest output=mask check-seams=true ! both.sink_1",
        model.display()
    );
    let pipeline = launch(&text);
    let held = Hold::network(&pipeline.bus().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    end(&pipeline);
    drop(held);
    pipeline.set_state(gst::State::Null).unwrap();
}
