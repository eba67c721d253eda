#!/usr/bin/env bash
# Lays the pictures of a folder or of a TIFF stack out as GStreamer's multifilesrc reads them: 000000.tif, 000001.tif, ...
# usage: demo-frames.sh INPUT FOLDER   where INPUT holds .png or .tif files, or is a .tif file
. "$(dirname "$0")/common.sh"

input=$1
folder=$2
frames=0
mkdir -p "$folder"

# Writes each page of a TIFF file as a file of its own, in the plain form that avdec_tiff reads exactly:
# one page, in strips, not compressed.
split_tiff() {
    local stack=$folder/stack pages page
    # A name of our own: in the user's, a comma would set off the number of a page.
    ln --symbolic --force --no-target-directory "$1" "$stack"
    pages=$(tiffinfo "$stack" 2>/dev/null | grep --count '^TIFF Directory at offset') ||
        die "$1 cannot be read as TIFF"
    for ((page = 0; page < pages; page++)); do
        tiffcp -s -c none "$stack,$page" "$folder/$(printf %06d "$frames").tif" ||
            die "page $page of $1 cannot be read"
        frames=$((frames + 1))
    done
    rm "$stack"
}

if [ -d "$input" ]; then
    mapfile -d '' -t files < <(find -L "$input" -maxdepth 1 -type f -iregex '.*\.\(png\|tiff?\)' -print0 |
        sort --zero-terminated --version-sort)
    [ ${#files[@]} -gt 0 ] || die "the folder $input holds no .png, .tif or .tiff files"
else
    files=("$input")
fi

kind=${files[0]##*.}
for file in "${files[@]}"; do
    [ "${file##*.}" = "$kind" ] ||
        die "$input holds .$kind and .${file##*.} files, and a series has to be of one kind"
    case ${kind,,} in
    png)
        ln --symbolic "$file" "$folder/$(printf %06d "$frames").png"
        frames=$((frames + 1))
        ;;
    *) split_tiff "$file" ;;
    esac
done
