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
