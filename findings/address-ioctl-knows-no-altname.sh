#!/usr/bin/env bash
# Asked by a link's alternative name, the kernel's old calls for interfaces give its index, flags, MTU and MAC, but not
# its address: SIOCGIFADDR answers EADDRNOTAVAIL, as for a link without one. The link is found by the alternative name,
# and its addresses are then compared by their label, which is the link's own name. Programs that take "the address of
# this interface" that way say that the link has none.
#
# Guess beforehand: what finds the link by a name gives its address by that name.
# Seen: Linux 6.18 (x86-64), pyroute2 0.9.6 for the set-up:
#   eth7:  index yes, flags yes, MTU yes, MAC yes, address 10.0.0.7
#   data0: index yes, flags yes, MTU yes, MAC yes, address: Cannot assign requested address
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
import fcntl
import os
import socket
import struct
import sys

from pyroute2 import IPRoute

CALLS = {"index": 0x8933, "flags": 0x8913, "MTU": 0x8921, "MAC": 0x8927, "address": 0x8915}  # linux/sockios.h

if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET; os.unshare is of Python 3.12
    sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
route = IPRoute()
route.link("add", ifname="eth7", kind="veth", peer="far")
(link,) = route.link_lookup(ifname="eth7")
route.link("property_add", index=link, altname="data0")
route.addr("add", index=link, address="10.0.0.7", prefixlen=24)
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def answer(name: str, call: str) -> str:
    try:
        got = fcntl.ioctl(asking, CALLS[call], struct.pack("16s24x", name.encode()))
    except OSError as error:
        return errno.errorcode[error.errno]
    return socket.inet_ntoa(got[20:24]) if call == "address" else "yes"


seen = {name: {call: answer(name, call) for call in CALLS} for name in ("eth7", "data0")}
for name, answers in seen.items():
    print(f"{name}:", ", ".join(f"{call} {got}" for call, got in answers.items()))
found = {"index": "yes", "flags": "yes", "MTU": "yes", "MAC": "yes"}
sys.exit(seen != {"eth7": found | {"address": "10.0.0.7"}, "data0": found | {"address": "EADDRNOTAVAIL"}})
PY
