#!/usr/bin/env bash
# A GenICam camera: prints the number of objects on each frame, at the camera's rate, however slow the network is. If no
# camera is named, it starts a simulated one: a GigE camera on this machine whose picture is a moving pattern.
#   examples/aravis.sh models/nuclei-fluo.int8.onnx [CAMERA]
# Debian's packages: aravis-tools (which also installs aravissrc), gstreamer1.0-tools.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: aravis.sh MODEL.onnx [CAMERA]" >&2; exit 1; }
model=$1
camera=${2:-}
frames=${FRAMES:-100}
as_user=()
size=

if [ -z "$camera" ]; then
    camera=Aravis-UNET
    # Larger frames don't fit into the 208 KiB that Linux reserves for a socket, unless net.core.rmem_default is raised.
    size=,width=240,height=180,framerate=20/1
    arv-fake-gv-camera-0.8 --interface 127.0.0.1 --serial UNET >/dev/null &
    trap 'kill %1' EXIT
    sleep 1
    # With the right to read raw packets, which root has, Aravis misses those of a camera on the same machine.
    [ "$(id -u)" != 0 ] || as_user=(setpriv --inh-caps=-net_raw --bounding-set=-net_raw)
fi

"${as_user[@]}" gst-launch-1.0 --messages aravissrc "camera-name=$camera" "num-buffers=$frames" \
    ! "video/x-raw,format=GRAY16_LE$size" \
    ! unetsegment "model-file=$model" mode=latest output=none post-messages=true ! fakesink sync=false |
    sed -n 's/.*(element): unetsegment, //p'
