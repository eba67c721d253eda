#!/usr/bin/env bash
# Compares the objects of the element with those of scikit-image on real pictures. Run by `make check-objects`, which
# builds what this needs.
. "$(dirname "$0")/../../scripts/common.sh"

[ -e "$cache/objects/complete" ] || die "scikit-image and py-ctcmetrics are not there: scripts/python-packages.sh objects"
export PYTHONPATH=$cache/objects PYTHONDONTWRITEBYTECODE=1 GST_PLUGIN_PATH=$root/target/release
/usr/bin/python3 tests/objects/labels.py models "${UNETSEGMENT_DATA:-../shared/data}"
