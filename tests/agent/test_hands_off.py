"""While somebody else is at work on a link, the manager keeps its hands off; afterwards it puts it right."""

import shutil
import time
from pathlib import Path

import pytest
from tests.agent.situation import Node, until
from tests.agent.test_physical_links import bind, sysfs_with_pci

from nodeeni.agent.departures import GONE, MOVED, Departures

MAC, OTHER = "06:00:00:00:00:06", "06:00:00:00:00:07"
WISH = {"macAddress": MAC, "mtu": 9001, "interfaceName": "data0"}
UP = {"macAddress": MAC, "linkName": "ens6", "interfaceName": "data0", "state": "Up", "mtu": 9001}
READY = (True, 9001, ["data0"])


@pytest.fixture
def sysfs(tmp_path: Path) -> str:
    return sysfs_with_pci(tmp_path / "sys", "eth0", "ens6", "ens7")


def device(sysfs: str) -> Path:
    return Path(sysfs) / "bus" / "pci" / "devices" / "0000:00:06.0"


async def configured(node: Node, *flags: str) -> None:
    node.list_links(WISH)
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    await node.start_agent(*flags)
    await node.until_reported(UP)


async def until_heard(node: Node) -> None:
    """Events up to now have been taken in: another physical link that appears is up."""
    node.kernel.ip(node.kernel.adding("ens7", OTHER))
    await until(lambda: node.kernel.state("ens7")[0])
    node.kernel.ip("link del ens7")


async def test_a_link_that_somebody_sets_down_is_up_again_after_a_second(node: Node, sysfs: str) -> None:
    await configured(node, "--sysfs", sysfs)
    writes, began = node.status_writes(), time.monotonic()
    node.kernel.ip("link set ens6 down", "link set ens6 mtu 1500")
    await until(lambda: node.kernel.state("ens6") == READY)
    assert time.monotonic() - began >= 1
    await until_heard(node)
    assert node.status_writes() == writes


async def test_what_a_cni_plugin_does_meanwhile_is_not_disturbed(node: Node, sysfs: str) -> None:
    """host-device 1.5: down, renamed, moved into the pod; and back, where it is renamed again."""
    await configured(node, "--sysfs", sysfs)
    for _ in range(3):
        began = time.monotonic()
        node.kernel.ip("link set ens6 down")
        await until_heard(node)
        assert not node.kernel.state("ens6")[0] or time.monotonic() - began >= 1
        node.kernel.ip("link set ens6 name temp_3", f"link set temp_3 netns {node.kernel.switch}")
        node.kernel.on_switch(
            "link set temp_3 name net1", "link set net1 up", "link set net1 down", "link set net1 mtu 1500"
        )
        began = time.monotonic()
        node.kernel.on_switch(f"link set net1 netns {node.kernel.name}")
        await until_heard(node)
        assert not node.kernel.state("net1")[0] or time.monotonic() - began >= 1
        node.kernel.ip("link set net1 name ens6")
        await until(lambda: node.kernel.state("ens6") == READY)
        assert time.monotonic() - began >= 1
    await node.until_reported(UP)


async def test_leaving_for_a_pod_and_coming_back_is_a_line_each(node: Node, sysfs: str) -> None:
    await configured(node, "--sysfs", sysfs)
    node.kernel.ip(f"link set ens6 netns {node.kernel.switch}")
    moved = "the link was moved into another network namespace"
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": moved, "inPod": True})
    node.kernel.on_switch(f"link set ens6 netns {node.kernel.name}")
    await node.until_reported(UP)
    (agent,) = node.agents
    await until(lambda: agent.said("link is back"))
    for message in ("link left", "link is back"):
        said = [(line["link"], line["mac"], line["reason"]) for line in agent.said(message)]
        assert said == [("ens6", MAC, moved)]


async def test_a_pods_own_links_that_come_and_go_are_not_told(node: Node) -> None:
    await configured(node)
    node.kernel.ip(node.kernel.adding("veth9", "0a:00:00:00:00:09"))
    node.kernel.ip(f"link set veth9 netns {node.kernel.switch}")
    node.kernel.on_switch(f"link set veth9 netns {node.kernel.name}")
    node.kernel.ip("link set ens6 mtu 1500")
    await until(lambda: node.kernel.state("ens6") == READY)
    (agent,) = node.agents
    assert [line for line in agent.log() if line["msg"] in ("link left", "link is back")] == []


async def test_a_device_that_was_unplugged_while_in_a_pod_is_gone(node: Node, sysfs: str) -> None:
    await configured(node, "--sysfs", sysfs, "--check-interval=200ms")
    moved = "the link was moved into another network namespace"
    node.kernel.ip(f"link set ens6 netns {node.kernel.switch}")
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": moved, "inPod": True})
    node.kernel.on_switch("link del ens6")
    shutil.rmtree(device(sysfs))
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": "the link is gone"})


def test_the_kernels_word_on_where_a_link_went_counts_after_a_look_that_only_missed_it(sysfs: str) -> None:
    departures = Departures(sysfs)
    departures.arrived(6, "ens6", MAC, "0000:00:06.0")
    departures.departed(6, "ens6", MAC, GONE)
    departures.departed(6, "ens6", MAC, MOVED)
    departures.look()
    assert departures.reasons == {MAC: MOVED}
    assert [(passage.reason, passage.back) for passage in departures.passages()] == [(MOVED, False)]


async def test_a_device_that_is_meant_for_another_driver_is_left(node: Node, sysfs: str) -> None:
    """As driverctl and dpdk-devbind prepare it: the network driver lets go some time later, or never."""
    await configured(node, "--sysfs", sysfs, "--check-interval=200ms")
    override = device(sysfs) / "driver_override"
    override.write_text("vfio-pci\n")
    node.kernel.ip("link set ens6 down", "link set ens6 mtu 1500")
    message = "not touched: its device is meant for vfio-pci (driver_override)"
    await node.until_reported({**UP, "state": "Down", "mtu": 1500, "message": message})
    assert node.kernel.state("ens6") == (False, 1500, ["data0"])
    bind(device(sysfs), "vfio-pci")
    node.kernel.ip("link del ens6")
    taken = "driver vfio-pci has taken its device 0000:00:06.0"
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": taken})
    override.write_text("(null)\n")
    bind(device(sysfs), "ena")
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    await node.until_reported(UP)
    (agent,) = node.agents
    await until(lambda: agent.said("link is back"))
    assert [line["reason"] for line in agent.said("link left")] == [taken]
    assert [line["reason"] for line in agent.said("link is back")] == [taken]


async def test_a_device_has_its_driver_back_some_time_before_its_link_shows(node: Node, sysfs: str) -> None:
    await configured(node, "--sysfs", sysfs, "--check-interval=200ms")
    bind(device(sysfs), "vfio-pci")
    node.kernel.ip("link del ens6")
    taken = "driver vfio-pci has taken its device 0000:00:06.0"
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": taken})
    bind(device(sysfs), "ena")
    await node.until_reported({"macAddress": MAC, "state": "Missing", "message": "the link is gone"})
    node.kernel.ip(node.kernel.adding("ens6", MAC))
    await node.until_reported(UP)
    (agent,) = node.agents
    await until(lambda: agent.said("link is back"))
    assert [line["reason"] for line in agent.said("link is back")] == [taken]


async def test_a_driver_override_that_is_taken_back_is_seen(node: Node, sysfs: str) -> None:
    await configured(node, "--sysfs", sysfs, "--check-interval=200ms")
    override = device(sysfs) / "driver_override"
    override.write_text("vfio-pci\n")
    node.kernel.ip("link set ens6 down")
    message = "not touched: its device is meant for vfio-pci (driver_override)"
    await node.until_reported({**UP, "state": "Down", "message": message})
    override.write_text("(null)\n")
    await node.until_reported(UP)


async def test_two_entries_with_one_mac_are_both_refused_and_the_link_keeps_what_it_has(node: Node) -> None:
    await configured(node)
    node.list_links(WISH, {"macAddress": MAC, "mtu": 1500, "interfaceName": "data1"})
    message = "listed more than once, for eni-1 and eni-2: not touched, remove all but one"
    await node.until_reported({**UP, "message": message})
    writes = node.status_writes()
    node.kernel.ip("link set ens6 mtu 1400")
    await node.until_reported({**UP, "mtu": 1400, "message": message})
    assert node.status_writes() == writes + 1
    assert node.kernel.state("ens6") == (True, 1400, ["data0"])
    node.list_links(WISH)
    await node.until_reported(UP)
    assert node.kernel.state("ens6") == READY
