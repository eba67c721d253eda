#!/usr/bin/env python3
"""Compare forms of the up-convolution and of the crop in an exported network, on ONNX Runtime.

usage: export_forms.py MODEL.onnx [--size N] [--threads N] [--rounds N]
SIZE is a legal input size. Each form computes the same scores; the forms alternate, and the table shows
the median of their times as a ratio to that of the original file. needs: numpy, onnx, onnxruntime
"""
import argparse, statistics, time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("--size", type=int, default=572)
parser.add_argument("--threads", type=int, default=0)
parser.add_argument("--rounds", type=int, default=11)
arguments = parser.parse_args()


def rewritten(change):
    """The model with each node replaced by the nodes and new weights that `change(node, weights)` returns."""
    model = onnx.load(arguments.model)
    graph = model.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        found, new = change(node, weights)
        nodes += found
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in new.items())
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def keep(node, _):
    return [node], {}


def depth_to_space(node, weights):
    """Up-convolution: a 1x1 convolution to four times the channels, and DepthToSpace."""
    if node.op_type != "ConvTranspose":
        return [node], {}
    source, weight, bias = node.input
    new, out = node.output[0] + ".phases", node.output[0]
    array = weights[weight]  # [inputs, outputs, 2, 2]
    inputs, outputs = array.shape[:2]
    flat = array.transpose(2, 3, 1, 0).reshape(4 * outputs, inputs, 1, 1)
    return [
        helper.make_node("Conv", [source, new + ".weight", new + ".bias"], [new], kernel_shape=[1, 1]),
        helper.make_node("DepthToSpace", [new], [out], blocksize=2, mode="DCR"),
    ], {new + ".weight": np.ascontiguousarray(flat), new + ".bias": np.tile(weights[bias], 4)}


def negative_pads(node, weights):
    """Crop: negative padding."""
    if node.op_type != "Slice":
        return [node], {}
    border = int(weights[node.input[1]][0])
    name = node.output[0] + ".pads"
    pads = np.array([0, 0, -border, -border] * 2, np.int64)
    return [helper.make_node("Pad", [node.input[0], name], [node.output[0]])], {name: pads}


def two_convolutions():
    """Crop: the sum of one convolution of each half instead of Concat."""
    joined = {}

    def change(node, weights):
        if node.op_type == "Concat":
            joined[node.output[0]] = list(node.input)
            return [], {}
        if node.op_type != "Conv" or node.input[0] not in joined:
            return [node], {}
        out = node.output[0]
        weight = weights[node.input[1]]
        half = weight.shape[1] // 2
        halves = {f"{out}.{side}.weight": np.ascontiguousarray(part)
                  for side, part in zip("ab", (weight[:, :half], weight[:, half:]))}
        first, second = joined[node.input[0]]
        shape = {"kernel_shape": list(weight.shape[2:])}
        return [
            helper.make_node("Conv", [first, f"{out}.a.weight", node.input[2]], [out + ".a"], **shape),
            helper.make_node("Conv", [second, f"{out}.b.weight"], [out + ".b"], **shape),
            helper.make_node("Add", [out + ".a", out + ".b"], [out]),
        ], halves

    return change


forms = {
    "ConvTranspose, Slice (the file)": rewritten(keep),
    "1x1 Conv and DepthToSpace": rewritten(depth_to_space),
    "crop by Pad": rewritten(negative_pads),
    "two convolutions instead of Concat": rewritten(two_convolutions()),
}
options = ort.SessionOptions()
options.intra_op_num_threads = arguments.threads
options.log_severity_level = 3  # ignore warnings about unused weights
sessions = {name: ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            for name, model in forms.items()}
image = np.random.default_rng(1).normal(size=(1, 1, arguments.size, arguments.size)).astype(np.float32)
times, scores = {name: [] for name in sessions}, {}
for _ in range(arguments.rounds + 1):
    for name, session in sessions.items():
        start = time.perf_counter()
        scores[name] = session.run(None, {session.get_inputs()[0].name: image})[0]
        times[name].append(time.perf_counter() - start)
medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
first = next(iter(medians))
for name, median in medians.items():
    off = np.abs(scores[name] - scores[first]).max()
    print(f"{name:36} {median / medians[first]:6.3f}   {median * 1e3:8.1f} ms   largest difference {off:.1e}")
