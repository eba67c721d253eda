#!/usr/bin/env bash
# Makes a package of every model in models/ and lets bioimageio.core test it; then compares the element with it on
# packages of each kind. Run by `make check-bioimageio`, which builds what this needs.
. "$(dirname "$0")/../../scripts/common.sh"

[ -e "$cache/bioimageio/complete" ] || die "bioimageio.core is not there: scripts/python-packages.sh bioimageio"
export PYTHONPATH=$cache/bioimageio GST_PLUGIN_PATH=$root/target/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for model in models/*.onnx; do
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
