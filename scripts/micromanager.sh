#!/usr/bin/env bash
# Fetches Micro-Manager's core for Python with its adapter of a camera that is a program, for the example and a test.
# Silent when it is there. It is not worth failing for: where it can't be had, the tests say that they are skipped.
. "$(dirname "$0")/common.sh"

folder=$cache/micromanager
[ ! -e "$folder/complete" ] || exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0
scripts/packages.sh fetch

mkdir -p "$cache"
work=$(mktemp -d "$cache/micromanager.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "Downloading Micro-Manager's core with pip"
# Debian's Python, for that has GStreamer's bindings.
/usr/bin/python3 -m pip install --quiet --retries 2 --disable-pip-version-check --no-compile \
    --only-binary=:all: --require-hashes --requirement scripts/requirements/micromanager.txt \
    --target "$work/taken" >"$work/log" 2>&1 || {
    say "It can't be had, so its tests will be skipped. pip said: $(tail -n 1 "$work/log")"
    exit 0
}
touch "$work/taken/complete"
rm -rf "$folder"
mv --no-target-directory "$work/taken" "$folder"
