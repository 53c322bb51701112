#!/usr/bin/env bash
# A policy rule may name its interface by an alternative name, and matches. But that name is looked up once: when the
# link is renamed (udev, a CNI plugin that brings it back), or unplugged and plugged again, the rule is detached and
# stays so, although a link with that alternative name is there and a rule made now would match it. A rule by the
# link's own name comes back as soon as a link has that name. So a stable altname makes an unstable rule.
#
# Guess beforehand: the rule follows the alternative name as it follows a name: attached whenever a link has it.
# Seen: Linux 6.18 (x86-64), pyroute2 0.9.6 as the only client:
#   altname: attached; link renamed: detached; new link with it: detached; the same rule made anew: attached
#   name:    attached; link renamed: detached; new link with it: attached
# Needs root (a network namespace and veth pairs of its own, all removed at the end).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pyroute2==0.9.6
uname -r
"$work/venv/bin/python" - <<'PY'
import ctypes
import os
import sys

from pyroute2 import IPRoute

FIB_RULE_IIF_DETACHED = 0x8  # linux/fib_rules.h

if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET; os.unshare is of Python 3.12
    sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
route = IPRoute()


def made() -> int:
    """A link eth7 with the alternative name data0; its index."""
    route.link("add", ifname="eth7", kind="veth", peer="far")
    (index,) = route.link_lookup(ifname="eth7")
    route.link("property_add", index=index, altname="data0")
    return index


def state(name: str) -> str:
    (rule,) = [r for r in route.get_rules() if r.get_attr("FRA_IIFNAME") == name]
    return "detached" if rule["flags"] & FIB_RULE_IIF_DETACHED else "attached"


def add(name: str) -> None:
    route.rule("add", iifname=name, table=100, priority=100)


seen = {}
for name in ("data0", "eth7"):
    link = made()
    add(name)
    seen[name] = [state(name)]
    route.link("set", index=link, ifname="eth8")
    seen[name].append(state(name))
    route.link("del", index=link)
    link = made()
    seen[name].append(state(name))
    route.rule("del", iifname=name, table=100, priority=100)
    add(name)
    seen[name].append(state(name))
    route.rule("del", iifname=name, table=100, priority=100)
    route.link("del", index=link)
    print(f"{name}: made, renamed, new link, made anew:", *seen[name])
sys.exit(
    seen
    != {
        "data0": ["attached", "detached", "detached", "attached"],
        "eth7": ["attached", "detached", "attached", "attached"],
    }
)
PY
