#!/usr/bin/env bash
# Fetches packages for Debian's Python, which has GStreamer's bindings, into a folder of .cache: micromanager (the core
# with its simulated camera), bioimageio or objects (scikit-image, py-ctcmetrics). Silent when they are there. They are
# not worth failing for: where they can't be had, whoever needs them says that it is skipped.
# usage: python-packages.sh micromanager|bioimageio|objects
. "$(dirname "$0")/common.sh"

name=$1
folder=$cache/$name
[ ! -e "$folder/complete" ] || exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0
scripts/packages.sh fetch

mkdir -p "$cache"
work=$(mktemp -d "$cache/$name.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "Downloading the packages of scripts/requirements/$name.txt with pip"
/usr/bin/python3 -m pip install --quiet --retries 2 --disable-pip-version-check --no-compile \
    --only-binary=:all: --require-hashes --requirement "scripts/requirements/$name.txt" \
    --target "$work/taken" >"$work/log" 2>&1 || {
    say "They can't be had. pip said: $(tail -n 1 "$work/log")"
    exit 0
}
touch "$work/taken/complete"
rm -rf "$folder"
mv --no-target-directory "$work/taken" "$folder"
