"""From reports to the ENINode's status, and to a patch only when there is something to say."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from nodeeni.agent.link_plan import Report, State
from nodeeni.agent.network_report import NetworkReport
from nodeeni.agent.primary import PrimaryFound
from nodeeni.agent.spec import JSON, WantedInterface


class Found(NamedTuple):
    """What the main thread found; `generation` of the spec by which it looked."""

    generation: int
    reports: tuple[Report, ...]
    primary: PrimaryFound | None = None  # None: not known yet
    wanted: tuple[WantedInterface, ...] | None = None  # by which it looked; None: the spec is not known yet
    networks: tuple[NetworkReport, ...] = ()


def status_patch(found: Found, observed: Mapping[str, Any], now: str) -> JSON | None:
    """A merge patch that brings `observed` (the status that the API server holds) to what was found; None
    when it says the same already. `now` (RFC 3339) becomes `lastUpdated` of the entries that changed."""
    before = {entry.get("macAddress"): entry for entry in observed.get("interfaces") or []}
    networks = {network.mac: network for network in found.networks}
    interfaces = [
        _entry(report, networks.get(report.mac), before.get(report.mac, {}), now) for report in found.reports
    ]
    up = sum(report.state is State.UP and not report.message for report in found.reports)
    status: JSON = {"observedGeneration": found.generation, "linksUp": up, "interfaces": interfaces}
    known = {"interfaces": [], **observed}
    same = all(known.get(field) == value for field, value in status.items())
    primary = _primary(found.primary)
    if observed.get("primary") != primary:  # null takes an earlier one away
        status["primary"] = primary
        same = False
    return None if same else {"status": status}


def _primary(found: PrimaryFound | None) -> JSON | None:
    if found is None:
        return None
    return {"linkName": found.link_name, "macAddress": found.mac, "decidedBy": found.by}


def _entry(report: Report, network: NetworkReport | None, before: Mapping[str, Any], now: str) -> JSON:
    entry: JSON = {"macAddress": report.mac, "state": report.state.value}
    if report.link_name:
        entry["linkName"] = report.link_name
    if report.given_name:
        entry["interfaceName"] = report.given_name
    if report.mtu is not None:
        entry["mtu"] = report.mtu
    if report.message:
        entry["message"] = report.message
    if report.note:
        entry["note"] = report.note
    if report.in_pod:
        entry["inPod"] = True
    if network is not None:
        entry["podNetwork"] = network.entry()
    unchanged = {key: value for key, value in before.items() if key != "lastUpdated"} == entry
    entry["lastUpdated"] = before["lastUpdated"] if unchanged and "lastUpdated" in before else now
    return entry
