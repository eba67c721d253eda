#!/usr/bin/env python3
"""Counts objects and pixels on each frame of a stream: objects from the element's messages, pixels from the mask on the
frame. count.rs and count.c are the same program in other languages.

    python3 examples/count.py models/nuclei-fluo.onnx "videotestsrc num-buffers=3 pattern=ball"

Needs GObject introspection and numpy: python3-gst-1.0, python3-numpy.
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
    """The class of each pixel, an array of height x width, or None if the frame has no mask."""
    meta = frame.get_custom_meta("GstUNetSegmentMask")
    if meta is None:
        return None
    fields = meta.get_structure()
    size = fields.get_value("caps").get_structure(0)
    mask = fields.get_value("mask")
    classes = np.frombuffer(mask.extract_dup(0, mask.get_size()), np.uint8)
    return classes.reshape(size.get_value("height"), size.get_value("width"))


def listen(bus, counts):
    """Takes all messages off the bus: numbers of objects are appended to `counts`, and the first error is returned.
    Both kinds are popped at once, because a filtered pop discards the messages that it skips."""
    error = None
    while message := bus.pop_filtered(Gst.MessageType.ELEMENT | Gst.MessageType.ERROR):
        if message.type == Gst.MessageType.ERROR:
            error = error or message.parse_error()[0].message
        elif message.get_structure().get_name() == "unetsegment":
            counts.append(message.get_structure().get_value("objects"))
    return error


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: count.py MODEL.onnx [SOURCE]")
    Gst.init(None)
    source = sys.argv[2] if len(sys.argv) == 3 else SOURCE
    # videoconvert passes formats that the element accepts unchanged: 16 bits stay.
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

    # If this fails, the bus has the reason.
    pipeline.set_state(Gst.State.PLAYING)
    error, counts = None, deque()
    while not error and not frames.is_eos():
        sample = frames.try_pull_sample(100 * Gst.MSECOND)
        # The message about a frame is posted before the frame goes out.
        error = listen(bus, counts)
        if sample:
            mask = mask_of(sample.get_buffer())
            if mask is None:
                print("no mask")
            else:
                print(f"{counts.popleft()} objects, {np.count_nonzero(mask)} pixels")
    pipeline.set_state(Gst.State.NULL)
    if error:
        sys.exit(error)


if __name__ == "__main__":
    main()
