#!/usr/bin/python3
"""Shows the overlay in a browser, on this machine or another, with the count below it: motion JPEG, which every browser
shows without a plugin, and the element's messages as server-sent events.

    python3 examples/browser.py models/nuclei-fluo.int8.onnx "videotestsrc is-live=true pattern=ball" 8080

Then open http://localhost:8080/. Anyone who can reach the port sees the picture: use it only on a network that you
trust.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp  # noqa: E402, F401 - GstApp gives appsink its methods

SOURCE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=512,height=512,framerate=10/1"
# Comes before each picture. A browser shows a picture only when it has read the head of the next one, so that is sent
# right after it.
HEAD = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
# The icon is empty, because browsers would request one.
PAGE = b"""<!doctype html>
<title>unetsegment</title>
<link rel="icon" href="data:,">
<style>body { background: #222; color: #eee; font: 16px sans-serif } img { max-width: 100% }</style>
<img src="/stream" alt="overlay"><p><span id="objects">?</span> objects, <span id="coverage">?</span> % covered
<script>
new EventSource("/counts").onmessage = (event) => {
  const counts = JSON.parse(event.data);
  objects.textContent = counts.objects;
  coverage.textContent = (100 * counts.coverage).toFixed(1);
};
</script>
"""


class Latest:
    """The newest value of something; slow readers miss those in between."""

    def __init__(self):
        self.changed = threading.Condition()
        self.number, self.value = 0, None

    def set(self, value):
        with self.changed:
            self.number, self.value = self.number + 1, value
            self.changed.notify_all()

    def after(self, number):
        with self.changed:
            self.changed.wait_for(lambda: self.number > number)
            return self.number, self.value


pictures, counts = Latest(), Latest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kinds = {
            "/": ("text/html", self.page),
            "/stream": ("multipart/x-mixed-replace; boundary=frame", self.stream),
            "/counts": ("text/event-stream", self.events),
        }
        if self.path not in kinds:
            self.send_error(404)
            return
        kind, send = kinds[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        try:
            send()
        except (BrokenPipeError, ConnectionResetError):
            # The browser has closed the connection.
            pass

    def page(self):
        self.wfile.write(PAGE)

    def stream(self):
        self.wfile.write(HEAD)
        number = 0
        while True:
            number, jpeg = pictures.after(number)
            self.wfile.write(jpeg + b"\r\n" + HEAD)

    def events(self):
        number = 0
        while True:
            number, fields = counts.after(number)
            self.wfile.write(f"data: {json.dumps(fields)}\n\n".encode())

    def log_message(self, *_):
        pass


def listen(port):
    """Starts a server at a port, given as text."""
    if not port.isdecimal() or int(port) > 65535:
        sys.exit(f"error: PORT has to be a number from 0 to 65535, not {port}")
    try:
        server = ThreadingHTTPServer(("", int(port)), Handler)
    except OSError as error:
        sys.exit(f"error: port {port}: {error.strerror}")
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit("usage: browser.py MODEL.onnx [SOURCE [PORT]]")
    model, source, port = (sys.argv[1:] + [SOURCE, "8080"][len(sys.argv) - 2 :])[:3]
    Gst.init(None)
    text = (
        f"{source} ! videoconvert ! unetsegment name=segment mode=latest post-messages=true ! videoconvert ! "
        "video/x-raw,format=I420 ! jpegenc ! appsink name=jpegs sync=false max-buffers=1 drop=true"
    )
    try:
        pipeline = Gst.parse_launch(text)
    except GLib.Error as error:
        sys.exit(f"error: {error.message}")
    pipeline.get_by_name("segment").set_property("model-file", model)
    print(f"http://localhost:{listen(port).server_port}/", flush=True)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        run(pipeline)
    except KeyboardInterrupt:
        pass
    finally:
        pipeline.set_state(Gst.State.NULL)


def run(pipeline):
    """Passes pictures and counts to the server until the stream ends."""
    jpegs, bus = pipeline.get_by_name("jpegs"), pipeline.get_bus()
    wanted = Gst.MessageType.ELEMENT | Gst.MessageType.ERROR | Gst.MessageType.EOS
    while True:
        sample = jpegs.try_pull_sample(50 * Gst.MSECOND)
        if sample is not None:
            buffer = sample.get_buffer()
            pictures.set(buffer.extract_dup(0, buffer.get_size()))
        while (message := bus.pop_filtered(wanted)) is not None:
            if message.type == Gst.MessageType.ERROR:
                sys.exit(f"error: {message.parse_error()[0].message}")
            if message.type == Gst.MessageType.EOS:
                return
            fields = message.get_structure()
            if fields.get_name() == "unetsegment":
                counts.set({name: fields.get_value(name) for name in ["objects", "coverage"]})


if __name__ == "__main__":
    main()
