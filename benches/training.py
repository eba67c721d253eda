#!/usr/bin/env python3
"""A training step of unet-train and one of PyTorch with the same network, alternating: the ratio of their times.

usage: training.py [--width 16] [--size 348] [--depth 4] [--batch 1] [--pairs 7] [--threads 2] [--layout LAYOUT]

Both train the network of Ronneberger, Fischer and Brox (2015), with unpadded convolutions, weighted cross entropy and
stochastic gradient descent with momentum 0.99, on random tiles of SIZE x SIZE pixels. Each measurement is a process
of its own and takes the median of its steps. Prints for the step and for the forward pass alone the median, the
smallest and the largest ratio of all pairs: less than 1 where unet-train is faster.
needs: numpy torch, and cargo
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, number in {"width": 16, "size": 348, "depth": 4, "batch": 1, "pairs": 7, "threads": 2}.items():
    parser.add_argument(f"--{name}", type=int, default=number)
layouts = ["channels_last", "contiguous_format"]
parser.add_argument("--layout", default=layouts[0], choices=layouts, help="of PyTorch's tensors")
parser.add_argument("--torch", action="store_true", help="measure PyTorch alone, once, and print its two times")
options = parser.parse_args()

STEPS = 7


def torch_times():
    """Seconds of a step and of a forward pass in PyTorch."""
    import torch
    from torch import nn

    print("PyTorch", torch.__version__, file=sys.stderr)
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    widths = [options.width << level for level in range(options.depth + 1)]

    def two_convolutions(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True), nn.Conv2d(outputs, outputs, 3), nn.ReLU(inplace=True)
        )

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            inner = list(zip(widths, widths[1:]))
            self.contracting = nn.ModuleList(two_convolutions(a, b) for a, b in [(1, widths[0]), *inner])
            self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(inner))
            self.expanding = nn.ModuleList(two_convolutions(b, a) for a, b in reversed(inner))
            self.scores = nn.Conv2d(widths[0], 2, 1)

        def forward(self, maps):
            copies = []
            for level in self.contracting[:-1]:
                copies.append(level(maps))
                maps = nn.functional.max_pool2d(copies[-1], 2)
            maps = self.contracting[-1](maps)
            for up, level in zip(self.up, self.expanding):
                maps, copy = up(maps), copies.pop()
                edge = (copy.shape[-1] - maps.shape[-1]) // 2
                maps = level(torch.cat([copy[..., edge:-edge, edge:-edge], maps], 1))
            return self.scores(maps)

    layout = getattr(torch, options.layout)
    network = UNet().to(memory_format=layout)
    tiles = torch.rand(options.batch, 1, options.size, options.size).to(memory_format=layout)
    with torch.no_grad():
        shape = network(tiles).shape
    classes = torch.randint(0, 2, (shape[0], *shape[2:]))
    weights = torch.rand(classes.shape)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.99)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(tiles), classes, reduction="none")
        (loss * weights).mean().backward()
        optimizer.step()

    @torch.inference_mode()
    def forward():
        network(tiles)

    return median_time(step), median_time(forward)


def median_time(work):
    work()
    times = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


if options.torch:
    print(*torch_times())
    sys.exit()

BENCH = "cargo bench --locked --no-default-features --features train --bench training --".split()
SHAPE = [options.width, options.size, options.depth, options.batch]


def ours():
    """The same of unet-train."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
    command = [*BENCH, *map(str, SHAPE)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [float(found) for found in re.search(r"step ([\d.]+) s, forward ([\d.]+) s", text).groups()]


def theirs():
    command = [sys.executable, __file__, "--torch", *sys.argv[1:]]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(number) for number in text.split()]


# Builds, so that no measurement does.
ours()
pairs = []
for number in range(options.pairs):
    # Neither side is always the first.
    pair = [ours(), theirs()] if number % 2 == 0 else [theirs(), ours()][::-1]
    pairs.append(pair)
for place, name in enumerate(["step", "forward"]):
    times = [[side[place] for side in pair] for pair in pairs]
    ratios = [our / their for our, their in times]
    our, their = (statistics.median(side) for side in zip(*times))
    print(
        f"width {options.width}, {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times"
        f" as long as PyTorch's; {our:.4f} s and {their:.4f} s"
    )
