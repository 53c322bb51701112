#!/usr/bin/env bash
# Prints the path of a real kube-apiserver: the one in KUBEBUILDER_ASSETS or on the PATH, else the one built once
# per machine from its Go module (about 5 minutes and 102 MB, outside the tree). With --is-there nothing is built.
set -euo pipefail
cd "$(dirname "$0")"

say() { echo "$*" >&2; }

# The Go that go.mod asks for, from its module, which a Go that cannot read go.mod (Debian 12's) can still fetch.
fetched_go() {
  local place version
  version=go$(awk '$1 == "go" {print $2; exit}' go.mod)
  say "this Go is too old: fetching $version ..."
  place=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-$version.$(go env GOOS)-$(go env GOARCH)" \
    | awk -F '"' '$2 == "Dir" {print $4}')
  [ -n "$place" ] || { say "no Go new enough and none to be had: install $version or newer (go.dev/dl)"; exit 1; }
  chmod u+x "$place"/bin/* "$place"/pkg/tool/*/*
  echo "$place/bin/go"
}

if [ -x "${KUBEBUILDER_ASSETS:-}/kube-apiserver" ]; then echo "$KUBEBUILDER_ASSETS/kube-apiserver"; exit; fi
if command -v kube-apiserver; then exit; fi

version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' go.mod)
built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/kube-apiserver-$version"
if [ ! -x "$built" ]; then
  [ "${1:-}" != --is-there ] || exit 1
  go=$(command -v go) || { say "no kube-apiserver and no Go: apt-get install golang-go, or set KUBEBUILDER_ASSETS"; exit 1; }
  "$go" list -m >/dev/null 2>&1 || go=$(fetched_go)
  say "building kube-apiserver $version (once, about 5 minutes) ..."
  mkdir -p "$(dirname "$built")"
  numbers=${version#v}
  stamp=k8s.io/component-base/version
  # One package at a time and at the lowest priority: the machine stays usable meanwhile.
  nice -n 19 "$go" build -p "${BUILD_JOBS:-1}" -trimpath -o "$built.new" -ldflags \
    "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=${numbers%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<<"$numbers")" \
    k8s.io/kubernetes/cmd/kube-apiserver
  mv "$built.new" "$built"
fi
echo "$built"
