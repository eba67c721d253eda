#!/usr/bin/env bash
# Runs tests of the element compiled with the address sanitizer, which ends them where our code uses memory that is not
# there or freed. Overflows of integers and other debug assertions end them, too.
# usage: address-sanitizer.sh TEST...     files of tests/, without their ending
. "$(dirname "$0")/common.sh"

[ $# -ge 1 ] || die "usage: address-sanitizer.sh TEST..."
compgen -G "$(rustc --print target-libdir)/librustc*asan*" >/dev/null || {
    say "Skipped: the tests with the address sanitizer, which this Rust toolchain lacks."
    exit
}
tests=()
for test in "$@"; do
    tests+=(--test "$test")
done
# The sanitizer comes with stable toolchains, but its flag has to be unlocked. Without optimization it compiles twice as
# fast. A triple of its own keeps the flags from what runs while compiling. What GLib and ONNX Runtime never free is
# not ours: the leaks tracer of GStreamer finds what is.
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=line-tables-only ASAN_OPTIONS=detect_leaks=0 \
    CARGO_TARGET_DIR=$root/target/address cargo test --locked --target "$(rustc --print host-tuple)" "${tests[@]}"
