#!/usr/bin/python3
"""Writes what the element's messages tell as a table: a line for each object of each frame, as CSV, or all fields as JSON
lines where the file ends in .jsonl. Columns in micrometres have something in them where --pixel-size or the model says how
large a pixel is.

    python3 examples/log.py models/nuclei-fluo.onnx cells.csv "videotestsrc num-buffers=20 pattern=ball" --pixel-size 0.65
"""

import argparse
import csv
import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

SOURCE = "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256"
OF_FRAME = ["frame", "timestamp", "coverage"]
OF_OBJECT = ["number", "class", "area", "x", "y", "left", "top", "width", "height", "perimeter", "circularity", "intensity"]
OF_OBJECT += ["area-um2", "x-um", "y-um", "perimeter-um"]


def plain(value):
    """A value of a message as Python and JSON have it."""
    if isinstance(value, Gst.Structure):
        return {value.nth_field_name(n): plain(value.get_value(value.nth_field_name(n))) for n in range(value.n_fields())}
    if isinstance(value, Gst.ValueArray):
        return [plain(part) for part in value]
    return value


def asked_for():
    parser = argparse.ArgumentParser(description="A table of every object.")
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("file", metavar="FILE.csv|FILE.jsonl")
    parser.add_argument("source", metavar="SOURCE", nargs="?", default=SOURCE, help="the pipeline's first part")
    parser.add_argument("--pixel-size", type=float, default=0, help="micrometres of a pixel; 0: as the model says")
    return parser.parse_args()


def messages(bus):
    """The fields of each message about a frame, until the stream ends."""
    wanted = Gst.MessageType.ELEMENT | Gst.MessageType.ERROR | Gst.MessageType.EOS
    while True:
        message = bus.timed_pop_filtered(Gst.CLOCK_TIME_NONE, wanted)
        if message.type == Gst.MessageType.EOS:
            return
        if message.type == Gst.MessageType.ERROR:
            sys.exit(f"error: {message.parse_error()[0].message}")
        if message.get_structure().get_name() == "unetsegment":
            yield plain(message.get_structure())


def write(told, file):
    with open(file, "w", newline="") as out:
        if file.endswith(".jsonl"):
            out.writelines(json.dumps(fields) + "\n" for fields in told)
            return
        table = csv.writer(out)
        table.writerow(OF_FRAME + OF_OBJECT)
        for fields in told:
            of_frame = [fields.get(name, "") for name in OF_FRAME]
            table.writerows(of_frame + [found.get(name, "") for name in OF_OBJECT] for found in fields["object-list"])


def main():
    asked = asked_for()
    Gst.init(None)
    # videoconvert leaves alone what the element takes: 16 bits stay.
    text = (
        f"{asked.source} ! videoconvert ! "
        "unetsegment name=segment output=none track=true post-messages=true post-objects=true ! fakesink sync=false"
    )
    try:
        pipeline = Gst.parse_launch(text)
    except GLib.Error as error:
        sys.exit(f"error: {error.message}")
    segment = pipeline.get_by_name("segment")
    segment.set_property("model-file", asked.model)
    segment.set_property("pixel-size", asked.pixel_size)
    try:
        pipeline.set_state(Gst.State.PLAYING)
        write(messages(pipeline.get_bus()), asked.file)
    except OSError as error:
        sys.exit(f"error: {error}")
    finally:
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
