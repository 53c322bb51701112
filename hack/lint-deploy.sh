#!/usr/bin/env bash
# Lint what is deployed: the chart with its least and its fullest values, shell scripts, the Dockerfile.
# A tool that is not there is named and left out: hack/setup.sh brings helm for x86-64 alone.
set -euo pipefail
cd "$(dirname "$0")/.."

have() {
  command -v "$1" >/dev/null || { echo "lint-deploy: $1 is not installed, left out"; return 1; }
}

if have helm; then
  helm lint --strict --quiet charts/nodeeni --set image.repository=registry.example/nodeeni
  helm lint --strict --quiet charts/nodeeni --values tests/deploy/fullest-values.yaml
fi
if have shellcheck; then
  shellcheck --external-sources --source-path=SCRIPTDIR --source-path=. .ci/run hack/*.sh hack/*/*.sh
fi
if have hadolint; then
  hadolint Dockerfile
fi
