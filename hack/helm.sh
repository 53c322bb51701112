#!/usr/bin/env bash
# Prints the path of a Helm 4, built once per machine from its Go module (about 3 minutes, outside the tree), whose
# sums Go checks. With --is-there nothing is built. Helm 3 is in .venv/bin (`make tools`).
set -euo pipefail
. "$(dirname "$0")/building.sh"

version=v4.3.1
built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/helm-$version"
if [ ! -x "$built" ]; then
  [ "${1:-}" != --is-there ] || exit 1
  command -v go >/dev/null || { echo "no Helm 4 and no Go: apt-get install golang-go" >&2; exit 1; }
  echo "building helm $version (once, about 3 minutes) ..." >&2
  mkdir -p "$(dirname "$built")"
  work=$(mktemp -d)
  trap 'not_built $? "helm $version" "$(dirname "$built")"; rm -rf "$work" "$built.new"' EXIT
  cd "$work"
  GOBIN=$work nice -n 19 go install -trimpath -ldflags "-s -w" "helm.sh/helm/v4/cmd/helm@$version"
  mv helm "$built.new"
  mv "$built.new" "$built"
fi
echo "$built"
