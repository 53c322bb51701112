#!/usr/bin/env bash
# Prints the folder with real neighbours for `make cluster`: kube-state-metrics, and Multus as the image that its thick
# manifest asks for. Built once per machine from their Go modules (some minutes each, outside the tree; the image by buildah).
# Where a module is not to be had, NEIGHBOURS=DIR names a folder with its clone, kube-state-metrics or multus, of which
# the tag of this version is taken.
set -euo pipefail
. "$(dirname "$0")/../building.sh"

tools="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/neighbours"
export CGO_ENABLED=0

# built NAME MODULE VERSION FILE PACKAGE...: the packages' programs are in $tools/NAME-VERSION, and that file.
built() {
  local name=$1 module=$2 version=$3 file=$4 place="$tools/$1-$3" source work
  shift 4
  [ ! -d "$place" ] || return 0
  command -v go >/dev/null || { echo "no Go to build $name with: apt-get install golang-go" >&2; exit 1; }
  mkdir -p "$tools"
  work=$(mktemp -d "$tools/making-XXXXXX") # in there: a move from elsewhere is a copy, which may end half way
  trap 'not_built $? neighbours "$tools"; chmod -R u+w "$work"; rm -rf "$work"' EXIT
  if [ -n "${NEIGHBOURS:-}" ]; then
    git clone -q --branch "$version" -c advice.detachedHead=false "$NEIGHBOURS/$name" "$work/source" >&2
    source=$work/source
  else
    source=$(cd / && go mod download -json "$module@$version" | awk -F '"' '$2 == "Dir" {print $4}')
    [ -d "$source" ] || { echo "$module@$version is not to be had: clone it, and name the folder by NEIGHBOURS" >&2; exit 1; }
  fi
  echo "building $name $version (once, some minutes) ..." >&2
  mkdir -p "$work/bin"
  (cd "$source" && nice -n 19 go build -p "${BUILD_JOBS:-1}" -trimpath -ldflags "-s -w" -o "$work/bin/" "$@") >&2
  cp "$source/$file" "$work/bin"
  mv "$work/bin" "$place"
  chmod -R u+w "$work"
  rm -rf "$work"
  trap - EXIT
}

built kube-state-metrics k8s.io/kube-state-metrics/v2 v2.20.0 LICENSE .

# The image's own Dockerfile begins with images of registries; from it are the paths. An archive that containerd imports.
multus=v4.3.0
built multus gopkg.in/k8snetworkplumbingwg/multus-cni.v4 $multus deployments/multus-daemonset-thick.yml \
  ./cmd/multus-daemon ./cmd/multus-shim ./cmd/install_multus ./cmd/passthru-cni
place=$tools/multus-$multus
if [ ! -f "$place/image.tar" ]; then
  work=$(mktemp -d "$tools/making-XXXXXX") # where it is to be: a move from elsewhere is a copy, which may end half way
  trap 'not_built $? "the image of Multus" "$tools"; rm -rf "$work"' EXIT
  root=$work/context/root programs=$work/context/root/usr/src/multus-cni/bin
  mkdir -p "$root/etc" "$root/var" "$programs"
  cp "$place/multus-daemon" "$place/multus-shim" "$place/install_multus" "$programs"
  cp "$place/passthru-cni" "$programs/passthru" # by that name it is installed
  echo "root:x:0:0::/:/" >"$root/etc/passwd" # without it the daemon does not know who it is, and ends
  ln -s /run "$root/var/run" # containerd names pods' network namespaces by /var/run, the manifest mounts /run/netns
  printf 'FROM scratch\nCOPY root /\n' >"$work/context/Dockerfile"
  build=(buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs)
  "${build[@]}" bud --quiet --isolation chroot -t "localhost/multus-cni:$multus-thick" "$work/context" >&2
  "${build[@]}" push --quiet "localhost/multus-cni:$multus-thick" "docker-archive:$work/image.tar:localhost/multus-cni:$multus-thick" >&2
  mv "$work/image.tar" "$place/image.tar"
fi
echo "$tools"
