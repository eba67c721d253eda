#!/usr/bin/env bash
# Segments a time-lapse with the plugin, through gst-launch-1.0, and leaves in demo/ a video, pictures and a table.
# The environment may name INPUT (a folder of PNG or TIFF files, a TIFF stack, a video) and MODEL (an .onnx file).
. "$(dirname "$0")/common.sh"

# Frames a second at which a series of pictures is shown.
rate=5
# No more than so many frames of a series are kept as pictures.
most_pictures=20

input=${INPUT:-}
model=$(realpath --canonicalize-missing "${MODEL:-models/nuclei-fluo.onnx}")
objects=objects
if [ -z "$input" ]; then
    input=$cache/demo/Fluo_Hela_02_img.tif
    [ -n "${MODEL:-}" ] || objects=nuclei
    scripts/demo-pictures.sh
fi
input=$(realpath --canonicalize-missing "$input")

[ -f "$model" ] || die "there is no model $model: name one with MODEL=file.onnx"
[ -f "$input" ] || [ -d "$input" ] || die "there is no $input: name a folder, a TIFF stack or a video with INPUT=..."

mkdir -p "$cache"
work=$(mktemp -d "$cache/demo-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/in" "$work/pictures"

# The pipeline's first part, and the part that lets some frames through to become pictures.
step=1
if [ -d "$input" ] || [[ ${input,,} =~ \.(tiff?|png)$ ]]; then
    scripts/demo-frames.sh "$input" "$work/in"
    frames=("$work"/in/*)
    step=$(((${#frames[@]} + most_pictures - 1) / most_pictures))
    case ${frames[0]} in
    *.png) source=(multifilesrc location=in/%06d.png "caps=image/png,framerate=$rate/1" ! pngdec) ;;
    *) source=(multifilesrc location=in/%06d.tif "caps=image/tiff,framerate=$rate/1" ! avdec_tiff) ;;
    esac
    thin=(videorate drop-only=true ! "video/x-raw,framerate=$rate/$step")
    kept="every frame"
    [ "$step" -eq 1 ] || kept="one of $step frames"
    say "Segmenting ${#frames[@]} frames of $input"
else
    source=(filesrc "location=$input" ! decodebin)
    thin=(videorate max-rate=1)
    kept="one frame a second"
    say "Segmenting the video $input"
fi

export GST_PLUGIN_PATH=$root/target/release
started=$SECONDS
(
    cd "$work"
    gst-launch-1.0 --messages --no-position "${source[@]}" ! videoconvert \
        ! unetsegment "model-file=$model" output=overlay post-messages=true ! tee name=drawn \
        drawn. ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=4 threads=2 end-usage=cq cq-level=10 \
        target-bitrate=8000000 keyframe-max-dist=25 ! webmmux ! filesink location=overlay.webm \
        drawn. ! queue ! "${thin[@]}" ! videoconvert ! pngenc ! multifilesink location=pictures/%d.png
) >"$work/messages" || die "the pipeline has failed, see above"
seconds=$((SECONDS - started))

awk -v objects="$objects" -f scripts/counts.awk "$work/messages" >"$work/counts.csv"
lines=$(wc -l <"$work/counts.csv")
[ "$lines" -gt 1 ] || die "no frame of $input came through"

mkdir -p demo
rm -f demo/overlay.webm demo/counts.csv demo/frame-*.png
for picture in "$work"/pictures/*.png; do
    number=$(basename "$picture" .png)
    mv "$picture" "demo/frame-$(printf %03d $((number * step))).png"
done
mv "$work/overlay.webm" "$work/counts.csv" demo/

say "$((lines - 1)) frames in $seconds s. demo/ now holds:"
cat >&2 <<END
    overlay.webm     the $objects outlined; a browser plays it
    frame-*.png      $kept, as pictures
    counts.csv       frame, time, number of $objects, share of the area that is not background
END
