"""Counts of what the agent did, written by its threads and shown by `/metrics`."""

import threading
import time
from collections.abc import Iterable, Iterator

from nodeeni.agent.network_report import NetworkReport, NetworkState

# name → (metric, labels, help)
_METRICS = {
    "events": ("nodeeni_agent_netlink_messages_total", "", "Netlink messages heard."),
    "overruns": ("nodeeni_agent_netlink_overruns_total", "", "Times that the kernel dropped events."),
    "udev_overruns": ("nodeeni_agent_udev_overruns_total", "", "Times that words of udev were lost."),
    "udev_timeouts": (
        "nodeeni_agent_udev_timeouts_total",
        "",
        "Links that were touched after --udev-timeout, without udev's word.",
    ),
    "changes_mtu": ("nodeeni_agent_link_changes_total", '{aspect="mtu"}', "Changes made to links."),
    "changes_altname": ("nodeeni_agent_link_changes_total", '{aspect="altname"}', ""),
    "changes_former": ("nodeeni_agent_link_changes_total", '{aspect="former_altname"}', ""),
    "changes_alias": ("nodeeni_agent_link_changes_total", '{aspect="alias"}', ""),
    "changes_up": ("nodeeni_agent_link_changes_total", '{aspect="up"}', ""),
    "corrections": (
        "nodeeni_agent_link_corrections_total",
        "",
        "Changes that put right what something else had changed.",
    ),
    "failures": ("nodeeni_agent_link_failures_total", "", "Changes that the kernel refused."),
    "watches": ("nodeeni_agent_watches_total", "", "Watches of the ENINode opened."),
    "api_failures": ("nodeeni_agent_api_failures_total", "", "Requests to the API server that failed."),
    "patches": ("nodeeni_agent_status_patches_total", "", "Status patches sent."),
}


class Counters:
    """Thread-safe. `beat` is the main loop's sign of life."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(_METRICS, 0)
        self._beaten = time.monotonic()
        self.networks: tuple[NetworkReport, ...] = ()

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] += count

    def beat(self) -> None:
        self._beaten = time.monotonic()

    def silence(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beaten

    def text(self) -> str:
        """Prometheus' text format."""
        with self._lock:
            counts = dict(self._counts)
        lines = []
        for name, (metric, labels, description) in _METRICS.items():
            if description:
                lines += [f"# HELP {metric} {description}", f"# TYPE {metric} counter"]
            lines.append(f"{metric}{labels} {counts[name]}")
        return "\n".join([*lines, *_of_networks(self.networks)]) + "\n"


# metric → help. Only where `--cni-conf-dir` is set is there anything to show of them.
_READY, _ADDRESSES = "nodeeni_agent_pod_network_ready", "nodeeni_agent_pod_addresses"
_GAUGES = {
    _READY: "1 where the CNI file of a NodeENI's pod network is there, else 0.",
    _ADDRESSES: "Pods that have an address of the ENI's prefixes (used), or would find one (free).",
}


def _of_networks(networks: Iterable[NetworkReport]) -> Iterator[str]:
    shown: dict[str, list[tuple[str, int]]] = {_READY: [], _ADDRESSES: []}
    for each in sorted(networks):
        labels = f'nodeeni="{each.node_eni}",network="{each.name}"'
        shown[_READY].append((labels, int(each.state is NetworkState.READY)))
        for state, count in (("used", each.used), ("free", each.free)):
            if count is not None:
                shown[_ADDRESSES].append((f'{labels},state="{state}"', count))
    for metric, description in _GAUGES.items():
        yield f"# HELP {metric} {description}"
        yield f"# TYPE {metric} gauge"
        yield from (f"{metric}{{{labels}}} {value}" for labels, value in shown[metric])
