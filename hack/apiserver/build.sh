#!/usr/bin/env bash
# Prints the path of a real kube-apiserver: the one in KUBEBUILDER_ASSETS or on the PATH, else the one built once
# per machine from its Go module (about 5 minutes and 102 MB, outside the tree).
set -euo pipefail
cd "$(dirname "$0")"

say() { echo "$*" >&2; }

if [ -x "${KUBEBUILDER_ASSETS:-}/kube-apiserver" ]; then echo "$KUBEBUILDER_ASSETS/kube-apiserver"; exit; fi
if command -v kube-apiserver; then exit; fi

version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' go.mod)
built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/kube-apiserver-$version"
if [ ! -x "$built" ]; then
  command -v go >/dev/null || { say "no kube-apiserver and no Go: install Go 1.24 or newer (go.dev/dl), or set KUBEBUILDER_ASSETS"; exit 1; }
  say "building kube-apiserver $version (once, about 5 minutes) ..."
  mkdir -p "$(dirname "$built")"
  numbers=${version#v}
  stamp=k8s.io/component-base/version
  # One package at a time and at the lowest priority: the machine stays usable meanwhile.
  nice -n 19 go build -p "${BUILD_JOBS:-1}" -trimpath -o "$built.new" -ldflags \
    "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=${numbers%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<<"$numbers")" \
    k8s.io/kubernetes/cmd/kube-apiserver
  mv "$built.new" "$built"
fi
echo "$built"
