#!/usr/bin/env bash
# Builds one thing with cargo and copies it to the file that meson asks for.
# usage: meson-cargo.sh SOURCE_FOLDER OUTPUT TARGET_FOLDER CARGO_ARGUMENT...
set -euo pipefail

source=$1
output=$(realpath "$(dirname "$2")")/$(basename "$2")
target=$3
shift 3

cd "$source"
cargo build --release --locked --target-dir "$target" "$@"
cp --remove-destination "$target/release/$(basename "$output")" "$output"
