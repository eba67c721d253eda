#!/usr/bin/env bash
# Installs the Debian packages that are missing for a purpose; quick and silent when none is.
# usage: packages.sh PURPOSE...   with the purposes build, run, show, examples, cameras, analytics, browser, fuzz, demo,
# fetch, gpu
. "$(dirname "$0")/common.sh"

# The packages for one purpose, by the names of Debian 12 and Ubuntu 24.04.
packages_for() {
    case $1 in
    build) echo ca-certificates gcc libc6-dev libgstreamer-plugins-base1.0-dev libgstreamer1.0-dev pkgconf ;;
    run) echo gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-tools ;;
    # A window for autovideosink, which "good" plugins only recommend.
    show) echo gstreamer1.0-x ;;
    # The examples in Python, and recording.
    examples) echo gstreamer1.0-libav python3-gst-1.0 python3-numpy ;;
    # It brings aravissrc along, which is in the library's package.
    cameras) echo aravis-tools util-linux ;;
    analytics) echo libgstreamer-plugins-bad1.0-dev ;;
    # Ubuntu's chromium is a snap, which needs its daemon.
    browser) echo chromium python3-pil ;;
    fuzz) echo g++ ;;
    demo) echo gstreamer1.0-libav libtiff-tools ;;
    fetch) echo python3 python3-pip ;;
    gpu) echo mesa-vulkan-drivers ;;
    *) die "packages.sh: unknown purpose '$1'" ;;
    esac
}

has_element() {
    gst-inspect-1.0 --exists "$1"
}

# Whether what the packages are for is there anyway: the question on systems without dpkg.
works_for() {
    case $1 in
    build) command -v cc && pkg-config --exists 'gstreamer-video-1.0 >= 1.22' gstreamer-app-1.0 gstreamer-check-1.0 ;;
    run) has_element pngdec && has_element vp8enc && command -v gst-launch-1.0 ;;
    show) has_element ximagesink || has_element glimagesink || has_element waylandsink || has_element osxvideosink ;;
    examples) has_element avenc_ffv1 && python3 -c 'import gi, numpy; gi.require_version("Gst", "1.0")' ;;
    cameras) command -v arv-fake-gv-camera-0.8 && command -v setpriv && has_element aravissrc ;;
    analytics) pkg-config --exists 'gstreamer-analytics-1.0 >= 1.26' ;;
    browser) command -v chromium && python3 -c 'import PIL' ;;
    fuzz) command -v c++ ;;
    demo) has_element avdec_tiff && command -v tiffcp && command -v tiffinfo ;;
    fetch) python3 -m pip --version ;;
    gpu) command -v vulkaninfo && vulkaninfo --summary ;;
    esac >/dev/null 2>&1
}

# Prints those of the given packages that are not installed.
not_installed() {
    local installed package
    # dpkg-query fails when it does not know one of them, and still answers for the others.
    installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep --quiet --line-regexp --fixed-strings "installed $package" <<<"$installed" || echo "$package"
    done
}

apt_get() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get --quiet=2 --option Dpkg::Use-Pty=0 --option DPkg::Lock::Timeout=300 "$@" >/dev/null
}

install_packages() {
    local by_hand="apt-get install --no-install-recommends $*"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "packages are missing, and installing them takes root or sudo. As root: $by_hand"
    fi
    say "Installing with apt: $*"
    # Out-of-date lists are not fatal: whether the packages can be had, the next command tells.
    apt_get update || true
    apt_get install --yes --no-install-recommends "$@" ||
        die "apt could not install the packages. By hand, as root: $by_hand"
}

wanted=()
for purpose in "$@"; do
    packages=$(packages_for "$purpose")
    read -ra packages <<<"$packages"
    wanted+=("${packages[@]}")
done

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    mapfile -t missing < <(not_installed "${wanted[@]}")
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
else
    for purpose in "$@"; do
        works_for "$purpose" ||
            die "this is neither Debian nor Ubuntu: install what they call $(packages_for "$purpose") (GStreamer 1.22 or newer)."
    done
fi
