"""The sandbox's page: what it shows is what the commands and EC2 say, and it is for this machine alone."""

import asyncio
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.needs import LEFT_OUT

from nodeeni.api.names import API_VERSION
from nodeeni.cli import web
from nodeeni.cli.stage import Stage
from nodeeni.cli.web.curve import Tracker
from nodeeni.sandbox.ec2 import Delay, EC2Settings, quick_settings
from nodeeni.sandbox.ec2.calls import Call, Calls
from nodeeni.sandbox.world import OTHER_SUBNETS, SECURITY_GROUP, SUBNET, process_environment

LABELS = {"ng": "multi-eni"}


class Shown:
    """A page, and the stage behind it."""

    def __init__(self, stage: Stage, url: str) -> None:
        self.stage = stage
        self.url = url

    async def get(self, path: str = "", **headers: str) -> str:
        def answer() -> str:
            request = urllib.request.Request(self.url + path, headers=headers)
            with urllib.request.urlopen(request, timeout=10) as response:
                text: str = response.read().decode()
            return text

        return await asyncio.to_thread(answer)

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for _ in range(200):
            now = json.loads(await self.get("data"))
            if now is not None and holds(now):
                return dict(now)
            await asyncio.sleep(0.2)
        raise AssertionError(f"did not come; last: {now}")

    def apply(self, name: str, **spec: Any) -> None:
        given = {"nodeSelector": LABELS, "securityGroupIDs": [SECURITY_GROUP], "deviceIndex": 2, **spec}
        metadata = {"name": name}
        manifest = {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": metadata, "spec": given}
        self.stage.world.kube.apply(manifest)

    async def status(self) -> dict[str, Any]:
        """`nodeeni status -o json`."""
        argv = (sys.executable, "-m", "nodeeni.cli.main", "status", "-o", "json")
        environment = process_environment(self.stage.world, self.stage.kubeconfig)
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Shown]:
    """Three nodes in two zones, and a controller."""
    async with Stage(tmp_path, quick_settings()) as stage:
        for zone in "aab":
            await stage.world.add_node(zone=zone, labels=LABELS)
        await stage.start_controller("--metrics-addr=127.0.0.1:0", "--read-lag=200ms")
        async with web.shown(stage, 0, "nodeeni sandbox") as url:
            yield Shown(stage, url)


def bars(now: dict[str, Any]) -> dict[str, tuple[int, int, int, str]]:
    return {bar["name"]: (bar["done"], bar["total"], bar["failed"], bar["ready"]) for bar in now["bars"]}


async def test_it_shows_what_the_commands_and_ec2_say(page: Shown) -> None:
    page.apply("everywhere", subnetIDs=[SUBNET, OTHER_SUBNETS["b"]])
    page.apply("only-zone-b", subnetID=OTHER_SUBNETS["b"], deviceIndex=3)
    looks = {"attached": 4, "wrong": 2}
    expected = {"everywhere": (3, 3, 0, "yes"), "only-zone-b": (1, 3, 2, "no")}
    now = await page.until(
        lambda now: Counter(tile["look"] for tile in now["tiles"]) == looks and bars(now) == expected
    )
    told = await page.status()
    assert [(t["node"], t["nodeeni"], t["eni"], t["state"]) for t in now["tiles"]] == [
        (line["node"], line["nodeENI"], line["eniID"], line["state"]) for line in told["attachments"]
    ]
    assert now["nodes"] == 3
    (problem,) = now["problems"]
    assert problem["subject"].endswith(" only-zone-b")
    assert problem["message"].startswith("NoSubnetInZone: ")
    now = await page.until(lambda now: now["curve"] and now["curve"]["settled"])
    assert (now["curve"]["total"], now["curve"]["attached"][-1][1]) == (4, 4)
    calls = {count["action"]: count["ok"] for count in now["calls"]}
    assert calls["AttachNetworkInterface"] == page.stage.world.ec2.calls.by_action["AttachNetworkInterface"]


async def test_it_is_for_this_machine_alone_and_loads_nothing_else(page: Shown) -> None:
    html = await page.get()
    assert set(re.findall(r"https?://[\w.]+", html)) <= {"http://www.w3.org"}  # SVG's name
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    for path in ("", "data"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            await page.get(path, Host="nodeeni.example")
        assert refused.value.code == 403
        refused.value.close()


async def test_a_browser_shows_names_as_text(page: Shown) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip(f"{LEFT_OUT}there is no chromium to look at the page with")
    page.apply("odd", subnetName="<b>bold</b>")
    await page.until(lambda now: [tile["look"] for tile in now["tiles"]] == ["wrong"] * 3)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom")
    process = await asyncio.create_subprocess_exec(
        chromium,
        *flags,
        page.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    dom = out.decode()
    assert "&lt;b&gt;bold&lt;/b&gt;" in dom
    assert dom.count("failed: SubnetNotFound") == 3
    assert "0 of 3 · 3 failed" in dom


def call(at: float) -> Call:
    return Call("CreateNetworkInterface", at, 0.1, "", "ok", {})


def test_a_curve_begins_with_the_first_create_of_a_wave() -> None:
    settings = EC2Settings(
        replies={"CreateNetworkInterface": Delay(0.6)},
        attaching=Delay(1.0),
        buckets={"AttachNetworkInterface": (2, 5)},
    )
    tracker, calls = Tracker(settings), Calls()
    tracker.look(100.0, 4, 0, calls)
    before = tracker.curve
    assert before is None  # wanted, and nothing asked of EC2 yet
    for at in (100.2, 100.3, 100.3, 100.4):
        calls.add(call(at))
    for at, attached in ((100.5, 0), (102.2, 2), (102.6, 4), (109.0, 4)):
        tracker.look(at, 4, attached, calls)
    curve = tracker.curve
    assert curve is not None
    assert (curve.total, curve.settled) == (4, True)
    assert curve.attached == [(0.0, 0), (pytest.approx(2.0), 2), (pytest.approx(2.4), 4)]
    assert curve.line == [(1.6, 0), (1.6, 2), (2.0, 4)]  # two at once, then 5 a second
    calls.add(call(200.0))
    tracker.look(200.1, 5, 4, calls)
    assert tracker.curve is not None
    assert (tracker.curve.total, tracker.curve.attached) == (1, [(0.0, 0)])


def test_a_wave_that_was_over_before_the_next_look_is_one_too() -> None:
    tracker, calls = Tracker(EC2Settings(attaching=Delay(1.0))), Calls()
    tracker.look(100.0, 0, 0, calls)
    calls.add(call(100.2))
    tracker.look(109.0, 1, 1, calls)
    assert tracker.curve is not None
    assert (tracker.curve.total, tracker.curve.settled) == (1, True)
    assert tracker.curve.attached == [(0.0, 0), (pytest.approx(8.8), 1)]
