//! How frames can be scheduled in the element: its promises hold in each case.

use std::fmt::{self, Display};
use std::path::Path;

use gstreamer as gst;
use gstreamer_check::Harness;

use super::watch::bus_of;
use super::{element, harness};

/// Values of the properties `mode` and `frames-in-flight`.
#[derive(Clone, Copy, Debug)]
pub struct Scheduling {
    pub mode: &'static str,
    pub in_flight: &'static str,
}

/// Frames wait for their masks, and pass one after the other on the streaming thread.
pub const SEQUENTIAL: Scheduling = Scheduling {
    mode: "sync",
    in_flight: "1",
};

/// Frames wait for their masks, and the next one comes in before the last one is out.
pub const OVERLAPPING: Scheduling = Scheduling {
    mode: "sync",
    in_flight: "2",
};

/// Frames pass at once, with the newest mask, however many may be in flight.
pub const LATEST: Scheduling = Scheduling {
    mode: "latest",
    in_flight: "2",
};

pub const SCHEDULINGS: [Scheduling; 3] = [SEQUENTIAL, OVERLAPPING, LATEST];

impl Scheduling {
    pub fn is_latest(self) -> bool {
        self.mode == "latest"
    }

    pub fn properties(self) -> [(&'static str, &'static str); 2] {
        [("mode", self.mode), ("frames-in-flight", self.in_flight)]
    }

    /// The element with `properties`, in a harness for grey frames, with this scheduling, and its bus.
    pub fn start(
        self,
        model: &Path,
        properties: &[(&str, &str)],
        (width, height): (usize, usize),
    ) -> (gst::Element, Harness, gst::Bus) {
        let element = element(model, &[&self.properties()[..], properties].concat());
        let harness = harness(&element, "GRAY8", width, height);
        let bus = bus_of(&element);
        (element, harness, bus)
    }
}

impl Display for Scheduling {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} {}", self.mode, self.in_flight)
    }
}
