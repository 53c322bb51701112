#!/usr/bin/env bash
# What the Dockerfile does, done without an engine: its two scripts in a clean folder, and the result started
# in a chroot as the image would start it. Needs root, Debian 12, Python 3.11 with pip, and package registries.
# Usage: hack/image/check.sh [ROOT]; prints size and start-up time, exits non-zero when something is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=${1:-$(mktemp -d)/root}
mkdir -p "$root"
hack/image/base.sh "$root"
hack/image/app.sh "$root"

start=(/usr/bin/python3.11 -I -m nodeeni)
in_image() {
  local user=$1
  shift
  env -i "$@" /usr/sbin/chroot --userspec="$user" "$root" "${start[@]}" "${arguments[@]}"
}
expect() {
  echo "ok: $1"
}

arguments=(--help)
in_image 65532:65532 COMPONENT=eni-controller | grep -q -- --enable-leader-election
expect "the controller starts as a user without rights, and names its flags"
in_image 0:0 COMPONENT=eni-manager | grep -q -- --check-interval
expect "the ENI manager starts"
arguments=(--version)
in_image 65532:65532 | grep -q '^nodeeni [0-9]'
expect "nodeeni --version"

started=$(env -i PATH=/usr/bin COMPONENT=eni-controller /usr/sbin/chroot --userspec=65532:65532 "$root" \
  nodeeni doctor --help)
grep -q '^usage: nodeeni doctor' <<<"$started"
expect "nodeeni is a command, as \`kubectl exec\` calls it"

arguments=(--resync-period=5)
if in_image 65532:65532 COMPONENT=eni-controller 2>/dev/null; then exit 1; fi
expect "a wrong duration ends it"

for program in bin/sh usr/bin/sh bin/bash usr/bin/apt usr/bin/dpkg usr/bin/gcc usr/bin/pip3; do
  if [ -e "$root/$program" ]; then
    echo "there is $program"
    exit 1
  fi
done
if [ -n "$(find "$root" -type f -perm /6000)" ]; then
  echo "there are set-uid files"
  exit 1
fi
expect "no shell, no package program, no compiler, no set-uid file"

env -i AWS_EC2_METADATA_DISABLED=true /usr/sbin/chroot --userspec=65532:65532 "$root" /usr/bin/python3.11 -I - <<'PY'
import asyncio, ssl
from nodeeni.ec2.client import EC2Client, caller_identity, rate_quotas
from nodeeni.ec2.errors import EC2Error
assert ssl.create_default_context().get_ca_certs(), "no certificate authorities"
async def main():
    async with EC2Client.connect("us-west-2"):
        pass
    for call in (caller_identity, rate_quotas):  # no credentials here: refused before anything is sent
        try:
            await call("us-west-2")
        except EC2Error as error:
            assert error.code == "NoCredentialsError", error
asyncio.run(main())
PY
expect "TLS has its authorities, and the clients of EC2, STS and Service Quotas can be built"

env -i /usr/sbin/chroot --userspec=65532:65532 "$root" /usr/bin/python3.11 -I -c "import yaml"
expect "PyYAML is there, for a kubeconfig of the ENI manager that is no JSON"

python3.11 - "$root" <<'PY'
import os, pathlib, subprocess, sys, time
root = sys.argv[1]
size = sum(p.lstat().st_size for p in pathlib.Path(root).rglob("*") if p.is_file() and not p.is_symlink())
print(f"size: {size / 1e6:.0f} MB in files")
for component in ("eni-controller", "eni-manager"):
    took = []
    for _ in range(5):
        started = time.monotonic()
        command = ["/usr/sbin/chroot", root, "/usr/bin/python3.11", "-I", "-m", "nodeeni", "--help"]
        subprocess.run(command, env={"COMPONENT": component}, check=True, stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - started)
    print(f"start to --help, {component}: {min(took) * 1000:.0f} ms")
PY
