"""Links that nobody lists but that are PCI network devices: brought up, as v1.1.0 did, and nothing else."""

from pathlib import Path

import pytest
from tests.agent.situation import Node, until


def sysfs_with_pci(directory: Path, *names: str) -> str:
    """As /sys looks where these links are PCI devices; a namespace of ours has none."""
    (directory / "bus" / "pci").mkdir(parents=True)
    (directory / "bus" / "usb").mkdir(parents=True)
    for name in names:
        device = directory / "class" / "net" / name / "device"
        device.mkdir(parents=True)
        (device / "subsystem").symlink_to(directory / "bus" / "pci")
    return str(directory)


@pytest.fixture
def sysfs(tmp_path: Path) -> str:
    return sysfs_with_pci(tmp_path / "sys", "eth0", "ens6", "ens7")


def appear(node: Node) -> None:
    for number, name in enumerate(("ens6", "ens7", "veth9"), 6):
        node.kernel.ip(node.kernel.adding(name, f"06:00:00:00:00:0{number}"))


def up(node: Node) -> list[str]:
    return [name for name in ("ens6", "ens7", "veth9") if node.kernel.state(name)[0]]


async def test_without_an_api_server(bare_node: Node, sysfs: str) -> None:
    bare_node.kernel.add_primary()
    await bare_node.start_agent("--sysfs", sysfs, with_api=False)
    appear(bare_node)
    await until(lambda: up(bare_node) == ["ens6", "ens7"])
    assert bare_node.kernel.state("ens6") == (True, 1500, [])
    bare_node.kernel.ip("link set ens6 down")
    await until(lambda: up(bare_node) == ["ens6", "ens7"])


async def test_without_a_primary_yet_they_wait(bare_node: Node, sysfs: str) -> None:
    appear(bare_node)
    agent = await bare_node.start_agent("--sysfs", sysfs, with_api=False)
    await until(lambda: agent.said("waiting for the primary interface, nothing is touched before"))
    assert up(bare_node) == []
    bare_node.kernel.add_primary()
    await until(lambda: up(bare_node) == ["ens6", "ens7"])


async def test_a_listed_one_gets_more_than_up(node: Node, sysfs: str) -> None:
    node.list_links({"macAddress": "06:00:00:00:00:07", "mtu": 9001, "interfaceName": "multus"})
    await node.start_agent("--sysfs", sysfs)
    appear(node)
    await until(lambda: up(node) == ["ens6", "ens7"])
    await until(lambda: node.kernel.state("ens7") == (True, 9001, ["multus"]))
    assert node.kernel.state("ens6") == (True, 1500, [])


@pytest.mark.parametrize(
    ("flag", "touched"),
    [
        ("--manage-links=listed", []),
        ("--eni-pattern=^ens7$", ["ens7"]),
        ("--ignore-interfaces=ens7,eth3", ["ens6"]),
    ],
)
async def test_flags_narrow_them(bare_node: Node, sysfs: str, flag: str, touched: list[str]) -> None:
    bare_node.kernel.add_primary()
    appear(bare_node)
    agent = await bare_node.start_agent("--sysfs", sysfs, flag, with_api=False)
    await until(lambda: len(agent.said("link configured")) == len(touched))
    await agent.stop()
    assert up(bare_node) == touched
