#!/usr/bin/python3
"""Writes the element's messages to a file: as CSV with a line for each object of each frame, or, if the file's name
ends in .jsonl, as JSON lines with all fields. Columns in micrometres are empty unless --pixel-size or the model gives
the size of a pixel.

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
    """A value of a message as a Python value that JSON can hold."""
    if isinstance(value, Gst.Structure):
        return {value.nth_field_name(n): plain(value.get_value(value.nth_field_name(n))) for n in range(value.n_fields())}
    if isinstance(value, Gst.ValueArray):
        return [plain(part) for part in value]
    return value


def arguments():
    parser = argparse.ArgumentParser(description="A table of every object.")
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("file", metavar="FILE.csv|FILE.jsonl")
    parser.add_argument("source", metavar="SOURCE", nargs="?", default=SOURCE, help="the first part of the pipeline")
    parser.add_argument("--pixel-size", type=float, default=0, help="micrometres per pixel; 0: as the model says")
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


def write(messages, file):
    with open(file, "w", newline="") as out:
        if file.endswith(".jsonl"):
            out.writelines(json.dumps(fields) + "\n" for fields in messages)
            return
        table = csv.writer(out)
        table.writerow(OF_FRAME + OF_OBJECT)
        for fields in messages:
            of_frame = [fields.get(name, "") for name in OF_FRAME]
            table.writerows(of_frame + [found.get(name, "") for name in OF_OBJECT] for found in fields["object-list"])


def main():
    args = arguments()
    Gst.init(None)
    # videoconvert passes formats that the element accepts unchanged: 16 bits stay.
    text = (
        f"{args.source} ! videoconvert ! "
        "unetsegment name=segment output=none track=true post-messages=true post-objects=true ! fakesink sync=false"
    )
    try:
        pipeline = Gst.parse_launch(text)
    except GLib.Error as error:
        sys.exit(f"error: {error.message}")
    segment = pipeline.get_by_name("segment")
    segment.set_property("model-file", args.model)
    segment.set_property("pixel-size", args.pixel_size)
    try:
        pipeline.set_state(Gst.State.PLAYING)
        write(messages(pipeline.get_bus()), args.file)
    except OSError as error:
        sys.exit(f"error: {error}")
    finally:
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
