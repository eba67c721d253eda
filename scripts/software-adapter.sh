#!/usr/bin/env bash
# Fetches the WebGPU execution provider and a software graphics adapter (SwiftShader, out of Debian's Chromium), for
# tests of a provider that is a library of its own. Silent when it is there. It is not worth failing for: where it
# can't be had, the test says that it is skipped.
. "$(dirname "$0")/common.sh"

folder=$cache/webgpu
[ ! -e "$folder/complete" ] || exit 0
case "$(uname -s)" in
Linux) ;;
*) exit 0 ;;
esac
{ command -v apt-get && command -v dpkg-deb; } >/dev/null || exit 0

scripts/wheel.sh scripts/requirements/webgpu.txt "$folder" \
    onnxruntime_ep_webgpu/libonnxruntime_providers_webgpu.so || exit 0

say "Taking SwiftShader out of Debian's chromium-common"
work=$(mktemp -d "$cache/swiftshader.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod a+rwx "$work"
(cd "$work" && apt-get --quiet=2 download chromium-common) >"$work/log" 2>&1 || {
    say "It can't be had, so one test will be skipped. apt said: $(tail -n 1 "$work/log")"
    exit 0
}
dpkg-deb --extract "$work"/chromium-common_*.deb "$work/unpacked"
mv "$work"/unpacked/usr/lib/chromium/{libvk_swiftshader.so,vk_swiftshader_icd.json} "$folder/"
touch "$folder/complete"
