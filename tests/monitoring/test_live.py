"""A real Prometheus looks at a sandbox in which something of everything happens."""

import asyncio
import urllib.request
from collections import Counter
from pathlib import Path

from tests.monitoring.prometheus import panels, promtool
from tests.monitoring.scene import GOOD, VANISHED, WRONG, Scene, scene

from nodeeni.api.names import CONTROLLER, TAG_MANAGED_BY

# Panels of what only a manager tells whose kernel is at work have no data on a machine without kernels.
LINK_UP = "nodeeni_link_up_seconds"


async def test_every_panel_has_data_and_the_numbers_agree(tmp_path: Path) -> None:
    async with scene(tmp_path) as live:
        for step in Scene.STEPS:
            await step(live)
        kernels = live.stage.hosts is not None
        for panel in panels():
            for target in panel["targets"]:
                if LINK_UP not in target["expr"] or kernels:
                    await live.until_metric(target["expr"])
        await _agree(live)
        await _alerts_fire(live)
        for expression in ("controller", "manager"):
            await _is_linted(live, expression)


async def _agree(live: Scene) -> None:
    """Status, its command and the metrics, of one run."""
    told = {each["name"]: each for each in (await live.told_by_status())["nodeENIs"]}
    for name, state, field in ((GOOD, "attached", "attached"), (WRONG, "failed", "failed")):
        (series,) = await live.prometheus.query(f'nodeeni_attachments{{nodeeni="{name}",state="{state}"}}')
        assert series.points[-1][1] == told[name][field] == live.status(name)[field]
    statuses = Counter(i.status for i in live.stage.world.ec2.interfaces(**{TAG_MANAGED_BY: CONTROLLER}))
    shown = await live.prometheus.query("sum by (status) (nodeeni_interfaces) > 0")
    assert {each.labels["status"]: each.points[-1][1] for each in shown} == statuses
    (held,) = await live.prometheus.query("nodeeni_removals_held")
    assert (held.labels["nodeeni"], held.labels["sign"], held.points[-1][1]) == (VANISHED, "vanished", 4)


async def _alerts_fire(live: Scene) -> None:
    """Those without a time to wait."""
    for alert in ("NodeENICallsDenied", "NodeENIRemovalHeld"):
        await live.until_metric(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')
    pending = await live.prometheus.query('ALERTS{alertname="NodeENIFailing"}')
    assert [(each.labels["nodeeni"], each.labels["alertstate"]) for each in pending] == [(WRONG, "pending")]


async def _is_linted(live: Scene, job: str) -> None:
    (up,) = await live.prometheus.query(f'up{{job="{job}"}}')
    exposition = await asyncio.to_thread(_read, f"http://{up.labels['instance']}/metrics")
    ours = "".join(f"{line}\n" for line in exposition.splitlines() if "nodeeni_" in line)
    result = promtool("check", "metrics", said=ours)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def _read(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        text: str = response.read().decode()
    return text
