#!/usr/bin/env python3
"""Speed of other forms of a model relative to the model, on ONNX Runtime, alternating.

usage: forms.py MODEL.onnx FORM.onnx... [--size 584x760] [--rounds 7]

SIZE is height x width of the input. Prints for each form the median, the smallest and the largest ratio of
consecutive runs.
needs: numpy onnxruntime
"""

import argparse
import statistics
import time

import numpy
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("forms", nargs="+")
parser.add_argument("--size", default="584x760")
parser.add_argument("--rounds", type=int, default=7)
options = parser.parse_args()

height, width = map(int, options.size.split("x"))
picture = numpy.random.default_rng(1).normal(size=(1, 1, height, width)).astype(numpy.float32)


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def seconds(model):
    start = time.perf_counter()
    model.run(None, {model.get_inputs()[0].name: picture})
    return time.perf_counter() - start


first, *others = [session(path) for path in [options.model, *options.forms]]
for model in [first, *others]:
    seconds(model)
for path, other in zip(options.forms, others):
    ratios = [seconds(first) / seconds(other) for _ in range(options.rounds)]
    print(f"{path}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
