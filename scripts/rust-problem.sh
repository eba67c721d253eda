#!/usr/bin/env bash
# Prints one line that says what is wrong with the Rust toolchain, or nothing when it will do.
# `make` shows that line as its only error.
. "$(dirname "$0")/common.sh"

minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

if ! command -v cargo >/dev/null; then
    echo "cargo was not found: install Rust $minimum or newer with rustup (https://rustup.rs), then open a new terminal"
elif ! version=$(rustc --version 2>/dev/null); then
    echo "cargo is there, but rustc does not run: install Rust $minimum or newer, for example with 'rustup default stable'"
else
    version=${version#rustc }
    version=${version%% *}
    if ! printf '%s\n' "$minimum" "$version" | sort --version-sort --check=quiet; then
        echo "Rust $version is too old: install Rust $minimum or newer, for example with 'rustup update stable'"
    fi
fi
