#!/usr/bin/env bash
# Lets a real Chromium, without a window, look at the page of examples/browser.py. Run by `make check-browser`, which
# builds and installs what this needs. What it saw lies in target/browser.png.
. "$(dirname "$0")/../../scripts/common.sh"

export PYTHONDONTWRITEBYTECODE=1 GST_PLUGIN_PATH=$root/target/release
/usr/bin/python3 tests/browser/check.py models/nuclei-fluo.int8.onnx target/browser.png
