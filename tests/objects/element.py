"""The element, fed with arrays: what labels.py and tra.py share."""

import sys

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401 - GstApp gives appsrc its methods

# check.sh says where the examples are.
from log import plain  # noqa: E402

Gst.init(None)
FORMATS = {1: "GRAY8", 2: "GRAY16_LE"}


def array(buffer, caps, kind):
    """The grey picture in a buffer, whose rows may be longer than the picture."""
    size = caps.get_structure(0)
    rows = np.frombuffer(buffer.extract_dup(0, buffer.get_size()), kind)
    return rows.reshape(size.get_value("height"), -1)[:, : size.get_value("width")]


def frames(model, pictures, properties):
    """Labels, classes and message of each grey picture; pictures of one pipeline have one size."""
    pipeline = Gst.parse_launch(
        f"appsrc name=in format=time ! unetsegment name=segment output=labels post-messages=true {properties} ! "
        "appsink name=out sync=false"
    )
    pipeline.get_by_name("segment").set_property("model-file", str(model))
    source, sink, bus = pipeline.get_by_name("in"), pipeline.get_by_name("out"), pipeline.get_bus()
    pipeline.set_state(Gst.State.PLAYING)
    for index, picture in enumerate(pictures):
        height, width = picture.shape
        if index == 0:
            name = FORMATS[picture.itemsize]
            caps = f"video/x-raw,format={name},width={width},height={height},framerate=1/1"
            source.set_property("caps", Gst.Caps.from_string(caps))
        # GStreamer's rows are of a multiple of four bytes.
        padded = np.pad(picture, ((0, 0), (0, -width % (4 // picture.itemsize))))
        buffer = Gst.Buffer.new_wrapped(padded.tobytes())
        buffer.pts, buffer.duration = index * Gst.SECOND, Gst.SECOND
        source.push_buffer(buffer)
        sample = sink.try_pull_sample(60 * Gst.SECOND)
        told = None
        # What is told of a frame is posted before it goes out.
        while message := bus.pop_filtered(Gst.MessageType.ELEMENT | Gst.MessageType.ERROR):
            if message.type == Gst.MessageType.ERROR:
                sys.exit(f"error: {message.parse_error()[0].message}")
            if message.get_structure().get_name() == "unetsegment":
                told = plain(message.get_structure())
        if sample is None or told is None:
            sys.exit(f"error: no frame or no message came of picture {index}")
        labels = array(sample.get_buffer(), sample.get_caps(), "<u2")
        fields = sample.get_buffer().get_custom_meta("GstUNetSegmentMask").get_structure()
        yield labels, array(fields.get_value("mask"), fields.get_value("caps"), np.uint8), told
    pipeline.set_state(Gst.State.NULL)
