#!/usr/bin/env bash
# Fetches ONNX Runtime into .cache: with the processor alone into the folder where the plugin looks for it, the
# other builds beside it. Silent when it is there.
# usage: onnxruntime.sh [cpu|gpu|openvino]
. "$(dirname "$0")/common.sh"

kind=${1:-cpu}
folder=$(runtime_folder "$kind")
case $kind in
cpu) requirements=scripts/requirements/onnxruntime.txt ;;
*) requirements=scripts/requirements/onnxruntime-$kind.txt ;;
esac

version=$(sed -n 's/^onnxruntime[a-z-]*==\([0-9.]*\).*/\1/p' "$requirements")
library=libonnxruntime.so.$version

# The link comes last, so it also tells that the folder is complete.
[ "$(readlink "$folder/libonnxruntime.so" || true)" != "$library" ] || exit 0

machine="$(uname -s) $(uname -m)"
case "$kind $machine" in
"cpu Linux x86_64" | "cpu Linux aarch64" | "gpu Linux x86_64" | "gpu Linux aarch64" | "openvino Linux x86_64") ;;
*) die "no ONNX Runtime for ORT=$kind is pinned for $machine: install version 1.22 or newer and point ORT_DYLIB_PATH at its library." ;;
esac

# The others bring libraries that the runtime loads from its own folder.
libraries=("onnxruntime/capi/$library")
[ "$kind" = cpu ] || libraries=('onnxruntime/capi/lib*.so*')
scripts/wheel.sh "$requirements" "$folder" \
    "${libraries[@]}" onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt
ln -s "$library" "$folder/libonnxruntime.so"
[ "$kind" = cpu ] || say "To use it in a shell: eval \"\$(make -s env ORT=$kind)\""
