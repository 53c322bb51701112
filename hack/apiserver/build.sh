#!/usr/bin/env bash
# Prints the path of a real kube-apiserver: the one in KUBEBUILDER_ASSETS or on the PATH, else the one built once
# per machine from its Go module (about 5 minutes and 102 MB, outside the tree). With --is-there nothing is built.
# With --all, that of the one binary with kubelet, kube-controller-manager, kube-scheduler and kubectl too
# (kubernetes.go, about 7 minutes and 150 MB), which is always built. KUBERNETES=1.36 takes another minor.
set -euo pipefail
cd "$(dirname "$0")"
. ../building.sh

say() { echo "$*" >&2; }

what=kube-apiserver package=k8s.io/kubernetes/cmd/kube-apiserver is_there=
for argument; do
  case $argument in
  --all) what=kubernetes package=. ;;
  --is-there) is_there=yes ;;
  esac
done

minor=${KUBERNETES:-1.34}
mod=kubernetes-$minor.mod
if [ ! -f "$mod" ]; then
  pinned=(kubernetes-*.mod)
  pinned=("${pinned[@]#kubernetes-}")
  say "KUBERNETES=$minor is not pinned here: ${pinned[*]%.mod} are"
  exit 1
fi

# The Go that the module asks for, from its own module, which a Go that cannot read it (Debian 12's) can still fetch.
fetched_go() {
  local place version
  version=go$(awk '$1 == "go" {print $2; exit}' "$mod")
  say "this Go is too old: fetching $version ..."
  place=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-$version.$(go env GOOS)-$(go env GOARCH)" \
    | awk -F '"' '$2 == "Dir" {print $4}')
  [ -n "$place" ] || { say "no Go new enough and none to be had: install $version or newer (go.dev/dl)"; exit 1; }
  chmod u+x "$place"/bin/* "$place"/pkg/tool/*/*
  echo "$place/bin/go"
}

# A minor that was asked for is the one that is had.
if [ $what = kube-apiserver ] && [ -z "${KUBERNETES:-}" ]; then
  if [ -x "${KUBEBUILDER_ASSETS:-}/kube-apiserver" ]; then echo "$KUBEBUILDER_ASSETS/kube-apiserver"; exit; fi
  if command -v kube-apiserver; then exit; fi
fi

version=$(awk '/k8s.io\/kubernetes v/ {print $NF; exit}' "$mod")
built="${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools/$what-$version"
if [ ! -x "$built" ]; then
  [ -z "$is_there" ] || exit 1
  go=$(command -v go) || { say "no $what and no Go: apt-get install golang-go, or set KUBEBUILDER_ASSETS"; exit 1; }
  "$go" list -m -modfile="$mod" >/dev/null 2>&1 || go=$(fetched_go)
  mkdir -p "$(dirname "$built")"
  # One at a time; a build goes on where who asked for it was killed, and holds the lock until its end.
  exec 9>"$built.lock"
  flock 9
  if [ -x "$built" ]; then echo "$built"; exit; fi
  trap 'not_built $? "$what $version" "$(dirname "$built")"; rm -f "$built.new"' EXIT
  say "building $what $version (once, 5 to 7 minutes) ..."
  numbers=${version#v}
  stamp=k8s.io/component-base/version
  # One package at a time and at the lowest priority: the machine stays usable meanwhile. Static, since guests of
  # another system run it too.
  CGO_ENABLED=0 nice -n "${BUILD_NICE:-19}" "$go" build -modfile="$mod" -p "${BUILD_JOBS:-1}" -trimpath -o "$built.new" -ldflags \
    "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=${numbers%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<<"$numbers")" \
    "$package"
  mv "$built.new" "$built"
  # It is a kube-apiserver too, and need not be built a second time as one alone.
  alone=$(dirname "$built")/kube-apiserver-$version
  [ $what = kube-apiserver ] || [ -x "$alone" ] || ln -sfn "$(basename "$built")" "$alone"
fi
echo "$built"
