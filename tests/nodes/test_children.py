"""What others have built on an ENI's link, and the manager beside it: children, pods, DPDK."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.nodes.cells import release
from tests.nodes.node import Node, a_node, until
from tests.nodes.programs import HOST_DEVICE, program

from nodeeni.sandbox.machines.images import Image

pytestmark = pytest.mark.timeout(900)
NODE = Image(release())
PLUGINS = Image(release(), packages=("containernetworking-plugins",))
DPDK = Image(release(), board="q35", arguments="intel_iommu=on iommu=pt", iommu=True)
BONDING = (
    "ip link add child type bond mode active-backup && ip link set LINK down"
    " && ip link set LINK master child && ip link set child up"
)
ALL = {"mtu": 9001, "interfaceName": "data0"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with a_node(NODE, tmp_path / "node") as node:
        yield node


@pytest.mark.parametrize(
    ("kind", "making"),
    [
        ("bond", BONDING),
        ("bridge", "ip link add child type bridge && ip link set LINK master child && ip link set child up"),
        ("vlan", "ip link add link LINK name child type vlan id 7 && ip link set child up"),
        ("macvlan", "ip link add link LINK name child type macvlan mode bridge && ip link set child up"),
        ("ipvlan", "ip link add link LINK name child type ipvlan mode l2 && ip link set child up"),
    ],
)  # fmt: skip
async def test_a_child_is_left_alone_and_the_link_under_it_stays_as_listed(
    node: Node, kind: str, making: str
) -> None:
    eni = node.plant()
    node.list_enis((eni, ALL))
    await node.start_manager()
    await node.attach(eni)
    name = (await node.until_reported(eni, "Up"))["linkName"]
    await node.sh(making.replace("LINK", name))
    await node.quiet(2)
    links = json.loads(await node.sh("ip -j -d link"))
    (child,) = [link for link in links if link["ifname"] == "child"]
    (link,) = [link for link in links if link["ifname"] == name]
    assert child["linkinfo"]["info_kind"] == kind
    assert "UP" in child["flags"]
    assert ("UP" in link["flags"], link["mtu"], "data0" in link["altnames"]) == (True, 9001, True)
    if kind in ("bond", "bridge"):
        assert link["master"] == "child"
    await node.detach(eni)
    await until(lambda: node.reported()[eni.mac]["state"] == "Missing")
    left = [one["ifname"] for one in json.loads(await node.sh("ip -j link"))]
    assert left == ["lo", "ens5", *(["child"] if kind in ("bond", "bridge") else [])]


async def test_fifteen_enis_at_once(node: Node) -> None:
    enis = [node.plant() for _ in range(15)]
    wishes = [(eni, {"mtu": 9001, "interfaceName": f"data{n}"}) for n, eni in enumerate(enis)]
    node.list_enis(*wishes)
    await node.start_manager()
    await asyncio.gather(*(node.attach(eni) for eni in enis))
    for eni in enis:
        await node.until_reported(eni, "Up", timeout=90)
    views = [await node.view(eni) for eni in enis]
    assert sorted(view["name"] for view in views) == sorted(f"ens{n}" for n in range(6, 21))
    assert {view["mtu"] for view in views} == {9001}
    assert await node.complaints() == []
    await asyncio.gather(*(node.detach(eni, timeout=90) for eni in enis))
    assert set(await node.links()) == {"00:00:00:00:00:00", await primary_mac(node)}


async def primary_mac(node: Node) -> str:
    return node.world.ec2.interfaces_of(node.id)[0].mac


async def test_detach_of_a_link_whose_ipvlan_child_is_in_a_pod(node: Node) -> None:
    eni = node.plant()
    node.list_enis((eni, ALL))
    await node.start_manager()
    await node.attach(eni)
    name = (await node.until_reported(eni, "Up"))["linkName"]
    await node.sh(
        f"ip netns add pod && ip link add link {name} name child type ipvlan && ip link set child netns pod"
        " && ip -n pod addr add 10.11.9.9/16 dev child && ip -n pod link set child up"
    )
    await node.detach(eni)
    await until(lambda: node.reported()[eni.mac]["state"] == "Missing")
    assert [one["ifname"] for one in json.loads(await node.sh("ip -n pod -j link"))] == ["lo"]


async def test_detach_of_a_link_that_is_in_a_pod(node: Node) -> None:
    eni = node.plant()
    node.list_enis((eni, ALL))
    manager = await node.start_manager()
    await node.attach(eni)
    name = (await node.until_reported(eni, "Up"))["linkName"]
    await node.sh(f"ip netns add pod && ip link set {name} netns pod")
    told = await node.until_reported(eni, "Missing")
    assert "another network namespace" in told["message"]
    await node.detach(eni)
    assert [one["ifname"] for one in json.loads(await node.sh("ip -n pod -j link"))] == ["lo"]
    await until(lambda: node.reported()[eni.mac].get("message") == "the link is gone", 60)
    second = node.plant()
    node.list_enis((eni, ALL), (second, {**ALL, "interfaceName": "data1"}))
    await node.attach(second)
    await node.until_reported(second, "Up")
    assert manager.process.returncode is None


@pytest.mark.parametrize("plugin", ["of Debian", "of outside/go.mod"])
async def test_a_pod_gets_the_device_by_host_device_and_gives_it_back(tmp_path: Path, plugin: str) -> None:
    """24 times: the plugin sets the link down, renames it and moves it, with the manager looking on.

    Newer plugins bring it back as `temp_N` and rename it then; udev may have given it the former name as an
    alternative one by then, with and without the manager. Kubelet calls such a DEL again, and so does this.
    """
    config = {"cniVersion": "0.4.0", "name": "data", "type": "host-device", "device": ""}
    built = None if plugin == "of Debian" else await asyncio.to_thread(program, HOST_DEVICE)
    async with a_node(NODE if built else PLUGINS, tmp_path / "node") as node:
        if built:
            await node.put("/usr/lib/cni/host-device", await asyncio.to_thread(built.read_bytes))
            await node.sh("chmod 755 /usr/lib/cni/host-device")
        eni = node.plant()
        node.list_enis((eni, ALL))
        await node.start_manager()
        await node.attach(eni)
        config["device"] = (await node.until_reported(eni, "Up"))["linkName"]
        await node.put("/run/net.json", json.dumps(config).encode())
        failures, lost = [], 0
        for number in range(24):
            await node.sh("ip netns add pod")
            for command in ("ADD", "DEL"):
                call = (
                    f"export CNI_COMMAND={command} CNI_CONTAINERID=c{number} CNI_NETNS=/run/netns/pod"
                    " CNI_IFNAME=net1 CNI_PATH=/usr/lib/cni;"
                    " /usr/lib/cni/host-device </run/net.json; echo status $?"
                )
                said = await node.sh(call)
                if "to original name" in said and "file exists" in said:
                    lost += 1
                    said = await node.sh(call)
                if "status 0" not in said:
                    failures.append(f"{command} {number}: {said}")
            await node.sh("ip netns del pod")
            await node.until_reported(eni, "Up")
        print(f"24 ADD and DEL, {lost} called again after a race against udev")
        assert failures == []
        view = await node.view(eni)
        assert (view["name"], view["mtu"], view["up"]) == (config["device"], 9001, True)
        assert "data0" in view["altnames"]


async def test_a_device_goes_to_dpdk_and_comes_back(tmp_path: Path) -> None:
    async with a_node(DPDK, tmp_path / "node") as node:
        eni = node.plant()
        node.list_enis((eni, ALL))
        manager = await node.start_manager()
        await node.attach(eni)
        name = (await node.until_reported(eni, "Up"))["linkName"]
        bus = (await node.sh(f"basename $(readlink -f /sys/class/net/{name}/device)")).strip()
        device = f"/sys/bus/pci/devices/{bus}"
        await node.sh(
            f"modprobe vfio-pci && ip link set {name} down"
            f" && echo vfio-pci >{device}/driver_override && sleep 3"
        )
        assert "UP" not in (await node.links())[eni.mac]["flags"], "put up again while it was prepared"
        await node.sh(f"echo {bus} >{device}/driver/unbind && echo {bus} >/sys/bus/pci/drivers_probe")
        assert (await node.sh(f"basename $(readlink {device}/driver)")).strip() == "vfio-pci"
        await until(lambda: "vfio-pci" in node.reported()[eni.mac].get("message", ""), 60)
        await node.sh(
            f"echo {bus} >{device}/driver/unbind && echo >{device}/driver_override"
            f" && echo {bus} >/sys/bus/pci/drivers_probe"
        )
        await node.until_reported(eni, "Up")
        view = await node.view(eni)
        assert (view["name"], view["mtu"], view["up"]) == (name, 9001, True)
        assert await node.complaints() == []
        assert manager.process.returncode is None


async def test_udev_that_says_nothing_for_two_seconds_is_waited_for(node: Node) -> None:
    eni = node.plant()
    node.list_enis((eni, ALL))
    await node.start_manager()
    pid = (await node.sh("systemctl show -p MainPID --value systemd-udevd")).strip()
    await node.sh(f"kill -STOP {pid}")
    try:
        await node.attach(eni)
        await asyncio.sleep(2)
        link = (await node.links())[eni.mac]
        assert ("UP" in link["flags"], link["mtu"]) == (False, 1500)
    finally:
        await node.sh(f"kill -CONT {pid}")
    continued = time.monotonic()
    await node.until_reported(eni, "Up")
    print(f"Up {time.monotonic() - continued:.1f} s after udev went on")
    word, up = node.timing(eni)
    assert word is not None
    assert up is not None
    assert up >= word
    assert (await node.view(eni))["name"] == "ens6"
    assert await node.complaints() == []
