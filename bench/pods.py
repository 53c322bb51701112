"""`python -m bench.pods`: CNI ADD by the file that the ENI manager writes, beside one written by hand.

Both by `ipvlan` and `host-local` on the same link of the same machine, in turns, without Multus, which adds
the same to both. The one by hand has what a definition of such a network needs, and no more. As root; 10
minutes.
"""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

from tests.pods.stage import CONF_DIR, FILE, NETWORK, PLUGINS, ROUTES, PodNode, two_nodes

BY_HAND = "by-hand"
PROMISE = 1.2  # times
ROUNDS = {"IPv4": 30, "both families": 10}
"""The kernel takes a second or two until an IPv6 address is no double, in which nobody computes."""


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with two_nodes(Path(directory) / "stage") as pods:
            await pods.start_processes()
            await pods.renew()
            for families, rounds in ROUNDS.items():
                one = families == "IPv4"
                network = {"type": "ipvlan", "routes": ROUTES[:1] if one else ROUTES}
                pods.apply(ipv6PrefixCount=0 if one else 1, podNetwork=network)
                for node in pods.nodes:
                    await node.until_ready(1 if one else 2)
                    await _write_by_hand(node)
                for node in pods.nodes:
                    for plugins, path in PLUGINS.items():
                        seconds = await node.ask(
                            "paired", rounds=rounds, networks=[NETWORK, BY_HAND], path=path, timeout=1800
                        )
                        _print(f"{node.name}, plugins {plugins}, {families}", *seconds.values())


async def _write_by_hand(node: PodNode) -> None:
    ours = json.loads(await node.sh(f"cat {FILE}"))
    ranges = [
        [{"subnet": each["subnet"], "rangeStart": each["rangeStart"], "rangeEnd": each["rangeEnd"]}]
        for (each, *_) in ours["ipam"]["ranges"]
    ]
    config = {
        "cniVersion": ours["cniVersion"],
        "name": BY_HAND,
        "type": "ipvlan",
        "master": ours["master"],
        "ipam": {"type": "host-local", "ranges": ranges, "routes": ours["ipam"]["routes"]},
    }
    await node.sh(f"cat >{CONF_DIR}/95-{BY_HAND}.conf", json.dumps(config).encode())


def _print(what: str, ours: list[float], by_hand: list[float]) -> None:
    ratio = statistics.median(a / b for a, b in zip(ours, by_hand, strict=True))
    milliseconds = [f"{1000 * statistics.median(each):.0f} ms" for each in (ours, by_hand)]
    print(
        f"{what}: ADD {milliseconds[0]}, by hand {milliseconds[1]} (medians of {len(ours)}),"
        f" {ratio:.2f} times (median of the pairs; promised: at most {PROMISE})",
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
