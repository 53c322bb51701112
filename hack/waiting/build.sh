#!/usr/bin/env bash
# Prints the path of `judges`: what kstatus (Flux, Helm 4) and a health script of Argo CD make of objects, by the
# libraries that these are made with. Built once per machine from Go modules (half a minute, outside the tree).
set -euo pipefail
cd "$(dirname "$0")"
. ../building.sh

built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/judges-$(cat go.mod go.sum main.go | sha256sum | cut -c1-12)"
if [ ! -x "$built" ]; then
  command -v go >/dev/null || { echo "no Go to build it with: apt-get install golang-go" >&2; exit 1; }
  echo "building what waits (once, half a minute) ..." >&2
  mkdir -p "$(dirname "$built")"
  trap 'not_built $? "what waits" "$(dirname "$built")"; rm -f "$built.new"' EXIT
  nice -n 19 go build -trimpath -ldflags "-s -w" -o "$built.new" .
  mv "$built.new" "$built"
fi
echo "$built"
