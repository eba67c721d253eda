#!/usr/bin/env python3
"""Alternates the element with other ways to segment the same frames, and prints a comparison.

usage: compare.py MODEL.onnx FRAMES --peer PEER.py [--how tiles,whole,monai,torch] [--rounds 5]
       compare.py MODEL.onnx FRAMES --how "" [--other-model OTHER.onnx]
    [--winograd] [--openvino libonnxruntime.so]

PEER.py takes `MODEL FRAMES --how HOW --limit N --mosaic N`, prints a line with `fps F`, `p50 T ms` and
`peak M MiB`, and is run by the Python that runs this. A round is one process of each; every ratio is that of two
processes of one round, and the median over the rounds is shown with the smallest and the largest.
Run `cargo bench --no-run --bench throughput` first; its program is found in target/release/deps.
needs: numpy pillow tifffile, and the packages of PEER.py
"""

import argparse
import glob
import re
import statistics
import subprocess
import sys
import tempfile

import numpy
import tifffile
from PIL import Image

from programs import throughput

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("model")
parser.add_argument("frames")
parser.add_argument("--peer", help="needed unless --how is empty")
parser.add_argument("--how", default="tiles,whole,monai,torch")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--limit", type=int, default=5, help="frames per process")
parser.add_argument("--mosaic", type=int, default=1)
parser.add_argument(
    "--square", type=int, help="cut 16-bit squares of this side from the mosaic"
)
parser.add_argument(
    "--property", action="append", default=[], help="property of the element, as name=value"
)
parser.add_argument("--other-model", help="also run the element with this model")
parser.add_argument("--winograd", action="store_true", help="also run the element with convolution=winograd")
parser.add_argument("--openvino", help="also run the element with this ONNX Runtime on OpenVINO")
parser.add_argument("--masks", action="store_true", help="compare the masks of the first frame")
options = parser.parse_args()
if options.how and not options.peer:
    parser.error("--peer is needed for --how " + options.how)


def squares(folder, side):
    """16-bit frames made from those in `folder`, with the noise that 8 bits have lost."""
    made = tempfile.mkdtemp()
    random = numpy.random.default_rng(1)
    for index, file in enumerate(sorted(glob.glob(f"{folder}/*.png"))[: options.limit]):
        frame = numpy.array(Image.open(file))
        copies = -(-side // min(frame.shape))
        frame = numpy.tile(frame, (copies, copies))[:side, :side].astype(numpy.float32)
        frame = 200 * (frame + random.random(frame.shape, numpy.float32))
        tifffile.imwrite(f"{made}/{index:03}.tif", frame.astype(numpy.uint16))
    return made


frames, mosaic = options.frames, options.mosaic
if options.square:
    frames, mosaic = squares(frames, options.square), 1
common = [frames, "--mosaic", str(mosaic)]
properties = [part for text in options.property for part in ("--property", text)]
element = [throughput(), options.model, *common, *properties]
ways = {"element": element}
if options.other_model:
    ways[f"element, {options.other_model}"] = [throughput(), options.other_model, *common, *properties]
if options.winograd:
    for way, command in list(ways.items()):
        ways[f"{way}, winograd"] = [*command, "--property", "convolution=winograd"]
if options.openvino:
    provider = ["--property", f"runtime-library={options.openvino}", "--property", "execution-provider=openvino"]
    ways["element, OpenVINO"] = [*element, *provider]
for how in filter(None, options.how.split(",")):
    ways[how] = [sys.executable, options.peer, options.model, *common, "--how", how]


def run(command, limit, *more):
    command = [*command, "--limit", str(limit), *more]
    result = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"fps ([\d.]+) p50 ([\d.]+) ms.* peak (\d+) MiB", result.stdout)
    if not found:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return [float(number) for number in found.groups()]


results = {way: [] for way in ways}
for number in range(options.rounds):
    for way, command in ways.items():
        results[way].append(run(command, options.limit))
        print(f"round {number + 1}: {way} {results[way][-1]}", file=sys.stderr, flush=True)

# How many times as fast each run of the element is as the others.
own = [way for way in ways if way.startswith("element")]
print("| | frames/s | ms per frame | peak memory, MiB |", " | ".join(f"{way} is faster by" for way in own), "|")
print("| --- | --- | --- | --- |" + " --- |" * len(own))
for way, runs in results.items():
    fps, p50, peak = (statistics.median(column) for column in zip(*runs))
    cells = [way, f"{fps:.2f}", f"{p50:.0f}", f"{peak:.0f}"]
    for one in own:
        ratios = sorted(mine[0] / other[0] for mine, other in zip(results[one], runs))
        ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        cells.append("" if way == one else ratio)
    print(f"| {' | '.join(cells)} |")

if options.masks:
    folders = {way: tempfile.mkdtemp() for way in ways}
    for way, command in ways.items():
        run(command, 1, "--out", folders[way])
    first = numpy.array(Image.open(glob.glob(f"{folders['element']}/*")[0])) > 0
    for way, folder in folders.items():
        mask = numpy.array(Image.open(glob.glob(f"{folder}/*")[0])) > 0
        union = (first | mask).sum()
        print(f"{way}: {(first != mask).mean():.5%} of all pixels differ, IoU {(first & mask).sum() / union:.5f}")
