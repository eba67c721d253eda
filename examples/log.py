#!/usr/bin/python3
"""Writes what the element's messages tell as a table: a line for each object of each frame, as CSV, or all fields as JSON
lines where the file ends in .jsonl.

    python3 examples/log.py models/nuclei-fluo.onnx cells.csv "videotestsrc num-buffers=20 pattern=ball"
"""

import csv
import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

SOURCE = "videotestsrc num-buffers=3 pattern=ball ! video/x-raw,width=256,height=256"
OF_FRAME = ["frame", "timestamp", "coverage"]
OF_OBJECT = ["number", "class", "area", "x", "y", "left", "top", "width", "height", "perimeter", "circularity", "intensity"]


def plain(value):
    """A value of a message as Python and JSON have it."""
    if isinstance(value, Gst.Structure):
        return {value.nth_field_name(n): plain(value.get_value(value.nth_field_name(n))) for n in range(value.n_fields())}
    if isinstance(value, Gst.ValueArray):
        return [plain(part) for part in value]
    return value


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: log.py MODEL.onnx FILE.csv|FILE.jsonl [SOURCE]")
    model, file = sys.argv[1:3]
    source = sys.argv[3] if len(sys.argv) == 4 else SOURCE
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"{source} ! videoconvert ! video/x-raw,format=GRAY8 ! "
        "unetsegment name=segment output=none track=true post-messages=true post-objects=true ! fakesink sync=false"
    )
    pipeline.get_by_name("segment").set_property("model-file", model)
    with open(file, "w", newline="") as out:
        table = csv.writer(out)
        if not file.endswith(".jsonl"):
            table.writerow(OF_FRAME + OF_OBJECT)
        pipeline.set_state(Gst.State.PLAYING)
        wanted = Gst.MessageType.ELEMENT | Gst.MessageType.ERROR | Gst.MessageType.EOS
        while True:
            message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, wanted)
            if message.type == Gst.MessageType.EOS:
                break
            if message.type == Gst.MessageType.ERROR:
                sys.exit(f"error: {message.parse_error()[0].message}")
            if message.get_structure().get_name() != "unetsegment":
                continue
            fields = plain(message.get_structure())
            if file.endswith(".jsonl"):
                out.write(json.dumps(fields) + "\n")
            else:
                of_frame = [fields.get(name, "") for name in OF_FRAME]
                table.writerows(of_frame + [found[name] for name in OF_OBJECT] for found in fields["object-list"])
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
