"""A node that is a machine, in an EC2 and with an API server: ENIs are attached, the manager runs on it, and
what kernel, udev and network service say is read."""

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeeni.sandbox.ec2 import Interface, quick_settings
from nodeeni.sandbox.hosts import METADATA_ADDRESS
from nodeeni.sandbox.machines.channel import Process
from nodeeni.sandbox.machines.hosts import Machines
from nodeeni.sandbox.machines.images import Image
from nodeeni.sandbox.world import World, WorldNode

Event = dict[str, Any]
NODE = "node-1"
OBSERVER = Path(__file__).with_name("observer.py")
QUIET = 1.0  # seconds without a word of kernel or udev: then a plug is over
LONGEST = 30.0
WORDS = re.compile(r"cannot rename|Failed to rename|already up", re.IGNORECASE)


async def until(condition: Callable[[], Any], timeout: float = 30.0, what: str = "") -> None:
    """TimeoutError after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110  what is awaited lies on another machine
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise TimeoutError(f"{what or 'it'} has not come within {timeout:.0f} s") from error


@dataclass
class Manager:
    """The ENI manager's process on the node. `log` is its standard error."""

    process: asyncio.subprocess.Process
    path: Path

    def log(self) -> list[Event]:
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]

    def said(self, part: str) -> list[Event]:
        return [line for line in self.log() if part in line["msg"]]

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 20)


class Node:
    def __init__(self, world: World, machines: Machines, node: WorldNode, directory: Path) -> None:
        self.world, self.machines = world, machines
        self.id = node.instance_id
        self.events: list[Event] = []
        self.managers: list[Manager] = []
        self.enis: list[Interface] = []
        self._directory = directory
        self._observer: Process | None = None
        self._attached = 0  # since the machine has booted

    @property
    def machine(self) -> Any:
        return self.machines.machine(self.id)

    # On the machine

    async def sh(self, script: str, *, fails: bool = False, timeout: float = 120) -> str:
        """What a shell command writes; it has to end with 0, or `fails` and may end as it likes."""
        done = await self.machine.channel.run(["sh", "-c", script], timeout=timeout)
        assert fails or done.status == 0, f"{script}: {done.status}: {done.output}{done.errors}"
        return str(done.output + (done.errors if fails else ""))

    async def put(self, path: str, data: bytes) -> None:
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1"'
        done = await self.machine.channel.run(["sh", "-c", script, "sh", path], data=data)
        assert done.status == 0, done.errors

    async def start_observer(self) -> None:
        """Anew, in the place of one that runs. The kernel gives a message to the newest listener first, and
        may let that one work before the others have it: an observer has to be newer than whom it observes."""
        if self._observer is not None and self._observer.status is None:
            self._observer.send_signal(signal.SIGTERM)
            await self._observer.wait()
        await self.put("/opt/observer.py", OBSERVER.read_bytes())
        rest = bytearray()

        def take(fd: int, data: bytes) -> None:
            assert fd == 1, data.decode()
            rest.extend(data)
            *lines, last = bytes(rest).split(b"\n")
            rest[:] = last
            self.events.extend(json.loads(line) for line in lines)

        before = len(self.events)
        argv = ["python3", "-u", "/opt/observer.py"]
        self._observer = self.machine.channel.start(argv, on_output=take)
        await until(lambda: any("listening" in event for event in self.events[before:]))

    async def start_manager(self, *flags: str, old: bool = False, within: Sequence[str] = ()) -> Manager:
        """Returns when it has started and knows the primary. `within`: a command that starts it."""
        kubeconfig = self._directory / "kubeconfig"
        kubeconfig.write_text(self.world.kube.kubeconfig())
        await self.machines.bring(self.id, kubeconfig)
        argv = ["nodeeni", "manager", f"--node-name={NODE}", f"--kubeconfig={kubeconfig}", *flags]
        if old:
            argv = ["env", "PYTHONPATH=/opt/old", "python3", "-m", "nodeeni.agent", *argv[2:]]
        path = self._directory / f"manager-{len(self.managers)}.log"
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *self.machines.command(self.id, [*within, *argv]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        manager = Manager(process, path)
        self.managers.append(manager)
        await until(lambda: manager.said("has started") or process.returncode is not None)
        await until(lambda: manager.said("primary") or process.returncode is not None)
        assert process.returncode is None, path.read_text()
        await self.start_observer()
        return manager

    async def reboot(self) -> None:
        await self.machines.reboot(self.id)
        self.events.clear()
        self._observer = None  # it went with the machine
        self._attached = 0
        await self.start_observer()

    # Attaching

    def plant(self) -> Interface:
        """An ENI that is not attached yet."""
        eni = self.world.ec2.plant_interface(self.world.subnets["a"])
        self.enis.append(eni)
        return eni

    async def attach(self, eni: Interface) -> None:
        """Returns when the guest's kernel shows the link, which is some time after EC2 said `attached`."""
        ec2, before = self.world.ec2, len(self.events)
        self._attached += 1
        index = 1 + self.enis.index(eni)
        ec2.lifecycle.attach(ec2.interface(eni.id), ec2.instance(self.id), index, 0, stuck=False)
        await until(lambda: (a := ec2.interface(eni.id).attachment) and a.status == "attached")
        await until(lambda: any(e.get("mac") == eni.mac for e in self.events[before:]), 60, "the link")

    async def detach(self, eni: Interface, timeout: float = 60) -> None:
        ec2 = self.world.ec2
        found = ec2.interface(eni.id)
        assert found.attachment is not None
        ec2.lifecycle.detach(found, found.attachment, force=False, stuck=False)
        await until(lambda: ec2.interface(eni.id).attachment is None, timeout, "the detach")

    async def quiet(self, seconds: float = QUIET) -> None:
        """Until neither kernel nor udev has said anything for so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST
        count, since = len(self.events), loop.time()
        while loop.time() - since < seconds and loop.time() < deadline:
            await asyncio.sleep(0.05)
            if len(self.events) != count:
                count, since = len(self.events), loop.time()

    async def at_rest(self) -> None:
        """Until all is quiet, and cloud-init, where it hears of hot plug, has done its part for each ENI."""
        await self.quiet()
        await self.sh(_CLOUD_INIT.format(count=self._attached), timeout=600)

    def list_enis(self, *entries: tuple[Interface, Mapping[str, Any]]) -> None:
        """Write these into the ENINode's spec, as the controller does."""
        interfaces = [
            {
                "nodeENI": f"data-{eni.id}", "eniID": eni.id, "deviceIndex": 1 + self.enis.index(eni),
                "networkCardIndex": 0, "macAddress": eni.mac, **wish,
            }
            for eni, wish in entries
        ]  # fmt: skip
        self.world.kube.apply(
            {
                "apiVersion": "networking.k8s.aws/v1alpha1",
                "kind": "ENINode",
                "metadata": {"name": NODE},
                "spec": {"instanceID": self.id, "interfaces": interfaces},
            }
        )

    # What is there

    async def links(self) -> dict[str, Event]:
        """Links by permanent MAC address, as `ip` shows them."""
        links = await self.machines.links(self.id)
        return {link.get("permaddr", link["address"]): link for link in links}

    def reported(self) -> dict[str, Event]:
        """The status of each listed ENI, by its MAC address."""
        eninode = self.world.eninode(NODE) or {}
        return {one["macAddress"]: one for one in eninode.get("status", {}).get("interfaces", [])}

    async def until_reported(self, eni: Interface, state: str, timeout: float = 30.0) -> Event:
        try:
            await until(lambda: self.reported().get(eni.mac, {}).get("state") == state, timeout)
        except TimeoutError:
            found = self.reported().get(eni.mac)
            raise AssertionError(f"not {state}: {found}") from None
        return self.reported()[eni.mac]

    async def view(self, eni: Interface) -> Event:
        return (await self.views([eni]))[0]

    async def views(self, enis: Sequence[Interface]) -> list[Event]:
        """All that kernel, udev and systemd-networkd have to say of these ENIs' links."""
        links = await self.links()
        missing = [eni.mac for eni in enis if eni.mac not in links]
        assert not missing, f"no link has {missing}"
        names = [links[eni.mac]["ifname"] for eni in enis]
        told = (await self.sh("; ".join(_ASKING.replace("LINK", name) for name in names))).split(_MARK)
        return [
            _view(links[eni.mac], *told[start : start + 4])
            for eni, start in zip(enis, range(0, 4 * len(enis), 4), strict=True)
        ]

    def timing(self, eni: Interface) -> tuple[float | None, float | None]:
        """(when udev was done with its link, when that was up) at its last appearance, by the guest's clock;
        None: never."""
        indices = [e["index"] for e in self.events if e.get("mac") == eni.mac]
        events = [e for e in self.events if indices and e.get("index") == indices[-1]]
        # While it renames, udev says `add` with ID_RENAMING; it is done with the `move` that follows.
        word = next((e["t"] for e in events if "udev" in e and e["renaming"] != "1"), None)
        return word, next((e["t"] for e in events if e.get("up")), None)

    async def complaints(self) -> list[str]:
        """What udev said of names that it could not give."""
        journal = await self.sh("journalctl -b -u systemd-udevd --no-pager -o cat")
        return [line for line in journal.splitlines() if WORDS.search(line)]

    async def taint(self) -> int:
        return int(await self.sh("cat /proc/sys/kernel/tainted"))


# It says what it was called for as it begins; what the ENIs that left were is not waited for. First is asked
# whether it is idle: reading the journal takes a second of the one processor, from who is waited for.
_CLOUD_INIT = """
ls /etc/udev/rules.d/*-cloud-init-hook-hotplug.rules >/dev/null 2>&1 || exit 0
idle() {{ ! systemctl show -P ActiveState cloud-init-hotplugd.service | grep -Eqx '(de)?activating|active'; }}
calls() {{ journalctl -b -u cloud-init-hotplugd -o cat | grep -c -- 'args=.*udevaction=add'; }}
until idle && [ "$(calls)" -ge {count} ] && idle; do sleep 2; done
"""
_MARK = "=====\n"
_ASKING = (
    "udevadm info -q property /sys/class/net/LINK; echo =====; ip -4 -j addr show dev LINK; echo =====;"
    " ip -4 -j route show dev LINK; echo =====; networkctl --no-legend --no-pager list LINK 2>/dev/null;"
    " echo ====="
)
# What udev knows of a device; the rest is of its numbering.
_TOLD = re.compile(r"ID_NET|ID_RENAMING|INTERFACE$|SYSTEMD_ALIAS|TAGS|NM_|ID_PATH")


def _view(link: Event, udev: str, addresses: str, routes: str, networkd: str) -> Event:
    properties = dict(line.split("=", 1) for line in udev.splitlines() if "=" in line)
    infos = [one for shown in json.loads(addresses) for one in shown.get("addr_info", [])]
    keys = ("dst", "gateway", "metric")
    return {
        "name": link["ifname"],
        "altnames": sorted(link.get("altnames", [])),
        "mtu": link["mtu"],
        "up": "UP" in link["flags"],
        "state": link["operstate"],
        "udev": {key: value for key, value in properties.items() if _TOLD.match(key)},
        "networkd": networkd.split()[3:],
        "addresses": [f"{one['local']}/{one['prefixlen']}" for one in infos],
        "routes": sorted(" ".join(str(one.get(key, "-")) for key in keys) for one in json.loads(routes)),
    }


@contextlib.asynccontextmanager
async def a_node(image: Image, directory: Path) -> AsyncIterator[Node]:
    """With the observer, and no manager yet. Those that run at its end have to end well."""
    machines = Machines(image, print)
    await asyncio.to_thread(directory.mkdir, exist_ok=True)
    async with World(quick_settings(), hosts=machines) as world:
        node = Node(world, machines, await world.add_node(NODE, type="m5.24xlarge"), directory)
        imds = world.ec2.imds(node.id)
        await imds.start(listening=await machines.listen(node.id, METADATA_ADDRESS, 80))
        await machines.first_boot(node.id)
        await node.start_observer()
        try:
            yield node
        finally:
            await imds.stop()
            statuses = [await manager.stop() for manager in node.managers]
        assert statuses == [0] * len(statuses)
