#!/usr/bin/env bash
# Prints the folder with the real Node Readiness Controller and its CRD: built once per machine from its Go module (a
# few minutes, outside the tree). READINESS_SOURCE=DIR takes a clone of that version where the module is not to be had.
set -euo pipefail
cd "$(dirname "$0")"
. ../building.sh

module=sigs.k8s.io/node-readiness-controller version=v0.5.0
built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/node-readiness-$version"
if [ ! -x "$built/node-readiness-controller" ]; then
  command -v go >/dev/null || { echo "no Go to build it with: apt-get install golang-go" >&2; exit 1; }
  source=${READINESS_SOURCE:-$(cd / && go mod download -json "$module@$version" | awk -F '"' '$2 == "Dir" {print $4}')}
  [ -d "$source/cmd" ] || { echo "$module@$version is not to be had: clone it, and name it by READINESS_SOURCE" >&2; exit 1; }
  echo "building the Node Readiness Controller $version (once, a few minutes) ..." >&2
  mkdir -p "$built"
  trap 'not_built $? "the Node Readiness Controller $version" "$built"; rm -f "$built/new"' EXIT
  cp "$source/config/crd/bases/readiness.node.x-k8s.io_nodereadinessrules.yaml" "$built/crd.yaml"
  (cd "$source" && nice -n 19 go build -p "${BUILD_JOBS:-1}" -trimpath -ldflags "-s -w" -o "$built/new" ./cmd)
  mv "$built/new" "$built/node-readiness-controller"
fi
echo "$built"
