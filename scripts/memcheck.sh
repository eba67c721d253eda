#!/usr/bin/env bash
# Runs tests of the element under Valgrind's memcheck, which fails where memory is used that is not there, freed or
# not yet written. What is not ours is left out by scripts/memcheck.supp.
# usage: memcheck.sh TEST...     files of tests/, without their ending
. "$(dirname "$0")/common.sh"

[ $# -ge 1 ] || die "usage: memcheck.sh TEST..."
tests=()
for test in "$@"; do
    tests+=(--test "$test")
done
triple=$(rustc --print host-tuple)
runner=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")_RUNNER
# Valgrind runs one thread at a time: tests beside each other would only wait for each other.
env "$runner=valgrind --quiet --error-exitcode=99 --fair-sched=yes --suppressions=$root/scripts/memcheck.supp" \
    G_SLICE=always-malloc cargo test --release --locked "${tests[@]}" -- --test-threads=1
