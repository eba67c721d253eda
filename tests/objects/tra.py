#!/usr/bin/python3
"""Follows the nuclei of a time-lapse, and prints how py-ctcmetrics marks that, for each way to split: TRA, DET and SEG of
the Cell Tracking Challenge, results that are two objects of the truth in one, and links of the truth that are missing.

usage: tra.py MODEL.onnx PICTURES.tif LABELS.tif    with stacks of frames, and labels that are not numbered over time
"""

import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import tifffile
from ctc_metrics.scripts.evaluate import evaluate_sequence
from element import frames

SPLITS = ["model", "off", "distance", "probability"]


def linked(stack):
    """The labels as tracks. What is in a frame follows what most of its overlap with the frame before lies on; two that
    follow the same one have come out of its division, and what overlaps with nothing begins."""
    tracks, truth, before = Tracks(), np.zeros_like(stack, np.uint16), {}
    for frame, labels in enumerate(stack):
        follows = {}
        if frame > 0:
            both = (labels > 0) & (stack[frame - 1] > 0)
            pairs = np.stack([labels[both], stack[frame - 1][both]])
            pairs, overlaps = np.unique(pairs, axis=1, return_counts=True)
            for at in np.argsort(overlaps, kind="stable"):
                follows[pairs[0, at]] = pairs[1, at]
        parents = list(follows.values())
        now = {}
        for number in np.unique(labels[labels > 0]):
            parent = follows.get(number)
            if parent is not None and parents.count(parent) == 1:
                now[number] = before[parent]
            else:
                now[number] = tracks.begin(frame, before.get(parent, 0))
            tracks.see(now[number], frame)
            truth[frame][labels == number] = now[number]
        before = now
    return truth, tracks


class Tracks:
    """First and last frame of each track, and its parent."""

    def __init__(self):
        self.ends, self.parents = {}, {}

    def begin(self, frame, parent):
        track = len(self.ends) + 1
        self.ends[track], self.parents[track] = (frame, frame), parent
        return track

    def see(self, track, frame):
        self.ends[track] = (self.ends[track][0], frame)

    def save(self, path):
        lines = (f"{track} {first} {last} {self.parents[track]}" for track, (first, last) in self.ends.items())
        path.write_text("\n".join(lines) + "\n")


def followed(model, stack, split):
    """The numbers that the element gives, as tracks, which know no gaps: what comes back after some frames is a new
    track, whose parent is the old one. As in examples/track.rs, but the tracks are numbered from 1 on: py-ctcmetrics adds
    numbers in 16 bits, and takes those near 65,535 for others."""
    tracks, results, track_of = Tracks(), [], {}
    for frame, (labels, _, told) in enumerate(frames(model, stack, f"track=true split={split}")):
        parents = {child: track_of[parent] for parent, *children in told["divisions"] for child in children}
        result = np.zeros_like(labels)
        for number in np.unique(labels[labels > 0]).tolist():
            track = track_of.get(number)
            if track is None or tracks.ends[track][1] + 1 < frame:
                parent = track or parents.get(number, 0)
                track = track_of[number] = tracks.begin(frame, parent)
            tracks.see(track, frame)
            result[labels == number] = track
        results.append(result)
    return results, tracks


def save(folder, pattern, stack):
    folder.mkdir(parents=True, exist_ok=True)
    for frame, labels in enumerate(stack):
        tifffile.imwrite(folder / pattern.format(frame), labels)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, pictures, labels = sys.argv[1], *map(tifffile.imread, sys.argv[2:])
    with tempfile.TemporaryDirectory() as work:
        truth = Path(work) / "01_GT"
        stack, tracks = linked(labels)
        save(truth / "TRA", "man_track{:03}.tif", stack)
        save(truth / "SEG", "man_seg{:03}.tif", stack)
        tracks.save(truth / "TRA" / "man_track.txt")
        divided = [parent for parent in tracks.parents.values() if parent]
        print(f"truth: {len(stack)} frames, {len(tracks.ends)} tracks, {len(set(divided))} divisions")
        print("| `split` | TRA | DET | SEG | two cells in one | edges missing |\n| --- | --- | --- | --- | --- | --- |")
        for split in SPLITS:
            result = Path(work) / split
            stack, tracks = followed(model, pictures, split)
            save(result, "mask{:03}.tif", stack)
            tracks.save(result / "res_track.txt")
            # It prints what it does.
            with redirect_stdout(None):
                marks = evaluate_sequence(str(result), str(truth), ["Valid", "TRA", "DET", "SEG"], threads=1)
            if not marks["Valid"]:
                sys.exit(f"error: split={split}: the tracks are not valid")
            print(
                f"| `{split}` | {marks['TRA']:.3f} | {marks['DET']:.3f} | {marks['SEG']:.3f} | {marks['AOGM_NS']} | "
                f"{marks['AOGM_EA']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
