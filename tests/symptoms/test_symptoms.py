"""docs/symptoms.md says what people see when something goes wrong: it is what they see.

`make symptoms` writes the page from a run of these tests; any other run compares.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.looking import NAME, Site, until
from tests.symptoms.situations import SITUATIONS, Situation

PAGE = Path(__file__).parents[2] / "docs" / "symptoms.md"
WRITE = bool(os.environ.get("NODEENI_WRITE_SYMPTOMS"))
_written: dict[str, str] = {}
# What differs from run to run.
_OWN = re.compile(
    r"\b(?:eni|i|sg|subnet|vpc|req)-[0-9a-f]{8,17}\b|[0-9a-f]{8}-[0-9a-f-]{27}"
    r"|\d+(?:\.\d+)?(?= s\b| seconds?\b)"
    r"|(?<=release-hold=)[0-9a-f]+|(?<=Held )[0-9a-f]+|(?<=Delayed )[0-9a-f]+"
    r"|\d\d:\d\d(?::\d\d)?Z?|\d{4}-\d\d-\d\d"
)


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """Written once all have been played."""
    yield
    if WRITE:
        sections = [_written[each.title] for each in SITUATIONS]
        PAGE.write_text("\n".join([_HEAD, *sections]))


_HEAD = """<!-- Written by `make symptoms` from runs in the sandbox. -->
# Symptoms

What goes wrong, and what each of the ways to look at it says: words, reasons and ids are those of a run in
the [sandbox](sandbox.md). What a reason means in general:
[troubleshooting](troubleshooting.md#an-eni-is-not-created); the alerts: [how-to](how-to.md#watch-it).
"""


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.title)
async def test_what_people_see(site: Site, situation: Situation) -> None:
    if not situation.controlled:
        await situation.play(site)
        await _look(site, situation)
        return
    async with site.controller(*situation.flags):
        await situation.play(site)
        if situation.reason:
            await until(lambda: site.condition("Degraded").get("reason") == situation.reason)
        await _look(site, situation)


async def _look(site: Site, situation: Situation) -> None:
    told = await _told(site, situation)
    if WRITE:
        await until(lambda: bool(_warnings(site)) or not situation.warns)
        told["describe"] += [f"{_EVENT}{each}" for each in _warnings(site)[:1]]
        _written[situation.title] = _section(situation, told)
        return
    committed = PAGE.read_text().partition(f"\n## {situation.title}\n")[2].partition("\n## ")[0]
    events = [line for line in _plain(committed) if line.startswith(_EVENT)]
    rest = [line for line in _plain(committed) if not line.startswith(_EVENT)]
    assert rest == _plain(_section(situation, told).partition("\n\n")[2])
    # Of several that come within a second, another may be the first.
    await until(lambda: set(events) <= {_OWN.sub("*", _EVENT + each) for each in _warnings(site)})


_EVENT = "Event: "


async def _told(site: Site, situation: Situation) -> dict[str, list[str]]:
    condition = site.condition("Degraded" if situation.reason else "Ready")
    found = {"describe": [f"{condition['type']}: {condition['reason']}: {condition['message']}"]}
    lines = (await site.run("status")).lines
    found["status"] = lines[: lines.index("")] if "" in lines else lines
    lines = (await site.run("explain", situation.node or NAME)).lines
    found["explain"] = _answer(lines)
    return found


def _warnings(site: Site) -> list[str]:
    events = site.world.kube.objects("", "events")
    warnings = [each for each in events if each["type"] == "Warning"]
    return [f"{each['reason']}: {each['message']}" for each in sorted(warnings, key=_time)]


def _time(event: dict[str, str]) -> str:
    return event["firstTimestamp"]


def _answer(lines: list[str]) -> list[str]:
    """The headline, and the parts before the plan."""
    ends = [number for number, line in enumerate(lines) if line in _LATER]
    found = lines[: min(ends, default=len(lines))]
    return [line for line in found if line]


_LATER = ("What the controller does now, and later", "What happened (UTC)", "Held until a person says so")


def _section(situation: Situation, told: dict[str, list[str]]) -> str:
    where = {
        "describe": "kubectl describe nodeeni",
        "status": "nodeeni status",
        "explain": f"nodeeni explain {situation.node or NAME}",
    }
    parts = [f"## {situation.title}", ""]
    for part, command in where.items():
        if told[part]:
            parts += [f"`{command}`:", "", "```text", *told[part], "```", ""]
    return "\n".join([*parts, f"Alert: {situation.alert}. **Do**: {situation.do}", ""])


def _plain(text: str) -> list[str]:
    return [_OWN.sub("*", line) for line in text.splitlines() if line]
