"""Looks with Chromium at what examples/browser.py shows: whether the overlay is painted and moves, the counts are numbers,
and a picture is there before the next one comes. Run by check.sh.

usage: check.py MODEL.onnx SCREENSHOT.png
"""

import contextlib
import io
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

from chromium import Chromium

# A white ball that wanders over black ground, large enough that the network takes it for a nucleus.
WIDTH, HEIGHT = 320, 240
SOURCE = f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={WIDTH},height={HEIGHT},framerate="
# How long anything may take.
SECONDS = 60
IMAGE = "document.querySelector('img')"


def check(holds, what):
    if not holds:
        sys.exit(f"error: {what}")


def wait_for(browser, expression):
    """Waits until an expression is true in the page."""
    end = time.monotonic() + SECONDS
    while True:
        # While the page loads, there is nothing to ask yet.
        with contextlib.suppress(RuntimeError):
            if browser.value(expression):
                return
        check(time.monotonic() < end, f"after {SECONDS} s not yet: {expression}")
        time.sleep(0.1)


def seen(browser):
    """The pixels of the picture as the page is painted, and the screenshot of the whole."""
    left, top = (int(browser.value(f"{IMAGE}.getBoundingClientRect().{side}")) for side in ["left", "top"])
    screenshot = browser.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB")).astype(int)
    return pixels[top : top + HEIGHT, left : left + WIDTH], screenshot


def coloured(pixels):
    """Where the overlay is: the picture itself is grey."""
    return pixels.max(axis=2) - pixels.min(axis=2) > 40


def wait_until_moved(browser, before):
    """Waits until the overlay is elsewhere."""
    end = time.monotonic() + SECONDS
    while (coloured(seen(browser)[0]) != before).mean() < before.mean() / 2:
        check(time.monotonic() < end, f"the overlay stood still for {SECONDS} s")
        time.sleep(0.1)


def look(browser, screenshot):
    wait_for(browser, f"{IMAGE}.naturalWidth > 0 && objects.textContent > 0")
    size = browser.value(f"[{IMAGE}.naturalWidth, {IMAGE}.naturalHeight]")
    check(size == [WIDTH, HEIGHT], f"the picture has the size {size}")
    objects, coverage = browser.value("[objects.textContent, coverage.textContent]")
    check(re.fullmatch(r"\d+", objects), f"the number of objects is {objects!r}")
    check(re.fullmatch(r"\d+\.\d", coverage) and 0 < float(coverage) < 50, f"the coverage is {coverage!r}")

    before, _ = seen(browser)
    share = coloured(before).mean()
    check(0.002 < share < 0.5, f"{share:.2%} of the picture have the overlay's colour")
    check((before.max(axis=2) < 40).mean() > 0.5, "the ground around the ball is not black")
    wait_until_moved(browser, coloured(before))
    with open(screenshot, "wb") as file:
        file.write(seen(browser)[1])
    check(not browser.complaints, f"the page complains: {browser.complaints}")
    print(f"{objects} objects, {coverage} % covered, {share:.1%} coloured: {screenshot}")


@contextlib.contextmanager
def shown(model, rate):
    """A browser that has opened the page, with frames of a rate."""
    command = ["/usr/bin/python3", "examples/browser.py", model, SOURCE + rate, "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        check(address.startswith("http://"), "examples/browser.py did not start")
        # The browser may still write into its profile when it is told to end.
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with folder as profile, Chromium(profile, (640, 480)) as browser:
            browser.open(address)
            yield browser
    finally:
        server.terminate()
        server.wait()


def main():
    model, screenshot = sys.argv[1:]
    with shown(model, "10/1") as browser:
        look(browser, screenshot)
    # Of a time-lapse, the newest picture is there, not the one before it.
    with shown(model, f"1/{2 * SECONDS}") as browser:
        wait_for(browser, f"{IMAGE}.naturalWidth > 0")


if __name__ == "__main__":
    main()
