#!/usr/bin/env python3
"""What the processor does while the element draws overlays: shares of the samples of a profiler.

usage: shares.py MODEL.onnx FRAMES [--mosaic 3] [--limit 20] [--property NAME=VALUE]...

A sample counts for the first of these that its call stack has a function of: ONNX Runtime, the decoding of PNG files
(by the benchmark), the search for objects, drawing, the rest of the element. Samples show where the processor works,
not where a thread waits.
Run `cargo bench --no-run --bench throughput` first; its program is found in target/release/deps.
needs: perf (Debian's linux-perf)
"""

import argparse
import collections
import subprocess
import sys
import tempfile

from programs import throughput

# What functions of a stack have in their names, or in those of their libraries.
PARTS = {
    "ONNX Runtime": ["onnxruntime"],
    "decoding of PNG files": ["png", "fdeflate", "Frames::read"],
    "objects": ["find_objects", "labels::"],
    "drawing": ["unetsegment::drawing", "overlay"],
    "rest of the element": ["gstunetsegment"],
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("frames")
parser.add_argument("--mosaic", type=int, default=1)
parser.add_argument("--limit", type=int, default=20, help="number of frames")
parser.add_argument("--property", action="append", default=[], help="property of the element, as name=value")
options = parser.parse_args()


def part(stack):
    for name, words in PARTS.items():
        if any(word in stack for word in words):
            return name
    return "other"


with tempfile.NamedTemporaryFile(suffix=".data") as samples:
    # Stacks are told from the memory of the stack, because ONNX Runtime is built without frame pointers.
    record = ["perf", "record", "--call-graph", "dwarf,16384", "-F", "199", "-o", samples.name]
    program = [throughput(), options.model, options.frames]
    program += ["--mosaic", str(options.mosaic), "--limit", str(options.limit)]
    program += [word for value in options.property for word in ("--property", value)]
    done = subprocess.run([*record, *program], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    script = ["perf", "script", "-i", samples.name, "-F", "ip,sym,dso", "--no-inline"]
    stacks = subprocess.run(script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout

counts = collections.Counter(part(stack) for stack in stacks.split("\n\n") if stack.strip())
total = sum(counts.values())
for name, count in counts.most_common():
    print(f"{100 * count / total:6.2f} % {name}")
print(f"of {total} samples")
