#!/usr/bin/env bash
# Fills .cache/onnxruntime, where the plugin looks for ONNX Runtime; silent when it is there.
. "$(dirname "$0")/common.sh"

requirements=scripts/requirements/onnxruntime.txt
version=$(sed -n 's/^onnxruntime==\([0-9.]*\).*/\1/p' "$requirements")
library=libonnxruntime.so.$version
folder=$cache/onnxruntime

# The link comes last, so it also tells that the folder is complete.
[ "$(readlink "$folder/libonnxruntime.so" || true)" != "$library" ] || exit 0

case "$(uname -s) $(uname -m)" in
"Linux x86_64" | "Linux aarch64") ;;
*) die "no ONNX Runtime is pinned for $(uname -s) on $(uname -m): install version 1.22 or newer and point ORT_DYLIB_PATH at its library." ;;
esac

scripts/wheel.sh "$requirements" "$folder" \
    "onnxruntime/capi/$library" onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt
ln -s "$library" "$folder/libonnxruntime.so"
