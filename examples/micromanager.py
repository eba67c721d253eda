#!/usr/bin/python3
"""Lets the contents of the picture control a microscope: Micro-Manager's frames go through the element as they come,
and messages of its `trigger` set the exposure: short while there are many objects, long otherwise. The program counts
nothing itself: the element reports when the condition starts and stops holding. The camera is Micro-Manager's
DemoCamera, which shows beads; for another one, call `core.loadSystemConfiguration("my.cfg")` instead.

    pip install pymmcore-plus mm-test-adapters numpy
    python3 examples/micromanager.py models/nuclei-fluo.int8.onnx

This needs a Python with GStreamer: Debian's python3-gi and gir1.2-gst-plugins-base-1.0 are for /usr/bin/python3.
"""

import sys
import time

import gi
import mm_test_adapters
import numpy as np
from pymmcore_plus import CMMCorePlus

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401 - GstApp gives appsrc its methods

# Time limit.
SECONDS = 60
# Starts holding at 25 objects and stops below 15, so that a count in between does not switch back and forth.
TRIGGER = "objects >= 25 until 15"
# GStreamer's formats by bytes per pixel.
FORMATS = {1: "GRAY8", 2: "GRAY16_LE"}
# Exposure in ms, while the condition holds and otherwise.
SHORT, LONG = 20, 100


def camera():
    """The core with its camera, 12 bits in 16."""
    core = CMMCorePlus(mm_path=mm_test_adapters.device_adapter_path())
    core.loadDevice("Camera", "DemoCamera", "DCam")
    core.initializeDevice("Camera")
    core.setCameraDevice("Camera")
    settings = {"PixelType": "16bit", "BitDepth": "12", "Mode": "Fluorescent Beads", "BeadSize": "10", "BeadDensity": "40"}
    for name, value in settings.items():
        core.setProperty("Camera", name, value)
    core.setExposure(LONG)
    return core


def rows(picture):
    """The bytes of a picture, with rows padded to a multiple of four bytes, as GStreamer expects."""
    missing = -picture.shape[1] % (4 // picture.itemsize)
    return np.pad(picture, ((0, 0), (0, missing))).tobytes()


def steer(core, fields):
    """Sets the exposure according to a message of the trigger; returns whether the condition starts holding."""
    begins = fields.get_value("active")
    core.setExposure(SHORT if begins else LONG)
    what = "begins" if begins else "ends"
    print(f"trigger {what} at {fields.get_value('value'):.0f} objects: exposure {core.getExposure():.0f} ms", flush=True)
    return begins


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: micromanager.py MODEL.onnx")
    Gst.init(None)
    core = camera()
    # mode=latest: the camera is never held up, and each frame has the newest mask there is.
    pipeline = Gst.parse_launch(
        "appsrc name=camera is-live=true do-timestamp=true format=time ! "
        "unetsegment name=segment mode=latest output=none ! fakesink sync=false"
    )
    source = pipeline.get_by_name("camera")
    segment = pipeline.get_by_name("segment")
    segment.set_property("model-file", sys.argv[1])
    segment.set_property("trigger", TRIGGER)
    # In ms: no condition holds with an older mask. A slow processor takes a second for each.
    segment.set_property("max-mask-age", 10_000)
    form = FORMATS.get(core.getBytesPerPixel())
    if form is None:
        sys.exit("the camera has to deliver grey pictures of 8 or 16 bits")
    size = f"width={core.getImageWidth()},height={core.getImageHeight()}"
    source.set_property("caps", Gst.Caps.from_string(f"video/x-raw,format={form},{size},framerate=0/1"))
    try:
        pipeline.set_state(Gst.State.PLAYING)
        core.startContinuousSequenceAcquisition(0)
        run(core, source, pipeline.get_bus())
        print(segment.get_property("stats").to_string())
    finally:
        core.stopSequenceAcquisition()
        pipeline.set_state(Gst.State.NULL)


def run(core, source, bus):
    """Runs until the condition has started and stopped holding, or for SECONDS."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        while core.getRemainingImageCount() > 0:
            source.push_buffer(Gst.Buffer.new_wrapped(rows(core.popNextImage())))
        message = bus.timed_pop_filtered(Gst.MSECOND, Gst.MessageType.ELEMENT | Gst.MessageType.ERROR)
        if message is None:
            continue
        if message.type == Gst.MessageType.ERROR:
            sys.exit(f"error: {message.parse_error()[0].message}")
        if message.get_structure().get_name() != "unetsegment-trigger":
            continue
        if not steer(core, message.get_structure()):
            return
        # As if the stage moved to a place with fewer beads.
        core.setProperty("Camera", "BeadDensity", "10")


if __name__ == "__main__":
    main()
