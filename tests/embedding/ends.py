"""Plays pipelines until masks come out of them, and stops none: what follows in the test ends the interpreter.

The bus is left alone: its messages keep the pipelines alive. Without them Python would free the pipelines as they play,
upon which also pipelines of GStreamer's own elements crash.
"""
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst

Gst.init(None)
pipelines = []
for mode in ["sync", "latest", "sync"]:
    pipeline = Gst.parse_launch(
        "videotestsrc is-live=true ! video/x-raw,format=GRAY8,framerate=200/1 ! "
        f"unetsegment name=segment model-file={sys.argv[1]} mode={mode} ! fakesink sync=false"
    )
    pipeline.set_state(Gst.State.PLAYING)
    pipelines.append(pipeline)
for pipeline in pipelines:
    while pipeline.get_by_name("segment").get_property("stats").get_value("frames") < 5:
        time.sleep(0.01)
