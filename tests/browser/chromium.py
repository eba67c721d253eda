"""Chromium without a window, asked by its DevTools protocol: JSON through two pipes, which needs no library."""

import base64
import json
import os
import subprocess

# It shows a page of this machine alone, and its sandbox does not work as root nor in most containers.
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]


class Chromium:
    """A browser with one page, to be used in a `with`."""

    def __init__(self, profile, size):
        from_us, self._commands = os.pipe()
        self._answers, from_it = os.pipe()
        # It reads from descriptor 3 and writes to 4.
        command = ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{from_it}', "bash", "chromium", *OPTIONS]
        command += [f"--user-data-dir={profile}", "--window-size={},{}".format(*size), "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(from_us, from_it), stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(from_it)
        self._number, self._rest, self._session = 0, b"", None
        # What the page complained of.
        self.complaints = []

    def __enter__(self):
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log"]:
            self._ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def open(self, address):
        self._ask("Page.navigate", url=address)

    def value(self, expression):
        """What an expression of JavaScript is in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def screenshot(self):
        """The page as it is painted, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot")["data"])

    def _ask(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
                self.complaints.append(answer["params"]["entry"]["text"])
            if answer.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(answer["params"]["exceptionDetails"]["text"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self):
        while b"\0" not in self._rest:
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise EOFError("Chromium has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
