#!/usr/bin/env bash
# Installs the wheel and the sdist in FOLDER as people do, in clean environments of each Python that is found of those
# which are supported, and tries the commands. Nothing is pinned here: this is what the declared ranges give today.
# Usage: hack/package-check.sh FOLDER [VERSION]...
set -euo pipefail

folder=$(realpath "$1")
shift
versions=("$@")
[ $# -gt 0 ] || versions=(3.11 3.12 3.13 3.14)
wheel=$(echo "$folder"/*.whl)
sdist=$(echo "$folder"/*.tar.gz)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" # away from the checkout
for bin in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin; do PATH=$PATH:$bin; done # pyenv shows one of them only
export PIPX_HOME=$work/pipx PIPX_BIN_DIR=$work/pipx-bin UV_TOOL_DIR=$work/uv UV_TOOL_BIN_DIR=$work/uv-bin

# What it wants of a program that was installed without the extra.
try() { # FOLDER
  "$1/nodeeni" --version
  "$1/kubectl-nodeeni" plan --help | grep -q '^usage: nodeeni plan '
  local status=0
  "$1/nodeeni" demo >out 2>err || status=$?
  if [ "$status $(cat out err | wc -l)" != "2 1" ] || ! grep -q "without its extra 'sandbox'" err; then
    cat out err
    echo "nodeeni demo without its extra: status $status, one line was wanted"
    exit 1
  fi
}

tried=0
for version in "${versions[@]}"; do
  python=$(uv python find --no-python-downloads --system "$version" 2>/dev/null) || {
    echo "package-check: there is no Python $version, left out"
    continue
  }
  SECONDS=0
  uv tool install --quiet --force --python "$python" "$wheel"
  try "$UV_TOOL_BIN_DIR"

  pipx install --quiet --force --python "$python" "${wheel}[sandbox]" >/dev/null
  "$PIPX_BIN_DIR/nodeeni" demo --fast >played
  tail -n 1 played | grep -qx 'everything came up, and everything is gone again'

  uv venv --quiet --clear --python "$python" sdist
  uv pip install --quiet --python sdist "$sdist"
  try sdist/bin
  printf 'from nodeeni.api.v1alpha1 import NodeENI\nNodeENI().no_such_field\n' >typed.py
  mypy --python-executable sdist/bin/python typed.py >types || true
  grep -q '"NodeENI" has no attribute "no_such_field"' types || { cat types && exit 1; }
  echo "package-check: Python $version: uv tool, pipx with the demo, sdist, types: $SECONDS s"
  tried=$((tried + 1))
done
[ $tried -gt 0 ]
