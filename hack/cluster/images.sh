#!/usr/bin/env bash
# Prints the folder with what a node of the cluster runs: the image of this tree, built from the unchanged Dockerfile
# by buildah, and the pause image, as archives that containerd imports. Made anew when the tree's program has changed.
# Usage: hack/cluster/images.sh CACHE (a folder). Needs root, buildah, crun or runc, mmdebstrap, Go.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

say() { echo "$*" >&2; }

cache=$1
parts=(Dockerfile .dockerignore pyproject.toml README.md LICENSE requirements src hack/image hack/cluster/images.sh hack/cluster/pause.go)
digest=$(git ls-files -z --cached --others --exclude-standard "${parts[@]}" | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
place=$cache/images-$digest
if [ -d "$place" ]; then echo "$place"; exit; fi

say "building the image of this tree ..."
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
# In a container the cache may lie on an overlay itself, over which no other goes.
[ "$(stat -f -c %T "$cache")" != overlayfs ] || STORAGE_DRIVER=vfs
work=$place.new
rm -rf "$work"
mkdir -p "$work"
build=(buildah --root "$cache/store" --runroot "$cache/store-run")
trap 'rm -rf "$work" "$cache/store-run"' EXIT

if [ ! -f "$cache/base.tar" ]; then
  mmdebstrap --quiet --variant=minbase --mode=root --aptopt='APT::Install-Recommends "false"' bookworm "$cache/base.new.tar"
  mv "$cache/base.new.tar" "$cache/base.tar"
fi
# pip in the build stage needs the authorities of this machine, and apt its sources; nothing of that stage stays.
context=$work/base
mkdir "$context"
cp "$cache/base.tar" /etc/ssl/certs/ca-certificates.crt "$context"
printf 'FROM scratch\nADD base.tar /\nCOPY ca-certificates.crt /ca.crt\nENV PIP_CERT=/ca.crt\n' >"$context/Dockerfile"
"${build[@]}" bud --quiet --layers -t docker.io/library/debian:12-slim "$context" >&2
"${build[@]}" bud --quiet --layers --pull-never -t localhost/nodeeni:tree . >&2

context=$work/pause
mkdir "$context"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$context/pause" hack/cluster/pause.go
printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >"$context/Dockerfile"
"${build[@]}" bud --quiet -t localhost/pause:1 "$context" >&2

mkdir "$work/archives"
for image in nodeeni:tree pause:1; do
  "${build[@]}" push --quiet "localhost/$image" "docker-archive:$work/archives/${image%:*}.tar:localhost/$image" >&2
done
find "$cache" -maxdepth 1 -name 'images-????????????' -exec rm -rf {} +
mv "$work/archives" "$place"
echo "$place"
