#!/usr/bin/env bash
# Fuzzes each target for some seconds, with LLVM's libFuzzer and the coverage of the compiler in use: no nightly
# toolchain and no address sanitizer. (`cargo +nightly fuzz run TARGET` has both.) Findings lie in fuzz/artifacts.
# usage: fuzz.sh SECONDS [TARGET...]     all targets but options, for which the trainer is compiled as well
. "$(dirname "$0")/common.sh"

[ $# -ge 1 ] || die "usage: fuzz.sh SECONDS [TARGET...]"
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(model contract package frame plan)
scripts/packages.sh build fuzz

features=()
[[ " ${targets[*]} " != *" options "* ]] || features=(--features train)
# A triple of its own keeps the flags from what runs while compiling.
triple=$(rustc --print host-tuple)
folder=$root/target/fuzz
RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" CARGO_TARGET_DIR=$folder \
    cargo build --release --locked --quiet --manifest-path fuzz/Cargo.toml --target "$triple" "${features[@]}" --bins

for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    inputs=("fuzz/corpus/$target")
    # What bytes of any kind make, as frames and plans, needs no seeds.
    [ ! -d "fuzz/seeds/$target" ] || inputs+=("fuzz/seeds/$target")
    log=$(mktemp)
    "$folder/$triple/release/$target" "${inputs[@]}" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
        >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        die "$target: the input above makes it fail"
    }
    printf '%s: %s inputs, no finding\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    rm "$log"
done
