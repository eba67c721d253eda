#!/usr/bin/env python3
"""Counts what is on each frame of a stream: objects by the element's messages, pixels by the mask that rides on the
frame. count.rs and count.c are the same program in other languages.

    python3 examples/count.py models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"

Takes GObject introspection and numpy: python3-gst-1.0, python3-numpy.
"""

import sys
from collections import deque

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp  # noqa: E402, F401

SOURCE = "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256"


def mask_of(frame):
    """The class of each pixel, an array of height x width."""
    fields = frame.get_custom_meta("GstUNetSegmentMask").get_structure()
    size = fields.get_value("caps").get_structure(0)
    mask = fields.get_value("mask")
    bytes_of_it = mask.extract_dup(0, mask.get_size())
    shape = (size.get_value("height"), size.get_value("width"))
    return np.frombuffer(bytes_of_it, np.uint8).reshape(shape)


def listen(bus, told):
    """Takes all messages off the bus: the objects that they tell of a frame go to the end of `told`, and the first
    error is returned. Whoever asks a bus for messages of one kind alone loses those before them."""
    error = None
    while message := bus.pop_filtered(Gst.MessageType.ELEMENT | Gst.MessageType.ERROR):
        if message.type == Gst.MessageType.ERROR:
            error = error or message.parse_error()[0].message
        elif message.get_structure().get_name() == "unetsegment":
            told.append(message.get_structure().get_value("objects"))
    return error


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: count.py MODEL.onnx [SOURCE]")
    Gst.init(None)
    source = sys.argv[2] if len(sys.argv) == 3 else SOURCE
    # videoconvert leaves alone what the element takes: 16 bits stay.
    text = (
        f"{source} ! videoconvert ! "
        "unetsegment name=segment output=none post-messages=true ! appsink name=frames sync=false"
    )
    try:
        pipeline = Gst.parse_launch(text)
    except GLib.Error as error:
        sys.exit(error.message)
    pipeline.get_by_name("segment").set_property("model-file", sys.argv[1])
    frames = pipeline.get_by_name("frames")
    bus = pipeline.get_bus()

    # Should this fail, the bus has the reason.
    pipeline.set_state(Gst.State.PLAYING)
    error, told = None, deque()
    while not error and not frames.is_eos():
        sample = frames.try_pull_sample(100 * Gst.MSECOND)
        # What is told of a frame is posted before it goes out.
        error = listen(bus, told)
        if sample:
            mask = mask_of(sample.get_buffer())
            print(f"{told.popleft()} objects, {np.count_nonzero(mask)} pixels")
    pipeline.set_state(Gst.State.NULL)
    if error:
        sys.exit(error)


if __name__ == "__main__":
    main()
