# Sourced by the other scripts: strict mode, the project's folder, and how they talk.
# shellcheck shell=bash
set -euo pipefail

# The project's folder; every script works from there.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# What the scripts download lies here, so that `make clean` does not cost a download.
# shellcheck disable=SC2034 # used by the scripts that source this one
cache=$root/.cache

# Says on standard error what is being done; standard output is for results alone.
say() {
    printf '==> %s\n' "$*" >&2
}

# Says what went wrong and what to do about it, and ends the script.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The folder of a build of ONNX Runtime.
runtime_folder() {
    case $1 in
    cpu) echo "$cache/onnxruntime" ;;
    gpu | openvino) echo "$cache/onnxruntime-$1" ;;
    *) die "ORT=$1 is no build of ONNX Runtime: choose cpu, gpu (CUDA and TensorRT) or openvino." ;;
    esac
}
