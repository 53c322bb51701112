#!/usr/bin/env bash
# A listener on RTNLGRP_LINK (`ip monitor link`, network services, node agents) is not told when an alternative name
# or an alias is set on a link that is DOWN; on the same link, once it is UP, it is told at once. A change of the
# link's group is told in neither state. Whoever keeps a copy of the links from messages alone has a stale one.
#
# Guess beforehand: each change of a link gives one RTM_NEWLINK, whatever the link's state.
# Seen: Linux 6.18 (x86-64), pyroute2 0.9.6 as the only client:
#   DOWN: altname 0, alias 0, group 0, mtu 1
#   UP:   altname 1, alias 1, group 0, mtu 1
# Needs root (a network namespace and a veth pair of its own, both removed at the end).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pyroute2==0.9.6
uname -r
"$work/venv/bin/python" - <<'PY'
import ctypes
import os
import select
import sys

from pyroute2 import IPRoute

if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET; os.unshare is of Python 3.12
    sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
route, listener = IPRoute(), IPRoute()
listener.bind(groups=1)  # RTMGRP_LINK


def told() -> int:
    """RTM_NEWLINK messages about the link within half a second."""
    count = 0
    while select.select([listener.fileno()], [], [], 0.5)[0]:
        count += sum(m["event"] == "RTM_NEWLINK" and m["index"] == link for m in listener.get())
    return count


route.link("add", ifname="nic", kind="veth", peer="far")
(link,) = route.link_lookup(ifname="nic")
(far,) = route.link_lookup(ifname="far")
route.link("set", index=far, state="up")
told()
seen = {}
for state in ("DOWN", "UP"):
    if state == "UP":
        route.link("set", index=link, state="up")
        told()
    changes = {
        "altname": lambda: route.link("property_add", index=link, altname=f"altname-{state}"),
        "alias": lambda: route.link("set", index=link, ifalias=f"alias-{state}"),
        "group": lambda: route.link("set", index=link, group=len(state)),
        "mtu": lambda: route.link("set", index=link, mtu=1400 + len(state)),
    }
    for name, change in changes.items():
        change()
        seen[state, name] = told()
    print(f"{state}:", ", ".join(f"{name} {seen[state, name]}" for name in changes))
silent = {key for key, count in seen.items() if count == 0}
sys.exit(silent != {("DOWN", "altname"), ("DOWN", "alias"), ("DOWN", "group"), ("UP", "group")})
PY
