#!/usr/bin/env python3
"""How close ONNX Runtime comes to the limit of the CPU: runs of a network, alternating with matrix products.

usage: limit.py MODEL.onnx [--sizes 592x768,...] [--rounds 11] [--side 3072]

Prints for each size, height x width of the network's input, the multiplications and additions of its convolutions,
the time per megapixel, and its speed as a share of that of numpy's matrix products: median, smallest and largest
ratio of consecutive runs.
needs: numpy onnx onnxruntime
"""

import argparse
import statistics
import time

import numpy
import onnx
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("--sizes", default="592x768")
parser.add_argument("--rounds", type=int, default=11)
parser.add_argument("--side", type=int, default=3072, help="side of the matrices")
options = parser.parse_args()


def operations(height, width):
    """Operations of all convolutions: two per weight and pixel."""
    model = onnx.load(options.model)
    for dim, extent in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 1, height, width)):
        dim.dim_value = extent
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output, *graph.input]
    }
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            # Conv applies each weight to every output pixel, ConvTranspose to every input pixel.
            pixels = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]][2:]
            total += 2 * numpy.prod(weights[node.input[1]]) * numpy.prod(pixels)
    return int(total)


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
one, other = numpy.random.default_rng(1).random((2, options.side, options.side), dtype=numpy.float32)
print("| input | GFLOP per megapixel | ms per megapixel | share of the speed of matrix products |")
print("| --- | --- | --- | --- |")
for size in options.sizes.split(","):
    height, width = map(int, size.split("x"))
    picture = numpy.zeros((1, 1, height, width), numpy.float32)
    count = operations(height, width)
    session.run(None, {name: picture})
    pairs = [
        (timed(lambda: session.run(None, {name: picture})), timed(lambda: one @ other))
        for _ in range(options.rounds)
    ]
    shares = [count / run / (2 * options.side**3 / product) for run, product in pairs]
    ms = 1000 * statistics.median(run for run, _ in pairs)
    megapixels = height * width / 1e6
    share = f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
    print(f"| {height} x {width} | {count / 1e9 / megapixels:.0f} | {ms / megapixels:.0f} | {share} |")
