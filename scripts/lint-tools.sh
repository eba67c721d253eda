#!/usr/bin/env bash
# Sees to it that rustfmt and clippy are there: rustup's minimal profile comes without them.
. "$(dirname "$0")/common.sh"

missing=()
cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
[ ${#missing[@]} -gt 0 ] || exit 0

command -v rustup >/dev/null ||
    die "${missing[*]} not found: install what your Rust toolchain lacks, then run this again."
say "Installing with rustup: ${missing[*]}"
rustup component add "${missing[@]}" ||
    die "rustup could not install ${missing[*]}."
