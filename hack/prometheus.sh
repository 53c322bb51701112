#!/usr/bin/env bash
# Prints the directory of a `prometheus` and its `promtool`: those of this machine, else Debian's, unpacked once beside
# the tools of tests. Installed, Debian's package would be a service that runs for good.
set -euo pipefail
. "$(dirname "$0")/building.sh"

if command -v prometheus promtool >/dev/null; then
  dirname "$(command -v prometheus)"
  exit
fi
unpacked="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/prometheus"
if [ ! -x "$unpacked/usr/bin/prometheus" ]; then
  command -v apt-get dpkg-deb >/dev/null || { echo "no prometheus here, and no apt-get to fetch it with" >&2; exit 1; }
  mkdir -p "$(dirname "$unpacked")"
  work=$(mktemp -d)
  trap 'not_built $? prometheus "$(dirname "$unpacked")"; rm -rf "$work" "$unpacked.new"' EXIT
  chmod 755 "$work" # apt-get fetches as a user of its own
  (cd "$work" && apt-get download -qq prometheus) >&2 || { echo "apt-get cannot fetch prometheus: apt-get update" >&2; exit 1; }
  dpkg-deb -x "$work"/prometheus_*.deb "$unpacked.new" # beside it: a move from elsewhere is a copy, which may end half way
  rm -rf "$unpacked"
  mv "$unpacked.new" "$unpacked"
fi
echo "$unpacked/usr/bin"
