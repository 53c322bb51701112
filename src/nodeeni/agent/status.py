"""From reports to the ENINode's status, and to a patch only when there is something to say."""

from collections.abc import Iterable, Mapping
from typing import Any

from nodeeni.agent.link_plan import Report
from nodeeni.agent.spec import JSON


def status_patch(
    generation: int, reports: Iterable[Report], observed: Mapping[str, Any], now: str
) -> JSON | None:
    """A merge patch that brings `observed` (the status that the API server holds) to the reports; None when
    it says the same already. `now` (RFC 3339) becomes `lastUpdated` of the entries that changed."""
    before = {entry.get("macAddress"): entry for entry in observed.get("interfaces") or []}
    interfaces = [_entry(report, before.get(report.mac, {}), now) for report in reports]
    status: JSON = {"observedGeneration": generation, "interfaces": interfaces}
    same = observed.get("interfaces", []) == interfaces and observed.get("observedGeneration") == generation
    return None if same else {"status": status}


def _entry(report: Report, before: Mapping[str, Any], now: str) -> JSON:
    entry: JSON = {"macAddress": report.mac, "state": report.state.value}
    if report.link_name:
        entry["linkName"] = report.link_name
    if report.given_name:
        entry["interfaceName"] = report.given_name
    if report.mtu is not None:
        entry["mtu"] = report.mtu
    if report.message:
        entry["message"] = report.message
    unchanged = {key: value for key, value in before.items() if key != "lastUpdated"} == entry
    entry["lastUpdated"] = before["lastUpdated"] if unchanged and "lastUpdated" in before else now
    return entry
