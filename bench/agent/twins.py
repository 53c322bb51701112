"""The same work done otherwise: `twins.py pyroute2` on events, `twins.py poll SECONDS` as rivals do it.

Both bring up the links `02:00:00:00:01:NN` with MTU 9001 and an altname, and know no API server.
"""

import errno
import sys
import time
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

PREFIX = "02:00:00:00:01:"


def on_events() -> None:
    with IPRoute() as listening, IPRoute() as acting:
        listening.bind(groups=1)  # RTMGRP_LINK
        print("ready", file=sys.stderr, flush=True)
        while True:
            for message in heard(listening):
                if message["event"] == "RTM_NEWLINK" and not message["flags"] & 1:
                    configure(acting, message)


def heard(listening: IPRoute) -> list[Any]:
    try:
        return list(listening.get())
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return []  # a real one would have to dump all links now


def configure(acting: IPRoute, message: Any) -> None:
    address = message.get_attr("IFLA_ADDRESS") or ""
    if not address.startswith(PREFIX):
        return
    index = message["index"]
    try:
        acting.link("property_add", index=index, altname=f"multus{int(address[-2:], 16)}")
    except NetlinkError:
        pass  # had before: an event between two of our own changes
    try:
        acting.link("set", index=index, mtu=9001, state="up")
    except NetlinkError:
        pass  # gone again


def by_polling(seconds: float) -> None:
    print("ready", file=sys.stderr, flush=True)
    while True:
        with IPRoute() as acting:
            for message in acting.get_links():
                if not message["flags"] & 1:
                    configure(acting, message)
        time.sleep(seconds)


if __name__ == "__main__":
    if sys.argv[1] == "pyroute2":
        on_events()
    else:
        by_polling(float(sys.argv[2]))
