#!/usr/bin/env bash
# A link cannot be renamed to a name that it has already as an alternative name: the kernel answers EEXIST, although
# nothing else has that name. So whoever gives a DOWN link, before udev is done, the very name that udev's naming
# scheme is about to give, takes that name away from the link: it keeps the kernel's ethN.
# Removing the alternative name first makes the same rename pass.
#
# Guess beforehand: the rename passes, and the alternative name becomes the name.
# Seen: Linux 6.18 (x86-64), pyroute2 0.9.6 as the only client:
#   rename to its own altname: File exists
#   after the altname is removed: nic0
# Needs root (a network namespace and a veth pair of its own, both removed at the end).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pyroute2==0.9.6
uname -r
"$work/venv/bin/python" - <<'PY'
import ctypes
import errno
import os
import sys

from pyroute2 import IPRoute, NetlinkError

if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET; os.unshare is of Python 3.12
    sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
route = IPRoute()
route.link("add", ifname="eth0", kind="veth", peer="far")
(link,) = route.link_lookup(ifname="eth0")
route.link("property_add", index=link, altname="nic0")
refusal = 0
try:
    route.link("set", index=link, ifname="nic0")
except NetlinkError as error:
    refusal = error.code
print("rename to its own altname:", os.strerror(refusal))
route.link("property_del", index=link, altname="nic0")
route.link("set", index=link, ifname="nic0")
name = route.get_links(link)[0].get_attr("IFLA_IFNAME")
print("after the altname is removed:", name)
sys.exit(not (refusal == errno.EEXIST and name == "nic0"))
PY
