"""Links that nobody lists but that are PCI network devices: brought up, as v1.1.0 did, and nothing else."""

import shutil
from pathlib import Path

import pytest
from tests.agent.situation import Node, until


def sysfs_with_pci(directory: Path, *names: str) -> str:
    """As /sys looks where these links are PCI devices; a namespace of ours has none."""
    (directory / "bus" / "usb").mkdir(parents=True)
    for number, name in enumerate(names, 5):
        device = directory / "bus" / "pci" / "devices" / f"0000:00:0{number}.0"
        device.mkdir(parents=True)
        (device / "subsystem").symlink_to(directory / "bus" / "pci")
        link = directory / "class" / "net" / name
        link.mkdir(parents=True)
        (link / "device").symlink_to(device)
        bind(device, "ena")
    return str(directory)


def bind(device: Path, driver: str | None) -> None:
    """Give the device to this driver; None: to none."""
    (device / "driver").unlink(missing_ok=True)
    if driver:
        (device / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")


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


async def test_a_driver_that_took_the_device_is_told_until_the_link_is_back(node: Node, sysfs: str) -> None:
    """As DPDK does: the network driver lets go, the link goes, and then vfio-pci takes the device."""
    mac = "06:00:00:00:00:06"
    up = {"macAddress": mac, "linkName": "ens6", "state": "Up", "mtu": 1500}
    device = Path(sysfs) / "bus" / "pci" / "devices" / "0000:00:06.0"
    node.list_links({"macAddress": mac})
    node.kernel.ip(node.kernel.adding("ens6", mac))
    agent = await node.start_agent("--sysfs", sysfs, "--check-interval=200ms")
    await node.until_reported(up)

    async def until_missing(message: str) -> None:
        await node.until_reported({"macAddress": mac, "state": "Missing", "message": message})

    bind(device, None)
    node.kernel.ip("link del ens6")
    await until_missing("the link is gone: no driver has its device 0000:00:06.0")
    bind(device, "vfio-pci")
    await until_missing("driver vfio-pci has taken its device 0000:00:06.0")
    bind(device, "ena")
    await until_missing("the link is gone")
    node.kernel.ip(node.kernel.adding("ens6", mac))
    await node.until_reported(up)
    shutil.rmtree(device)
    node.kernel.ip("link del ens6")
    await until_missing("the link is gone")
    assert [line for line in agent.log() if line["level"] != "info"] == []
