#!/usr/bin/env python3
"""Make the masks of this folder, and expected.json with what an independent program says about them. Dice and the
pixel error of cells, which it does not tell, are counted here. The warping error of membranes is told by neither.

usage: make.py SCORE.PY

SCORE.PY scores cells and membranes with numpy, scipy and scikit-image, and prints a line of names and
numbers of four digits. It is called as `SCORE.PY cells|membranes TRUTH FOUND [--border N]`.
needs: numpy scipy scikit-image pillow tifffile; made with numpy 2.4.6, scipy 1.17.1, scikit-image 0.26.0
"""
import json, pathlib, subprocess, sys
import numpy as np
from PIL import Image
from scipy import ndimage

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(2015)


def save(folder, index, picture):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(HERE / folder / f"{index}.png")


def blobs(count, height, width):
    """Labels of ellipses that may touch."""
    labels = np.zeros((height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for label in range(1, count + 1):
        cy, cx = random.uniform(0, height), random.uniform(0, width)
        a, b = random.uniform(3, 9, 2)
        labels[((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 <= 1] = label
    return labels


def found_cells(truth):
    """Cells that are shifted, worn, merged, missed and invented."""
    found = np.zeros(truth.shape, np.uint16)
    for label in map(int, np.unique(truth)[1:]):
        kind = random.integers(6)
        cell = np.roll(truth == label, random.integers(-1, 2, 2), (0, 1))
        if kind == 0:
            continue
        if kind == 1:
            cell = ndimage.binary_erosion(cell)
        found[cell] = 300 + (label // 2 if kind == 2 else label)
    found[random.uniform(size=truth.shape) > 0.996] = 700
    return found


def membranes(height, width):
    """Insides of cells, and a bad copy of them."""
    wave = ndimage.gaussian_filter(random.standard_normal((height, width)), 4)
    steep = np.hypot(*np.gradient(wave))
    truth = steep > np.quantile(steep, 0.35)
    noisy = ndimage.gaussian_filter(truth + 0.8 * random.standard_normal(truth.shape), 1.1)
    return truth, noisy > 0.55


def score(*arguments):
    line = subprocess.check_output([sys.executable, sys.argv[1], *map(str, arguments)], text=True)
    words = line.split()
    return {name: float(value) for name, value in zip(words, words[1:]) if value[0].isdigit() and not name[0].isdigit()}


def foreground(part, index, border):
    """Pixels of cells that reach further into the picture than `border` pixels."""
    cells = np.asarray(Image.open(HERE / "cells" / part / f"{index}.png"))
    height, width = cells.shape
    kept = np.unique(cells[border:height - border, border:width - border])
    return np.isin(cells, kept[kept > 0])


def pixels(border):
    """Dice and the pixel error over all pictures, by their definitions."""
    both = either = wrong = count = 0
    for index in range(4):
        truth, found = (foreground(part, index, border) for part in ("truth", "found"))
        both += np.sum(truth & found)
        either += np.sum(truth) + np.sum(found)
        wrong += np.sum(truth != found)
        count += truth.size
    return {"Dice": round(float(2 * both / either), 4), "pixel error": round(float(wrong / count), 4)}


for index in range(4):
    truth = blobs(9 + index, 60 + 7 * index, 80)
    save("cells/truth", index, truth)
    save("cells/found", index, found_cells(truth))
    truth, found = membranes(90, 70 + 9 * index)
    save("membranes/truth", index, truth.astype(np.uint8) * 255)
    save("membranes/found", index, found.astype(np.uint8) * 255)
cells, lines = [(HERE / "cells" / part) for part in ("truth", "found")], [(HERE / "membranes" / part) for part in ("truth", "found")]
expected = {
    "cells": score("cells", *cells) | pixels(0),
    "cells, border 6": score("cells", *cells, "--border", 6) | pixels(6),
    "membranes": score("membranes", *lines),
}
(HERE / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
