#!/bin/sh
# Install what the tests of the report page need: Debian's Chromium and its driver. As root; others are told what to run.
set -eu
packages="chromium chromium-driver"
if [ -x /usr/bin/chromium ] && [ -x /usr/bin/chromedriver ]; then
    echo "Chromium and its driver are there"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "only root can install packages; run: sudo apt-get update && sudo apt-get install --no-install-recommends $packages" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $packages
