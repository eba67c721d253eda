#!/usr/bin/env bash
# Checks every model in models/, one with valid convolutions and a deep one with onnx.checker; packages every model and
# the deep one, and tests the packages with bioimageio.core; then compares the element with bioimageio.core on packages
# of each kind. Run by `make check-bioimageio`, which builds what this needs.
. "$(dirname "$0")/../../scripts/common.sh"

[ -e "$cache/bioimageio/complete" ] || die "bioimageio.core is not there: scripts/python-packages.sh bioimageio"
export PYTHONPATH=$cache/bioimageio GST_PLUGIN_PATH=$root/target/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The models are padded, of depth 3 or 4: one that is not padded and one with a wider halo, each after one step on two
# squares, which is enough for their graphs.
/usr/bin/python3 - "$work" <<'END'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

square = np.zeros((96, 96), np.uint8)
square[30:60, 20:50] = 255
for folder in ("images", "masks"):
    (Path(sys.argv[1]) / folder).mkdir()
    for name in ("a", "b"):
        Image.fromarray(square).save(Path(sys.argv[1]) / folder / f"{name}.png")
END
target/release/unet-train train --images "$work/images" --masks "$work/masks" --output "$work/valid.onnx" \
    --padded=false --width 4 --depth 2 --tile 60 --steps 1 >"$work/log"
target/release/unet-train quantize --model "$work/valid.onnx" --images "$work/images" >"$work/log"
target/release/unet-train train --images "$work/images" --masks "$work/masks" --output "$work/depth5.onnx" \
    --width 2 --depth 5 --tile 64 --steps 1 >"$work/log"
/usr/bin/python3 - models/*.onnx "$work"/valid*.onnx "$work/depth5.onnx" <<'END'
import sys

import onnx

for file in sys.argv[1:]:
    onnx.checker.check_model(file, full_check=True)
    print(f"{file}: checked")
END

for model in models/*.onnx "$work/depth5.onnx"; do
    name=$(basename "$model" .onnx)
    target/release/unet-train export --bioimageio --model "$model" --name "${name/./ }" --author "unetsegment" \
        --license MIT --output "$work/$name.zip"
    /usr/bin/python3 -m bioimageio.core test "$work/$name.zip" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "$model: bioimageio.core refuses its package"
    }
    echo "$model: passed"
done
/usr/bin/python3 tests/bioimageio/compare.py models/nuclei-fluo.onnx 2>"$work/log" || {
    tail -n 20 "$work/log" >&2
    exit 1
}
