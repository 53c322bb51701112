"""CNI files on a node: written when the link has its name, gone before it is; and what is told of both."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.agent.situation import Agent, Node, until

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
FIRST, SECOND = "10.1.2.16/28", "10.1.2.64/28"
FILE = "90-nodeeni-pods.conf"
OLD = {"type": "ipvlan", "mode": "L3", "name": "old"}


class Folders:
    def __init__(self, path: Path) -> None:
        self.conf, self.state = path / "cni/multus/net.d", path / "networks"
        self.conf.mkdir(parents=True)
        self.state.mkdir()

    @property
    def flags(self) -> tuple[str, ...]:
        return f"--cni-conf-dir={self.conf}", f"--cni-state-dir={self.state}", "--cni-look=100ms"

    def files(self) -> list[str]:
        return sorted(path.name for path in self.conf.iterdir())

    def written(self, name: str = FILE) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.conf / name).read_text())
        except FileNotFoundError:
            return {}
        return found

    def ranges(self) -> list[str]:
        sets = self.written().get("ipam", {}).get("ranges", [])
        return [each["rangeStart"] for ranges in sets for each in ranges]

    def add(self, *addresses: str, network: str = "pods") -> None:
        """As host-local does for a pod."""
        folder = self.state / network
        folder.mkdir(exist_ok=True)
        (folder / "lock").touch()
        for address in addresses:
            (folder / address).write_text("0123abcd\r\nnet1")
            (folder / "last_reserved_ip.0").write_text(address)

    def delete(self, *addresses: str, network: str = "pods") -> None:
        for address in addresses:
            (self.state / network / address).unlink()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def wish(
    prefixes: tuple[str, ...] = (FIRST,),
    network: dict[str, Any] | None = {"type": "ipvlan", "mode": "L2", "name": "pods"},  # noqa: B006
    **more: Any,
) -> dict[str, Any]:
    """An interface of the ENINode. Without `network` pods are to get none."""
    entry = {
        "macAddress": MAC,
        "interfaceName": "data0",
        "subnetID": "subnet-0f59b4f14737be9ad",
        "subnetCIDR": "10.1.2.0/24",
        "ipv4Prefixes": [FIRST, SECOND],
    }
    return entry | ({"podNetwork": {**network, "prefixes": list(prefixes)}} if network else {}) | more


def networks(node: Node) -> list[dict[str, Any] | None]:
    return [entry.get("podNetwork") for entry in node.reported()]


async def until_told(node: Node, *expected: dict[str, Any] | None) -> None:
    """Wait for these `podNetwork` of the status; on failure show what was there instead."""
    try:
        await until(lambda: networks(node) == list(expected), 15)
    except TimeoutError:
        assert networks(node) == list(expected)


def ready(prefixes: tuple[str, ...] = (FIRST,), used: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    free = 16 * len(prefixes) - len(used)
    entry = {"name": "pods", "state": "Ready", "used": len(used), "free": free, "prefixes": list(prefixes)}
    return entry | ({"inUse": list(used)} if used else {}) | more


async def start(node: Node, folders: Folders, *more: str) -> Agent:
    return await node.start_agent(*folders.flags, *more)


async def test_a_file_comes_with_its_link_and_goes_with_it(node: Node, folders: Folders) -> None:
    node.list_links(wish())
    await start(node, folders)
    waiting = {"name": "pods", "state": "Absent", "message": "no link with this MAC address yet", "used": 0}
    await until_told(node, waiting)
    assert folders.files() == []
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await until_told(node, ready())
    assert (folders.files(), folders.written()["master"], folders.ranges()) == (
        [FILE],
        "data0",
        ["10.1.2.16"],
    )
    assert node.kernel.state("eth1") == (True, 1500, ["data0"])
    node.kernel.ip("link del eth1")
    await until(lambda: folders.files() == [])
    await until_told(node, waiting | {"message": "the link is gone"})


async def test_a_prefix_comes_and_goes_without_touching_what_is_in_use(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    await until_told(node, ready())
    folders.add("10.1.2.16", "10.1.2.17")
    node.list_links(wish((FIRST, SECOND)))
    await until_told(node, ready((FIRST, SECOND), ("10.1.2.16", "10.1.2.17")))
    folders.add("10.1.2.64")
    # Given back: out of the file at once, and held for as long as a pod has an address of it.
    node.list_links(wish((FIRST,)))
    await until(lambda: folders.ranges() == ["10.1.2.16"])
    held = {"name": "pods", "state": "Ready", "used": 3, "free": 14, "prefixes": [FIRST, SECOND]}
    await until_told(node, held | {"inUse": ["10.1.2.16", "10.1.2.17", "10.1.2.64"]})
    folders.delete("10.1.2.64")
    await until_told(node, ready((FIRST,), ("10.1.2.16", "10.1.2.17")))
    assert sorted(os.listdir(folders.state / "pods")) == [
        "10.1.2.16",
        "10.1.2.17",
        "last_reserved_ip.0",
        "lock",
    ]


async def test_before_a_detach_the_file_goes_and_the_addresses_in_use_are_told(
    node: Node, folders: Folders
) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    folders.add("10.1.2.20")
    await until(lambda: folders.files() == [FILE])
    node.list_links(wish(network=None))
    gone = {"name": "pods", "state": "Withdrawn", "used": 1, "prefixes": [FIRST], "inUse": ["10.1.2.20"]}
    await until_told(node, gone)
    assert folders.files() == []
    assert node.status()["observedGeneration"] == 2
    folders.delete("10.1.2.20")
    await until_told(node, None)


async def test_the_file_stays_while_a_pod_has_the_link(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    first = await start(node, folders)
    await until_told(node, ready())
    node.kernel.ip(f"link set eth1 netns {node.kernel.switch}")
    moved = "the link was moved into another network namespace"
    await until(lambda: node.reported()[0].get("message") == moved)
    await until_told(node, ready())
    # A manager that starts anew did not see it leave.
    await first.stop()
    await start(node, folders)
    node.list_links(wish(mtu=1400))
    await until(lambda: node.status()["observedGeneration"] == 2)
    await until_told(node, ready())
    assert folders.files() == [FILE]


async def test_a_name_that_another_link_has_gives_no_file(node: Node, folders: Folders) -> None:
    """Pods would get on that other link."""
    node.kernel.ip(node.kernel.adding("eth1", MAC), node.kernel.adding("data0", OTHER))
    node.list_links(wish())
    await start(node, folders)
    message = "interfaceName data0 is a name of link data0: choose another"
    await until_told(node, {"name": "pods", "state": "Absent", "message": message, "used": 0})
    assert folders.files() == []
    node.kernel.ip("link del data0")
    await until_told(node, ready())


async def test_files_of_a_former_run_are_put_right_once_the_spec_is_known(
    node: Node, folders: Folders
) -> None:
    """And not before: an API server that is away takes no network from pods."""
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish(), wish(network=OLD, macAddress=OTHER, interfaceName="data1"))
    node.kernel.ip(node.kernel.adding("eth2", OTHER))
    first = await start(node, folders)
    await until(lambda: folders.files() == ["90-nodeeni-old.conf", FILE])
    await first.stop()
    (folders.conf / "10-mine.conf").write_text('{"name": "mine", "type": "macvlan"}')
    (folders.conf / f"{FILE}.tmp").write_text('{"name": ')
    before = folders.written()
    await node.relay.cut()
    second = await start(node, folders)
    await until(lambda: second.said("the API server cannot be used, links are served meanwhile"))
    assert folders.written() == before
    node.list_links(wish((FIRST, SECOND)))
    await node.relay.open()
    await until_told(node, ready((FIRST, SECOND)))
    assert folders.files() == ["10-mine.conf", FILE]


async def test_a_file_that_somebody_changed_or_removed_is_put_right(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    await until_told(node, ready())
    before = folders.written()
    (folders.conf / FILE).write_text(json.dumps(before | {"mtu": 9001}))
    await until(lambda: folders.written() == before)
    (folders.conf / FILE).unlink()
    await until(lambda: folders.written() == before)


async def test_what_a_person_wrote_into_object_and_file_ends_nothing(node: Node, folders: Folders) -> None:
    mark = {"nodeENI": "multus", "eniID": "eni-1", "prefixes": ["not a block", "10.1.2.17/28", 7]}
    (folders.conf / FILE).write_text(json.dumps({"name": "pods", "nodeeni": mark}))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    wrong = wish(("x",), subnetCIDR="10.1.2.0", ipv4Prefixes=["x", FIRST])
    node.list_links(wrong)
    agent = await start(node, folders)
    await until(lambda: (networks(node) or [None])[0] is not None)
    told = networks(node)[0] or {}
    assert (told["state"], told["message"].split(": ")[0]) == ("Refused", "'x' is no block of addresses")
    assert (folders.files(), agent.process.returncode) == ([], None)
    node.list_links(wish())
    await until_told(node, ready())


async def test_a_foreign_file_stays_and_is_told(node: Node, folders: Folders) -> None:
    (folders.conf / FILE).write_text('{"name": "pods", "type": "macvlan"}')
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    agent = await start(node, folders)
    message = f"{FILE} there is not ours: remove it, or choose another podNetwork.name"
    await until_told(node, {"name": "pods", "state": "Refused", "message": message, "used": 0})
    assert folders.written() == {"name": "pods", "type": "macvlan"}
    assert len(agent.said("no CNI file is written")) == 1
    (folders.conf / FILE).unlink()
    await until_told(node, ready())


async def test_the_runtimes_folder_is_refused_and_left_as_it_was(node: Node, folders: Folders) -> None:
    """Links are served all the same; a file of ours that came there before the sign did goes."""
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    await until_told(node, ready())
    (folders.conf / "10-aws.conflist").write_text('{"name": "aws-cni", "plugins": [{"type": "aws-cni"}]}')
    await until(lambda: (networks(node)[0] or {}).get("state") == "Refused")
    told = (networks(node)[0] or {})["message"]
    assert told.startswith(f"{folders.conf} is read by the container runtime (10-aws.conflist is in it)")
    assert told.endswith('"confDir": "/hostroot/etc/cni/multus/net.d"')
    assert folders.files() == ["10-aws.conflist"]
    assert node.kernel.state("eth1") == (True, 1500, ["data0"])


async def test_turned_off_by_remove_no_file_stays(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    first = await start(node, folders)
    await until_told(node, ready())
    await first.stop()
    assert folders.files() == [FILE]  # a restart or an upgrade takes no network from pods
    (folders.conf / "10-mine.conf").write_text('{"name": "mine", "type": "macvlan"}')
    await start(node, folders, "--cni-files=remove")
    await until_told(node, None)
    assert folders.files() == ["10-mine.conf"]


async def test_without_the_flag_nothing_is_written_and_nothing_told(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await node.start_agent()
    await until(lambda: [entry["state"] for entry in node.reported()] == ["Up"])
    assert networks(node) == [None]


async def test_a_folder_that_is_not_there_or_not_to_be_written_is_told(node: Node, folders: Folders) -> None:
    folders.conf.rmdir()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    message = f"{folders.conf} cannot be used for CNI files: No such file or directory"
    await until_told(node, {"name": "pods", "state": "Refused", "message": message, "used": 0})
    folders.conf.mkdir()
    await until_told(node, ready())


async def test_what_hostlocal_keeps_cannot_be_read(node: Node, folders: Folders) -> None:
    """Nobody knows then which addresses pods have: all prefixes are held."""
    folders.state.rmdir()
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders)
    message = f"which addresses pods have is not known, {folders.state}: No such file or directory"
    unknown = {"name": "pods", "state": "Ready", "message": message, "prefixes": [FIRST, SECOND]}
    await until_told(node, unknown)
    folders.state.mkdir()
    await until_told(node, ready())


async def test_pods_that_come_and_go_are_not_a_status_patch_each(node: Node, folders: Folders) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders, "--metrics-addr=127.0.0.1:9811")

    def shown() -> dict[str, str]:
        lines = node.kernel.fetch(9811, "/metrics")[1].splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("nodeeni_agent_pod_"))

    labels = 'nodeeni="multus",network="pods"'
    used, free = (f'nodeeni_agent_pod_addresses{{{labels},state="{state}"}}' for state in ("used", "free"))
    await until_told(node, ready())
    for number in range(16, 31):
        folders.add(f"10.1.2.{number}")
        await until(lambda: shown()[used] == str(number - 15))  # noqa: B023
    assert shown()[free] == "1"
    writes = node.status_writes()
    assert writes <= 4
    # The last one: that a node has run out is told at once.
    folders.add("10.1.2.31")
    await until(lambda: (networks(node)[0] or {})["free"] == 0)
    assert node.status_writes() == writes + 1
    assert shown()[f"nodeeni_agent_pod_network_ready{{{labels}}}"] == "1"


async def test_without_an_api_server_the_kept_spec_has_its_files(node: Node, folders: Folders) -> None:
    spec = folders.conf.parent / "spec.json"
    spec.write_text(json.dumps({"metadata": {"generation": 3}, "spec": {"interfaces": [wish()]}}))
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    await node.start_agent(*folders.flags, f"--spec-file={spec}", with_api=False)
    await until(lambda: folders.files() == [FILE])


async def test_killed_while_files_change_all_the_time_no_half_file_is_ever_there(
    node: Node, folders: Folders
) -> None:
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    seen = set[tuple[str, ...]]()

    def whole() -> None:
        for path in folders.conf.glob("*.conf"):
            json.loads(path.read_text())
        seen.add(tuple(folders.ranges()))

    for turn in range(4):
        agent = await start(node, folders)
        for step in range(5):
            node.list_links(wish((FIRST, SECOND) if step % 2 else (FIRST,)))
            for _ in range(20):
                whole()
                await asyncio.sleep(0.002 * turn)
        agent.process.send_signal(signal.SIGKILL)
        await agent.process.wait()
        node.agents.remove(agent)
        whole()
    await start(node, folders)
    node.list_links(wish((FIRST, SECOND)))
    await until_told(node, ready((FIRST, SECOND)))
    assert folders.files() == [FILE]
    assert seen <= {(), ("10.1.2.16",), ("10.1.2.16", "10.1.2.64")}


async def test_plugins_that_are_not_on_the_node_are_told(node: Node, folders: Folders) -> None:
    programs = folders.conf.parent / "bin"
    programs.mkdir()
    (programs / "host-local").touch(0o755)
    (programs / "ipvlan").touch(0o644)
    node.kernel.ip(node.kernel.adding("eth1", MAC))
    node.list_links(wish())
    await start(node, folders, f"--cni-bin-dir={programs}")
    await until_told(node, ready(message=f"CNI plugin ipvlan is not in {programs}: install it on the node"))
    (programs / "host-local").unlink()
    both = f"CNI plugins ipvlan and host-local are not in {programs}: install them on the node"
    await until_told(node, ready(message=both))
    (programs / "host-local").touch(0o755)
    (programs / "ipvlan").chmod(0o755)
    await until_told(node, ready())
