"""The whole of it: one cluster a machine. What a killed one leaves is in two folders of fixed names."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
from hack.cluster.control_plane import ControlPlane
from hack.cluster.node_image import node_image
from hack.cluster.nodes import API_ADDRESS, AWS_ADDRESS, IMPORT, Egress, Node

from nodeeni.sandbox.ec2.settings import EC2Settings
from nodeeni.sandbox.kube import KubeServer
from nodeeni.sandbox.machines.hosts import Machines, why_impossible
from nodeeni.sandbox.machines.images import Built, ImageError
from nodeeni.sandbox.machines.vpc import Vpc
from nodeeni.sandbox.world import NODE_LABELS, World

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeeni-tools" / "cluster"
RUN = CACHE / "run"  # the guests' disks
_SHARED = Path("/dev/shm")
_ENOUGH = _SHARED.is_dir() and shutil.disk_usage(_SHARED).total >= 1 << 30  # containers may have little of it
MEMORY = (_SHARED if _ENOUGH else CACHE) / "nodeeni-cluster"  # etcd syncs each write, which takes a disk long
# Beside it: a cluster that was made from another cache has its memory there too, and lost it to this one.
LOCK = MEMORY.with_name(f"{MEMORY.name}.lock")
SPACE = 6 << 30  # bytes: images, two disks that grow, one build
SPARE = 4  # names of nodes that may join later: their kubelets are known to the API server from its start
_PROGRAMS = {"etcd": "etcd-server", "buildah": "buildah", "go": "golang-go", "openssl": "openssl"}


class Impossible(Exception):
    """There can be no cluster here; the message is one line with the way out."""


@dataclass(frozen=True)
class Cluster:
    """`values`: of a helm install of this tree's image. `kubeconfig`: of an administrator. `names`:
    those that the API server will know, with their numbers."""

    world: World
    control_plane: ControlPlane
    egress: Egress
    names: Iterator[tuple[int, str]]
    nodes: list[Node]
    kubeconfig: Path
    values: Path

    def machines(self) -> Machines:
        return cast("Machines", self.world.hosts)

    async def add_node(self) -> Node:
        """One more; its kubelet has started."""
        node = await self.boot()
        await self.join(node)
        return node

    async def boot(self) -> Node:
        """An instance and its machine."""
        world, machines = self.world, self.machines()
        number, name = next(self.names)
        zone = "ab"[number % 2]
        launched, registration = world.launch(name, zone=zone, labels=NODE_LABELS)
        primary = world.ec2.interfaces_of(launched.instance_id)[0]
        await machines.add(launched.instance_id, primary, world.node_subnets[zone].cidr)
        machine = machines.machine(launched.instance_id)
        address = primary.private_ips[0]
        flags = {
            "hostname-override": name,
            "node-ip": address,
            "provider-id": registration["spec"]["providerID"],
            # The others a kubelet may not give itself, or gives itself anyway.
            "node-labels": ",".join(
                f"{key}={value}"
                for key, value in registration["metadata"]["labels"].items()
                if key not in ("kubernetes.io/hostname", "kubernetes.io/os")
            ),
        }
        node = Node(name, launched.instance_id, address, number, machine.channel, flags)
        self.nodes.append(node)
        self.egress.nodes[address] = node
        return node

    async def load_image_of(self, commit: str) -> None:
        """Each node has localhost/nodeeni:COMMIT afterwards. Impossible if it cannot be built."""
        await self.load(Path(await asyncio.to_thread(_output, "hack/cluster/images.sh", str(CACHE), commit)))

    async def load(self, archive: Path) -> None:
        """Each node has the images of a docker-archive afterwards."""
        for node in self.nodes:
            machine = self.machines().machine(node.instance_id)
            await machine.plug_disk(archive)
            await node.run(IMPORT)
            await machine.unplug_disk()

    async def lose(self, node: Node) -> None:
        """Its power goes, and its instance with it; so does its Node, as a cloud controller deletes it."""
        self.world.ec2.terminate(node.instance_id)
        await self.machines().remove(node.instance_id)
        self.nodes.remove(node)
        del self.egress.nodes[node.address]

    async def join(self, node: Node) -> None:
        """The node's kubelet is started, for the first time or after a reboot."""
        api = self.control_plane.api
        await node.join(
            self.control_plane.kubeconfig(node.name, f"https://{API_ADDRESS}"),
            (api.host, api.port),
            ("127.0.0.1", urlsplit(self.world.ec2.url).port or 0),
        )


async def prepared(say: Callable[[str], None]) -> None:
    """All that is built once a machine is there, also for a machine without network. Impossible otherwise."""
    if reason := why_not():
        raise Impossible(reason)
    with _alone():
        await _built(say)


@contextlib.asynccontextmanager
async def cluster(nodes: int, say: Callable[[str], None]) -> AsyncIterator[Cluster]:
    """Up when entered: the nodes have registered, and are Ready soon. Impossible with the reason, if so."""
    if reason := why_not():
        raise Impossible(reason)
    with _alone(), contextlib.ExitStack() as parts:
        binary, image = await _built(say)
        names = [f"node-{number}" for number in range(1, nodes + SPARE + 1)]
        async with Egress(MEMORY / "egress") as egress:
            control_plane = await asyncio.to_thread(ControlPlane.start, binary, MEMORY, names, egress, parts)
            say(f"the control plane runs at {control_plane.api.url}")
            kube = cast("KubeServer", control_plane.api)
            vpc = Vpc()
            world = World(EC2Settings(), hosts=Machines(ready=image, vpc=vpc), kube=kube, prepared=False)
            vpc.ec2 = world.ec2
            await world.__aenter__()
            try:
                made = Cluster(
                    world,
                    control_plane,
                    egress,
                    enumerate(names),
                    [],
                    RUN / "kubeconfig",
                    RUN / "values.yaml",
                )
                made.kubeconfig.write_text(control_plane.api.kubeconfig())
                made.values.write_bytes(msgspec.json.encode(_values(world)))
                for _ in range(nodes):
                    await made.boot()
                await asyncio.gather(*map(made.join, made.nodes))
                yield made
            finally:
                await world.__aexit__()


def why_not() -> str:
    """Why there can be no cluster here, "" if there can: told before anything is made."""
    if reason := why_impossible():
        return reason
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"the program `{program}` is not installed (Debian: {package})"
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free
    if free < SPACE:
        needed = f"a cluster takes {SPACE >> 20}: free some, or set XDG_CACHE_HOME"
        return f"{CACHE} has {free >> 20} MiB free, and {needed}"
    return ""


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """What a cluster that was killed has left is removed: its processes have ended with it."""
    with LOCK.open("a+") as lock:
        lock.seek(0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Its make may have been killed alone, and then no Ctrl-C reaches it.
            held = f"a cluster runs on this machine already, as process {lock.read()}"
            raise Impossible(f"{held}: end that one first (Ctrl-C, or `kill`)") from None
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        former = tempfile.tempdir
        for place in (RUN, MEMORY):
            shutil.rmtree(place, ignore_errors=True)
        for place in (RUN, MEMORY):
            place.mkdir(parents=True)
        tempfile.tempdir = str(RUN)  # for the guests' disks
        try:
            yield
        finally:
            tempfile.tempdir = former
            for place in (RUN, MEMORY):
                shutil.rmtree(place, ignore_errors=True)


async def _built(say: Callable[[str], None]) -> tuple[Path, Built]:
    """The binary of Kubernetes, and what nodes start from. Made once, minutes each."""
    binary = Path(await asyncio.to_thread(_output, "hack/apiserver/build.sh", "--all"))
    images = Path(await asyncio.to_thread(_output, "hack/cluster/images.sh", str(CACHE)))
    try:
        return binary, await node_image(binary, images, CACHE, say)
    except ImageError as error:
        raise Impossible(str(error)) from error


def _output(*argv: str) -> str:
    """What the program prints; its errors are told as they come. Impossible with the last one if it fails."""
    said = ""
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for said in process.stderr:
            print(said, end="", file=sys.stderr, flush=True)
        printed = process.stdout.read()
    if process.returncode:
        raise Impossible(f"{argv[0]} has failed: {said.strip() or f'status {process.returncode}'}")
    return printed.strip()


def _values(world: World) -> object:
    """Where AWS is, and whose image: all that is not as shipped."""
    region = world.ec2.account.region
    aws = {
        "AWS_ENDPOINT_URL": f"http://{AWS_ADDRESS}",
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": "AKIASANDBOXSANDBOX00",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }
    return {
        "image": {"repository": "localhost/nodeeni", "tag": "tree"},
        "controller": {"env": [{"name": name, "value": value} for name, value in aws.items()]},
    }
