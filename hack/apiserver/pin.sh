#!/usr/bin/env bash
# Pins a patch of Kubernetes: writes kubernetes-MINOR.mod and .sum. Usage: hack/apiserver/pin.sh 1.36.3
# k8s.io/kubernetes requires its own staging modules at v0.0.0; each is replaced by the release that goes with it.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:?usage: pin.sh VERSION, like 1.36.3}
minor=${version%.*}
mod=kubernetes-$minor.mod
required=$(cd / && go mod download -json "k8s.io/kubernetes@v$version" | awk -F '"' '$2 == "GoMod" {print $4}')
{
  echo "module nodeeni/hack/apiserver"
  awk '$1 == "go" || $1 == "godebug" {print "\n" $0}' "$required"
  printf '\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
  awk '$1 ~ /^k8s.io/ && $2 == "v0.0.0" {print $1}' "$required" | sort -u |
    while read -r staged; do printf '\t%s => %s v0.%s\n' "$staged" "$staged" "${version#1.}"; done
  echo ")"
} >"$mod"
rm -f "${mod%.mod}.sum"
go mod tidy -modfile="$mod"
