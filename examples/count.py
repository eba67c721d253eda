#!/usr/bin/env python3
"""Counts what is on each frame of a stream: objects by the element's messages, pixels by the mask that rides on the
frame. count.rs and count.c are the same program in other languages.

    python3 examples/count.py models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"

Takes GObject introspection and numpy: python3-gst-1.0, python3-numpy.
"""

import sys

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401

SOURCE = "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256"


def mask_of(frame):
    """The class of each pixel, an array of height x width."""
    fields = frame.get_custom_meta("GstUNetSegmentMask").get_structure()
    size = fields.get_value("caps").get_structure(0)
    mask = fields.get_value("mask")
    bytes_of_it = mask.extract_dup(0, mask.get_size())
    shape = (size.get_value("height"), size.get_value("width"))
    return np.frombuffer(bytes_of_it, np.uint8).reshape(shape)


def objects_told(bus):
    """Objects of the next frame, by the message that was posted before it went out."""
    while message := bus.pop_filtered(Gst.MessageType.ELEMENT):
        fields = message.get_structure()
        if fields.get_name() == "unetsegment":
            return fields.get_value("objects")
    raise RuntimeError("a frame without a message")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: count.py MODEL.onnx [SOURCE]")
    Gst.init(None)
    source = sys.argv[2] if len(sys.argv) == 3 else SOURCE
    pipeline = Gst.parse_launch(
        f"{source} ! videoconvert ! video/x-raw,format=GRAY8 ! "
        "unetsegment name=segment output=none post-messages=true ! appsink name=frames sync=false"
    )
    pipeline.get_by_name("segment").set_property("model-file", sys.argv[1])
    frames = pipeline.get_by_name("frames")
    bus = pipeline.get_bus()

    # Should this fail, the bus has the reason.
    pipeline.set_state(Gst.State.PLAYING)
    error = None
    while not error and not frames.is_eos():
        if sample := frames.try_pull_sample(100 * Gst.MSECOND):
            mask = mask_of(sample.get_buffer())
            print(f"{objects_told(bus)} objects, {np.count_nonzero(mask)} pixels")
        else:
            error = bus.pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if error:
        sys.exit(error.parse_error()[0].message)


if __name__ == "__main__":
    main()
