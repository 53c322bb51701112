"""Two nodes in two zones, of Debian 12 and 13, whose ENIs a VPC joins; controller and ENI managers as
processes; Multus and the CNI plugins as a cluster has them. Pods are made by CNI, as a runtime does it."""

import asyncio
import contextlib
import ipaddress
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.nodes.node import until
from tests.pods import programs

from nodeeni.cli.stage import Stage
from nodeeni.sandbox.ec2 import Interface, Subnet, quick_settings
from nodeeni.sandbox.machines.hosts import Machines
from nodeeni.sandbox.machines.images import Image
from nodeeni.sandbox.machines.qemu import Machine
from nodeeni.sandbox.machines.vpc import Vpc
from nodeeni.sandbox.world import NODE_LABELS, World, WorldNode, readme_nodeeni

Object = dict[str, Any]

NETWORK = "pods"
CONF_DIR = "/etc/cni/multus/net.d"
FILE = f"{CONF_DIR}/90-nodeeni-{NETWORK}.conf"
GUEST = Path(__file__).with_name("guest.py")
DEBIANS = "/usr/lib/cni"
NEWEST = "/opt/cni:/usr/lib/cni"  # those of outside/go.mod first; Multus is there alone
PLUGINS = {"1.10": NEWEST, "of Debian": f"{DEBIANS}:/opt/cni"}
ZONES = ((21, "a"), (22, "b"))
OTHER_ZONES = ((23, "a"), (24, "b"))
# As docs/pods.md has it: the subnets of all zones, the node's own among them.
ROUTES = [{"dst": f"10.{n}.0.0/16"} for n, _ in (*ZONES, *OTHER_ZONES)] + [
    {"dst": f"2001:db8:{n}::/64"} for n, _ in (*ZONES, *OTHER_ZONES)
]
_PACKAGES = ("containernetworking-plugins", "strace")
# Not QEMU's e1000: it holds back what comes for a second after each change of its receive filter, and pods
# that come and go change it more often than that.
_IMAGES = tuple(Image(release, board="virtio", packages=_PACKAGES) for release in ("12", "13"))
_PREPARE = """
udevadm settle; mkdir -p /opt/cni /etc/cni/multus/net.d /etc/cni/net.d
until [ -e /dev/vdb ]; do sleep 0.1; done; mountpoint -q /opt/cni || mount -o ro /dev/vdb /opt/cni
modprobe -a ipvlan veth
"""
_NAD = "k8s.cni.cncf.io"
CHURNED = 1800.0  # seconds; emulated processors are slow, and these two may have others beside them


class InTurn:
    """Machines of several images, a node each in turn: one `NodeHosts`."""

    nodeeni = Machines.nodeeni

    def __init__(self, *kinds: Machines) -> None:
        self._kinds = kinds
        self._of: dict[str, Machines] = {}

    async def start(self) -> None:
        for kind in self._kinds:
            await kind.start()

    async def stop(self) -> None:
        for kind in self._kinds:
            await kind.stop()

    async def add(self, instance_id: str, primary: Interface, cidr: str) -> None:
        kind = self._of[instance_id] = self._kinds[len(self._of) % len(self._kinds)]
        await kind.add(instance_id, primary, cidr)

    def of(self, instance_id: str) -> Machines:
        return self._of[instance_id]

    def instance_ids(self) -> list[str]:
        return list(self._of)

    def command(self, instance_id: str, argv: Sequence[str]) -> list[str]:
        return self.of(instance_id).command(instance_id, argv)

    async def bring(self, instance_id: str, path: Path) -> None:
        await self.of(instance_id).bring(instance_id, path)

    async def listen(self, instance_id: str, address: str, port: int) -> Any:
        return await self.of(instance_id).listen(instance_id, address, port)

    async def links(self, instance_id: str) -> list[dict[str, Any]]:
        return await self.of(instance_id).links(instance_id)

    async def on_attached(self, instance_id: str, interface: Interface, cidr: str) -> None:
        if kind := self._of.get(instance_id):
            await kind.on_attached(instance_id, interface, cidr)

    async def on_detached(self, instance_id: str, interface: Interface) -> None:
        if kind := self._of.get(instance_id):
            await kind.on_detached(instance_id, interface)


@dataclass
class PodNode:
    """`path`: where its CNI plugins are. `pods`: those alive, and their addresses; `by_multus`: some of
    them."""

    stage: Stage
    node: WorldNode
    hosts: Machines
    path: str
    pods: dict[str, list[str]] = field(default_factory=dict)
    by_multus: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def machine(self) -> Machine:
        return self.hosts.machine(self.node.instance_id)

    async def sh(self, script: str, data: bytes = b"", timeout: float = 120) -> str:
        done = await self.machine.channel.run(["sh", "-c", script], data=data, timeout=timeout)
        assert done.status == 0, f"{script}: {done.status}: {done.output}{done.errors}"
        return done.output

    async def ask(self, do: str, timeout: float = 600, **arguments: Any) -> Any:
        """What a function of guest.py answers."""
        request = json.dumps({"do": do, **arguments}).encode()
        return json.loads(await self.sh("python3 /opt/guest.py", request, timeout))

    async def prepare(self) -> None:
        """What a node of a cluster with Multus has; again after a boot."""
        await self.sh(_PREPARE)
        await self.sh("cat >/opt/guest.py", GUEST.read_bytes())

    async def add(self, *pods: str, multus: bool = False) -> dict[str, list[str]]:
        """Each has to get its network. Multus asks the API server for the pod, so it is made there first; not
        by `multus`, the plugins are called as Multus calls them."""
        if multus:
            for pod in pods:
                self.stage.world.kube.create(_pod(pod, self.name))
        told = await self.ask("add", pods=pods, network=NETWORK, path=self.path, multus=multus)
        errors = [each["error"] for each in told.values() if each["error"]]
        assert not errors, errors
        added = {pod: each["addresses"] for pod, each in told.items()}
        self.pods |= added
        self.by_multus |= set(pods if multus else ())
        return added

    async def delete(self, *pods: str, gone: bool = False) -> None:
        """As they were made. `gone`: their namespaces are away already."""
        for multus in (False, True):
            some = [pod for pod in pods if (pod in self.by_multus) == multus]
            told = await self.ask(
                "delete", pods=some, network=NETWORK, path=self.path, multus=multus, gone=gone
            )
            errors = [each["error"] for each in told.values() if each["error"]]
            assert not errors, errors
        for pod in pods:
            del self.pods[pod]
        for pod in self.by_multus.intersection(pods):
            self.stage.world.kube.delete("", "pods", pod, namespace="default")
        self.by_multus.difference_update(pods)

    async def held(self) -> dict[str, str]:
        """host-local's addresses, with the pod of each; they have to be those of the pods that live."""
        told = await self.ask("state", network=NETWORK)
        live = {address: pod for pod, addresses in self.pods.items() for address in addresses}
        assert told["held"] == live, f"{self.name}: host-local holds {told['held']}, pods have {live}"
        assert told["live"] == live, f"{self.name}: kernels have {told['live']}, CNI said {live}"
        held: dict[str, str] = told["held"]
        return held

    def enis(self) -> list[Interface]:
        """The extra ones."""
        every = self.stage.world.ec2.interfaces_of(self.node.instance_id)
        return [eni for eni in every if eni.attachment and eni.attachment.device_index]

    def eni(self) -> Interface:
        (found,) = self.enis()
        return found

    async def churn(self, count: int, width: int, peers: Sequence[str], hands: int = 4) -> Object:
        """So many pods, `width` of them alive at once; the last of them stay. None may fail, get an address
        that another pod has, or find its peer silent. `again` has what an ADD said that had to be repeated,
        as kubelet does it: `ipvlan` gives an address back before its link is gone, and the kernel refuses it
        to another pod for that moment."""
        pods = [f"{self.name}-{number}" for number in range(count)]
        asked = {"pods": pods, "width": width, "peers": peers, "hands": hands, "path": self.path}
        told: Object = await self.ask("churn", CHURNED, network=NETWORK, **asked)
        faults = [*told["faults"], *(each for each in told["again"] if "address already in use" not in each)]
        assert faults == [], f"{self.name}: {faults}"
        assert (len(told["added"]), told["deleted"]) == (count, count - width)
        self.pods |= told["alive"]
        return told

    def told(self) -> Object:
        """What the manager tells of the ENI's pod network."""
        status = (self.stage.world.eninode(self.name) or {}).get("status", {})
        networks = [one["podNetwork"] for one in status.get("interfaces", []) if "podNetwork" in one]
        return networks[0] if networks else {}

    async def until_ready(self, prefixes: int = 2, timeout: float = 180) -> None:
        """Until the ENI has as many prefixes and the file too, as the manager says."""
        try:
            await until(lambda: self._has(prefixes), timeout)
        except TimeoutError:
            raise AssertionError(f"{self.name} has {self.enis()}, and is told {self.told()}") from None

    def _has(self, count: int) -> bool:
        told, enis = self.told(), self.enis()
        prefixes = {prefix for eni in enis for prefix in (*eni.ipv4_prefixes, *eni.ipv6_prefixes)}
        ready = told.get("state") == "Ready" and len(enis) == 1
        return ready and len(prefixes) == count and prefixes == set(told["prefixes"])

    async def start_manager(self) -> None:
        await self.stage.start_agent(self.node, f"--cni-conf-dir={CONF_DIR}")

    async def reboot(self) -> None:
        """The machine; the manager and all pods go with it. Returns when a pod can have an address again, as
        the node itself shows: what was told before says nothing of it."""
        await self.hosts.reboot(self.node.instance_id)
        await self.prepare()
        await self.stage.stop_agent(self.node)
        await self.start_manager()
        await self.sh(f"until ip link show data0 | grep -q 'state UP' && [ -e {FILE} ]; do sleep 0.2; done")

    async def clear(self) -> None:
        """End what a scenario that failed has left."""
        await self.ask("clear")
        self.pods.clear()
        self.by_multus.clear()


@dataclass
class Pods:
    stage: Stage
    vpc: Vpc
    subnets: list[Subnet]
    other_subnets: list[Subnet]  # of the same zones
    nodes: list[PodNode]

    @property
    def world(self) -> World:
        return self.stage.world

    def apply(self, **changes: Any) -> None:
        """The one NodeENI for all zones, with a prefix of both families for pods."""
        usual = {
            "subnetID": None,
            "subnetIDs": [subnet.id for subnet in self.subnets],
            "securityGroupIDs": [self.world.group.id],
            "interfaceName": "data0",
            "mtu": 9001,
            "ipv4PrefixCount": 1,
            "ipv6PrefixCount": 1,
            "podNetwork": {"type": "ipvlan", "routes": ROUTES},
        }
        self.world.kube.apply(readme_nodeeni(NETWORK, **usual | changes))

    async def start_processes(self) -> None:
        """Controller and managers."""
        await self.stage.start_controller()
        for node in self.nodes:
            await node.start_manager()

    async def renew(self, plugins: str = NEWEST) -> None:
        """No pods, nothing counted, the NodeENI as `apply` has it; returns when pods can have addresses on
        both nodes."""
        for number, node in enumerate(self.nodes):
            await node.clear()
            node.path = plugins
            config = _multus_conf(self.stage.kubeconfig, number, plugins)
            await node.sh("cat >/etc/cni/net.d/00-multus.conf", json.dumps(config).encode())
        for group, plural in (("", "pods"), ("events.k8s.io", "events")):
            for each in self.world.kube.objects(group, plural):
                meta = each["metadata"]
                self.world.kube.delete(group, plural, meta["name"], namespace=meta["namespace"])
        self.apply()
        wanted = {subnet.id for subnet in self.subnets}
        for node in self.nodes:
            await until(lambda: {eni.subnet_id for eni in node.enis()} <= wanted, 300, "the ENI")  # noqa: B023
            await node.until_ready()
        self.vpc.drops.clear()
        self.vpc.carried.clear()

    async def end(self) -> str:
        """All pods; then host-local has nothing any more. The counts, as `at_rest` has them."""
        counts = self.at_rest()
        for node in self.nodes:
            await node.held()
            await node.delete(*list(node.pods))
            assert await node.held() == {}
        assert self.vpc.drops == [], self.vpc.drops[:9]
        return counts

    def subnet_ids(self) -> set[str]:
        return {subnet.id for subnet in (*self.subnets, *self.other_subnets)}

    async def reach(self, count: int = 1, size: int = 56, others: int | None = None) -> int:
        """Every pod pings every address of the others, or of as many as `others` of them, those of the two
        nodes in turn; the number of pings, all of which have to be answered."""
        first, second = ([(node, pod) for pod in node.pods] for node in self.nodes)
        ring = [one for both in itertools.zip_longest(first, second) for one in both if one]
        pairs: dict[str, list[list[str]]] = {node.name: [] for node in self.nodes}
        for number, (node, pod) in enumerate(ring):
            for to, target in (ring[number + 1 :] + ring[:number])[:others]:
                pairs[node.name] += [[pod, address] for address in to.pods[target]]
        for node in self.nodes:
            answers = await node.ask("ping", pairs=pairs[node.name], count=count, size=size)
            lost = {pair: got for pair, got in answers.items() if got != count}
            assert lost == {}, f"{len(lost)} of {len(answers)} lost: {lost}; {self.vpc.drops[-5:]}"
        return count * sum(map(len, pairs.values()))

    def addresses(self) -> list[str]:
        return [each for node in self.nodes for pod in node.pods.values() for each in pod]

    def at_rest(self) -> str:
        """Nothing that a pod sent went to nowhere, and nobody has another's address: the counts."""
        assert self.vpc.drops == [], self.vpc.drops[:9]
        addresses = self.addresses()
        assert len(addresses) == len(set(addresses)), sorted(addresses)
        for node in self.nodes:
            self.within(node)
        frames = sum(self.vpc.carried.values())
        return f"{frames} frames between ENIs, 0 dropped; {len(addresses)} addresses, 0 double"

    def within(self, node: PodNode) -> None:
        """Its pods' addresses are of its ENI's prefixes, as EC2 has them, and nobody has one twice."""
        eni = node.eni()
        prefixes = [ipaddress.ip_network(each) for each in (*eni.ipv4_prefixes, *eni.ipv6_prefixes)]
        for pod, addresses in node.pods.items():
            for address in map(ipaddress.ip_address, addresses):
                assert any(address in p for p in prefixes), f"{pod} has {address}, the ENI {prefixes}"


@contextlib.asynccontextmanager
async def two_nodes(directory: Path) -> AsyncIterator[Pods]:
    """With nothing of ours running yet, and the newest plugins."""
    vpc = Vpc()
    hosts = InTurn(*(Machines(image, print, vpc=vpc) for image in _IMAGES))
    image = await asyncio.to_thread(programs.disk)
    await asyncio.to_thread(directory.mkdir, exist_ok=True)
    async with Stage(directory, quick_settings(), hosts=hosts) as stage:
        world = stage.world
        vpc.ec2 = world.ec2
        subnets, others = (
            [
                world.ec2.add_subnet(world.vpc, zone, f"10.{n}.0.0/16", ipv6_cidr=f"2001:db8:{n}::/64")
                for n, zone in numbers
            ]
            for numbers in (ZONES, OTHER_ZONES)
        )
        _install_multus(world)
        nodes: list[PodNode] = []
        for zone in "ab":
            node = await world.add_node(f"node-{zone}", zone=zone, labels=NODE_LABELS)
            one = PodNode(stage, node, hosts.of(node.instance_id), NEWEST)
            await one.machine.plug_disk(image)
            await one.prepare()
            await hosts.bring(node.instance_id, stage.kubeconfig)
            nodes.append(one)
        yield Pods(stage, vpc, subnets, others, nodes)


def _install_multus(world: World) -> None:
    """Its definition of definitions, as its manifests have it, and one of ours with an empty spec."""
    names = {
        "plural": "network-attachment-definitions",
        "singular": "network-attachment-definition",
        "kind": "NetworkAttachmentDefinition",
        "shortNames": ["net-attach-def"],
    }
    spec = {"type": "object", "properties": {"config": {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    world.kube.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"network-attachment-definitions.{_NAD}"},
            "spec": {"group": _NAD, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    world.kube.create(
        {
            "apiVersion": f"{_NAD}/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": NETWORK, "namespace": "default"},
        }
    )


def _multus_conf(kubeconfig: Path, number: int, path: str) -> Object:
    """`ptp` stands for the cluster's own network."""
    ipam = {"type": "host-local", "subnet": f"10.244.{number}.0/24"}
    return {
        "cniVersion": "0.4.0",
        "name": "multus-cni-network",
        "type": "multus",
        "kubeconfig": str(kubeconfig),
        "confDir": CONF_DIR,
        "binDir": path.partition(":")[0],
        "delegates": [{"cniVersion": "0.4.0", "name": "cluster", "type": "ptp", "ipam": ipam}],
    }


def _pod(name: str, node: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {"k8s.v1.cni.cncf.io/networks": NETWORK},
        },
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "pause"}]},
    }
