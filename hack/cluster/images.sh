#!/usr/bin/env bash
# Prints the folder with what a node of the cluster runs: the image of this tree, built from the unchanged Dockerfile
# by buildah, and the pause image, as archives that containerd imports. Made anew when the tree's program has changed.
# With a commit: the archive of that commit's image, localhost/nodeeni:COMMIT, which is made once.
# Usage: hack/cluster/images.sh CACHE [COMMIT] (CACHE is a folder). Needs root, buildah, crun or runc, mmdebstrap, Go.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
. hack/building.sh

say() { echo "$*" >&2; }

cache=$1 commit=${2:-}
parts=(Dockerfile .dockerignore pyproject.toml README.md LICENSE requirements src hack/image hack/cluster/images.sh hack/cluster/pause.go)
digest=$(git ls-files -z --cached --others --exclude-standard "${parts[@]}" | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
place=$cache/images-$digest
[ -z "$commit" ] || place=$cache/nodeeni-$commit.tar
# A build goes on where its `make cluster` was killed: it holds the lock until its end.
exec 9>"$cache/images.lock"
flock 9
if [ -e "$place" ]; then echo "$place"; exit; fi

say "building the image of ${commit:-this tree} ..."
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
# In a container the cache may lie on an overlay itself, over which no other goes.
[ "$(stat -f -c %T "$cache")" != overlayfs ] || STORAGE_DRIVER=vfs
work=$place.new
rm -rf "$cache"/images-*.new "$cache"/nodeeni-*.new
trap 'not_built $? "the image of ${commit:-this tree}" "$cache"; rm -rf "$work" "$cache/store-run"' EXIT
mkdir -p "$work"
build=(buildah --root "$cache/store" --runroot "$cache/store-run")

if [ ! -f "$cache/base.tar" ]; then
  mmdebstrap --quiet --variant=minbase --mode=root --aptopt='APT::Install-Recommends "false"' bookworm "$work/base.tar"
  mv "$work/base.tar" "$cache/base.tar"
fi
# pip in the build stage needs the authorities of this machine, and apt its sources; nothing of that stage stays.
context=$work/base
mkdir "$context"
cp "$cache/base.tar" /etc/ssl/certs/ca-certificates.crt "$context"
printf 'FROM scratch\nADD base.tar /\nCOPY ca-certificates.crt /ca.crt\nENV PIP_CERT=/ca.crt\n' >"$context/Dockerfile"
"${build[@]}" bud --quiet --layers -t docker.io/library/debian:12-slim "$context" >&2

# archived NAME: as an archive that containerd imports.
archived() {
  "${build[@]}" push --quiet "localhost/$1" "docker-archive:$work/archives/${1%:*}.tar:localhost/$1" >&2
}
mkdir "$work/archives"

if [ -n "$commit" ]; then
  mkdir "$work/tree"
  git archive "$commit" | tar x -C "$work/tree"
  "${build[@]}" bud --quiet --layers --pull-never -t "localhost/nodeeni:$commit" "$work/tree" >&2
  archived "nodeeni:$commit"
  mv "$work/archives/nodeeni.tar" "$place"
  echo "$place"
  exit
fi

"${build[@]}" bud --quiet --layers --pull-never -t localhost/nodeeni:tree . >&2
archived nodeeni:tree

context=$work/pause
mkdir "$context"
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$context/pause" hack/cluster/pause.go
printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >"$context/Dockerfile"
"${build[@]}" bud --quiet -t localhost/pause:1 "$context" >&2
archived pause:1

find "$cache" -maxdepth 1 -name 'images-????????????' -exec rm -rf {} +
mv "$work/archives" "$place"
echo "$place"
