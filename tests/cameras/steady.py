#!/usr/bin/env python3
"""Runs the element behind a camera at 20 frames a second, with mode=latest, and ends with an error unless the element's
memory, timestamps and counts are in order. The cameras are simulated.

usage: steady.py aravis|micromanager MODEL.onnx SECONDS

Memory is resident memory, taken once a second after a warm-up of a quarter of the time; its slope is that of the line of
least squares. A minute can't tell 1 MiB/h from noise, for a page is 4 KiB: the short form asks for less than 1 MiB in all.
"""

import ctypes
import signal
import subprocess
import sys
import threading
import time
from array import array

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401 - GstApp gives appsrc its methods

RATE = 20
MIB = 1024.0
# So long a run tells a slope of 1 MiB/h from noise.
LONG = 1200


def resident():
    """Resident memory of this process, in KiB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1])


def slope(times, sizes):
    """Of the line of least squares through sizes in KiB at times in seconds, in MiB an hour."""
    count = len(times)
    mean_time, mean_size = sum(times) / count, sum(sizes) / count
    above = sum((x - mean_time) * (y - mean_size) for x, y in zip(times, sizes))
    below = sum((x - mean_time) ** 2 for x in times)
    return above / below * 3600 / MIB


def without_huge_pages():
    """Where Linux makes one huge page of small ones, resident memory jumps by up to 2 MiB that nobody has asked for."""
    pr_set_thp_disable = 41
    ctypes.CDLL(None).prctl(pr_set_thp_disable, 1, 0, 0, 0)


class Aravis:
    """A GigE camera that Aravis simulates, and whose frames come over the loopback device."""

    # Larger ones don't fit the 208 KiB that Linux keeps for a socket.
    caps = "video/x-raw,format=GRAY16_LE,width=240,height=180,framerate=20/1"
    source = f"aravissrc camera-name=Aravis-SOAK ! {caps}"

    def __init__(self):
        command = ["arv-fake-gv-camera-0.8", "--interface", "127.0.0.1", "--serial", "SOAK"]
        # With an output of ours, it would keep who reads that waiting if this process is killed.
        silent = subprocess.DEVNULL
        self.camera = subprocess.Popen(command, stdout=silent, stderr=silent)
        time.sleep(1)

    def start(self, pipeline):
        pass

    def stop(self):
        self.camera.send_signal(signal.SIGTERM)
        self.camera.wait()


class MicroManager:
    """Micro-Manager's DemoCamera, whose frames a thread takes from the core."""

    source = "appsrc name=camera is-live=true do-timestamp=true format=time"

    def __init__(self):
        import mm_test_adapters
        from pymmcore_plus import CMMCorePlus

        self.core = CMMCorePlus(mm_path=mm_test_adapters.device_adapter_path())
        self.core.loadDevice("Camera", "DemoCamera", "DCam")
        self.core.initializeDevice("Camera")
        self.core.setCameraDevice("Camera")
        self.core.setProperty("Camera", "PixelType", "16bit")
        self.core.setExposure(1000 / RATE)
        # In MiB: what the core keeps fills up with frames, and would look like a leak meanwhile.
        self.core.setCircularBufferMemoryFootprint(8)
        self.ends = threading.Event()

    def start(self, pipeline):
        source = pipeline.get_by_name("camera")
        size = f"width={self.core.getImageWidth()},height={self.core.getImageHeight()}"
        source.set_property("caps", Gst.Caps.from_string(f"video/x-raw,format=GRAY16_LE,{size},framerate=0/1"))
        self.core.startContinuousSequenceAcquisition(0)
        self.thread = threading.Thread(target=self.feed, args=[source])
        self.thread.start()

    def feed(self, source):
        while not self.ends.is_set():
            if self.core.getRemainingImageCount() > 0:
                source.push_buffer(Gst.Buffer.new_wrapped(self.core.popNextImage().tobytes()))
            else:
                self.ends.wait(0.002)

    def stop(self):
        self.ends.set()
        self.thread.join()
        self.core.stopSequenceAcquisition()


class Watch:
    """What passes a pad: how many frames, and how many of them not after the one before."""

    def __init__(self, pad):
        self.frames = 0
        self.backwards = 0
        self.last = -1
        pad.add_probe(Gst.PadProbeType.BUFFER, self.see)

    def see(self, _pad, info):
        pts = info.get_buffer().pts
        if pts == Gst.CLOCK_TIME_NONE or pts <= self.last:
            self.backwards += 1
        self.last = pts
        self.frames += 1
        return Gst.PadProbeReturn.OK


def main():
    cameras = {"aravis": Aravis, "micromanager": MicroManager}
    if len(sys.argv) != 4 or sys.argv[1] not in cameras:
        sys.exit("usage: steady.py aravis|micromanager MODEL.onnx SECONDS")
    name, model, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    without_huge_pages()
    Gst.init(None)
    camera = cameras[name]()
    pipeline = Gst.parse_launch(
        f"{camera.source} ! unetsegment name=segment mode=latest threads=1 output=none post-messages=true "
        f"model-file={model} ! fakesink sync=false"
    )
    segment = pipeline.get_by_name("segment")
    came, went = Watch(segment.get_static_pad("sink")), Watch(segment.get_static_pad("src"))
    try:
        pipeline.set_state(Gst.State.PLAYING)
        camera.start(pipeline)
        times, sizes, messages = follow(pipeline, seconds)
    finally:
        camera.stop()
        # Whoever counts has to see the same frames: nothing moves any more.
        pipeline.set_state(Gst.State.PAUSED)
        time.sleep(0.5)
        stats = segment.get_property("stats")
        pipeline.set_state(Gst.State.NULL)
    judge(name, seconds, (slope(times, sizes), sizes, messages), came, went, stats)


def follow(pipeline, seconds):
    """Memory after the warm-up and when it was taken, and how many messages came."""
    bus = pipeline.get_bus()
    # Made in advance, lest what measures grows.
    times, sizes = array("d", bytes(8 * (seconds + 1))), array("q", bytes(8 * (seconds + 1)))
    count = messages = 0
    start = time.monotonic()
    due = start + seconds / 4
    while (now := time.monotonic()) < start + seconds:
        kinds = Gst.MessageType.ELEMENT | Gst.MessageType.ERROR
        message = bus.timed_pop_filtered(100 * Gst.MSECOND, kinds)
        if message is not None:
            if message.type == Gst.MessageType.ERROR:
                sys.exit(f"error: {message.parse_error()[0].message}")
            messages += message.get_structure().get_name() == "unetsegment"
        if now >= due:
            times[count], sizes[count] = now - start, resident()
            count += 1
            due = max(due + 1, now)
    return times[:count], sizes[:count], messages


def judge(name, seconds, measured, came, went, stats):
    per_hour, sizes, messages = measured
    count = {field: stats.get_value(field) for field in ["in", "out", "dropped", "at-work", "frames", "overtaken"]}
    eighth = max(len(sizes) // 8, 1)
    highest = [f"{max(sizes[at : at + eighth]) / MIB:.1f}" for at in range(0, len(sizes), eighth)]
    grown = (max(sizes[-len(sizes) // 4 :]) - max(sizes[: max(len(sizes) // 4, 1)])) / MIB
    # That of a short run would be noise.
    steepness = f"slope {per_hour:+.2f} MiB/h, " if seconds >= LONG else ""
    print(
        f"{name}: {seconds} s, {count['in']} frames in, {count['out']} out, {count['dropped']} dropped, "
        f"{count['at-work']} at work, {count['frames']} inferred, {count['overtaken']} overtaken; "
        f"{came.frames / seconds:.1f} frames/s; resident memory {sizes[0] / MIB:.1f} to {sizes[-1] / MIB:.1f} MiB, "
        f"{steepness}highest of the last quarter {grown:+.2f} MiB over that of the first, "
        f"of each eighth {' '.join(highest)}"
    )
    wrong = []
    if count["in"] != count["out"] + count["dropped"] + count["at-work"]:
        wrong.append("in is not out + dropped + at-work")
    if (came.frames, went.frames) != (count["in"], count["out"]):
        wrong.append(f"{came.frames} frames were seen to go in and {went.frames} to come out")
    if came.backwards or went.backwards:
        wrong.append(f"{came.backwards} timestamps going in and {went.backwards} coming out don't follow the one before")
    if came.frames < 0.9 * RATE * (seconds - 3):
        wrong.append(f"only {came.frames} frames came, of about {RATE * seconds}")
    if messages == 0 or count["frames"] == 0:
        wrong.append("no frame was segmented")
    if seconds >= LONG and per_hour >= 1:
        wrong.append("memory grows by 1 MiB/h or more")
    if grown >= 1:
        wrong.append("memory has grown by 1 MiB or more")
    if wrong:
        sys.exit(f"error: {name}: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
