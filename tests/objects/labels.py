#!/usr/bin/python3
"""Segments real pictures, and compares the objects with those that scikit-image's `label` and `regionprops` find in the
mask that rides on each frame: numbers, areas and bounds have to be the same, centroids to 1e-6 of a pixel, perimeters
to 1e-9. Ends with an error where they are not.

usage: labels.py MODELS DATA    with the folders of the models, and of u373_video/images and dsb2018_fluo/images
"""

import sys
from itertools import groupby
from pathlib import Path

import numpy as np
from element import frames
from skimage.io import imread
from skimage.measure import label, perimeter, regionprops

# Pictures, how many of them, and their model.
SERIES = [("u373_video", 60, "cells-phase-contrast.onnx"), ("dsb2018_fluo", 40, "nuclei-fluo.onnx")]
# Everything counts, as it does for scikit-image.
PROPERTIES = "split=off min-area=0 post-objects=true"


def differences(labels, mask, told):
    """What is not the same, and the largest difference of a centroid and of a perimeter."""
    theirs = label(mask, connectivity=1, background=0)
    found = told["object-list"]
    if told["objects"] != theirs.max() or len(found) != theirs.max():
        return [f"{told['objects']} objects told and {len(found)} listed, not {theirs.max()}"], 0, 0
    wrong = [] if np.array_equal(labels, theirs) else ["the labels"]
    centroids = perimeters = 0.0
    for ours, region in zip(found, regionprops(theirs)):
        top, left, bottom, right = region.bbox
        exact = {"number": region.label, "class": mask[tuple(region.coords[0])], "area": region.area}
        exact |= {"left": left, "top": top, "width": right - left, "height": bottom - top}
        wrong += [f"{name} {ours[name]}, not {value}" for name, value in exact.items() if ours[name] != value]
        y, x = region.centroid
        centroids = max(centroids, abs(ours["x"] - x), abs(ours["y"] - y))
        perimeters = max(perimeters, abs(ours["perimeter"] - perimeter(region.image, neighborhood=4)))
    if centroids > 1e-6:
        wrong.append(f"a centroid by {centroids:.1e}")
    if perimeters > 1e-9:
        wrong.append(f"a perimeter by {perimeters:.1e}")
    return wrong, centroids, perimeters


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    models, data = map(Path, sys.argv[1:])
    failed = 0
    for name, most, model in SERIES:
        files = sorted((data / name / "images").glob("*.png"))[:most]
        if not files:
            print(f"{name}: skipped, there are no pictures in {data / name / 'images'} (UNETSEGMENT_DATA)")
            continue
        count = objects = 0
        centroids = perimeters = 0.0
        pictures = ((file, imread(file)) for file in files)
        for _, of_a_size in groupby(pictures, lambda pair: pair[1].shape):
            of_a_size = list(of_a_size)
            found = frames(models / model, (picture for _, picture in of_a_size), PROPERTIES)
            for (file, _), (labels, mask, told) in zip(of_a_size, found, strict=True):
                wrong, centroid, length = differences(labels, mask, told)
                for what in wrong:
                    print(f"{file}: {what} - WRONG")
                failed += bool(wrong)
                count, objects = count + 1, objects + told["objects"]
                centroids, perimeters = max(centroids, centroid), max(perimeters, length)
        print(
            f"{name}, {model}: {count} frames, {objects} objects; centroids differ by {centroids:.1e} at most, "
            f"perimeters by {perimeters:.1e}"
        )
    if failed:
        sys.exit(f"error: {failed} frames differ")


if __name__ == "__main__":
    main()
