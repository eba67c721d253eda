#!/usr/bin/env bash
# Prints what a shell has to export to use plugin and trainer from here: eval "$(make -s env)"
# usage: env.sh [cpu|gpu|openvino]
. "$(dirname "$0")/common.sh"

folder=$(runtime_folder "${1:-cpu}")

# Quotes a word for any POSIX shell.
quoted() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

[ -e target/release/libgstunetsegment.so ] || say "The plugin is not built yet: run 'make build'."

# What the shell itself has stays in force, after ours.
# shellcheck disable=SC2016
printf 'export GST_PLUGIN_PATH=%s"${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"\n' "$(quoted "$root/target/release")"
printf 'export PATH=%s:"$PATH"\n' "$(quoted "$root/target/release")"
printf 'export ORT_DYLIB_PATH=%s\n' "$(quoted "$folder/libonnxruntime.so")"
