"""Everything at once, by a seed: what users, EC2, the API server and signals do to a cluster of 30 nodes.

After the turmoil all faults end, and the world has to become right: exactly the wanted interfaces, none of
others touched, none left over. The same seed gives the same script of
what is done and when; what that meets depends on the machine's pace.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.faults.processes import Controller, Zygote
from tests.faults.right import Object, ours_in
from tests.faults.situation import Situation, situated

from nodeeni.api.names import TAG_CLUSTER, TAG_INSTANCE, TAG_NAME, TAG_NODE, TAG_NODEENI, TAG_UID
from nodeeni.sandbox.ec2 import Interface, quick_settings
from nodeeni.sandbox.ec2.faults import Fault as EC2Fault
from nodeeni.sandbox.ec2.settings import Delay
from nodeeni.sandbox.world import SECURITY_GROUP, WorldNode

NODES = 30
NODEENIS = 5
STALE = 0.6  # seconds by which describes lag; the controllers are told --read-lag=800ms
CALM = 120.0  # seconds in which all has to be right: an edit may replace 15 interfaces one by one
PATIENCE = 40.0  # seconds for an end in order: 10 are promised, and the machine may be busy
VANISHED = 1.5  # seconds: three times the grace of a Node
LEASED = ("--enable-leader-election", "--lease-duration=4s")
LAG = ("--read-lag=800ms", "--force-detach-after=3s")

_LOST = ("CreateNetworkInterface", "AttachNetworkInterface", "DetachNetworkInterface")
_CALLS = (
    *_LOST,
    "DeleteNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "DescribeNetworkInterfaces",
    "DescribeInstances",
)
OWNING = (TAG_CLUSTER, TAG_UID, TAG_NODEENI, TAG_NAME, TAG_NODE, TAG_INSTANCE)
_WRITTEN = ("nodeenis", "nodeenis/status", "eninodes", "events")


class Result(NamedTuple):
    """`steps` counts what was done; `faults` is what was not right in the end."""

    seed: int
    steps: Counter[str]
    killed: int
    made: int
    seconds: float
    faults: tuple[str, ...]


class Chaos:
    """`nodes` and `nodeenis`: how many of them."""

    nodes, nodeenis = NODES, NODEENIS

    def __init__(self, at: Situation, seed: int) -> None:
        self.at = at
        self.seed = seed
        self.random = random.Random(seed)
        self.leased = bool(seed % 2)
        self.steps: Counter[str] = Counter()
        self.killed = 0
        self._controllers: list[Controller] = []
        self._replacing = asyncio.Lock()
        self._frozen: set[int] = set()
        self._generation = 0
        other = at.ec2.add_subnet(at.world.vpc, "a", "10.20.0.0/16")
        self._subnets = [at.world.subnets["a"].id, other.id]
        self._groups = [SECURITY_GROUP, at.ec2.add_security_group(at.world.vpc).id]

    async def run(self, steps: int) -> list[str]:
        await self.populate()
        for step in range(steps):
            self.seeded(step)
            await asyncio.sleep(self.random.uniform(0.0, 0.12))
            await self._step()
        return await self.calm(CALM)

    async def populate(self) -> None:
        for _ in range(self.nodes):
            await self._new_node()
        for number in range(self.nodeenis):
            self._apply(number)
        await self._start()
        if self.leased:
            await self._start()

    def seeded(self, step: int) -> None:
        """Each step is of its own seed, so that what it does is not shifted by what the one before it met."""
        self.random = random.Random(f"{self.seed}/{step}")

    # -- the script ----------------------------------------------------------------------------------

    async def _step(self) -> None:
        steps = self.choices()
        (chosen,) = self.random.choices([s for _, s in steps], [w for w, _ in steps])
        self.steps[getattr(chosen, "__name__", "").strip("_")] += 1
        done = chosen()
        if asyncio.iscoroutine(done):
            await done

    def choices(self) -> list[tuple[int, Callable[[], object]]]:
        """The steps, each with its weight."""
        return [
            (24, self._label),
            (8, self._edit),
            (3, self._terminate),
            (2, self._delete_nodeeni),
            (2, self._vanish),
            (2, self._blink),
            (1, self._vanish_many),
            (6, self._by_hand),
            (3, self._rename),
            (1, self._make_anew),
            (10, self._lose_a_reply),
            (6, self._refuse_a_call),
            (3, self._throttle),
            (3, self._delay),
            (2, self._stick_detach),
            (4, self._change_lag),
            (8, self._fail_a_write),
            (4, self._break_watches),
            (1, self._api_server_away),
            (8, self._kill),
            (3 if self.leased else 0, self._freeze),
            (2, self._stop_instance),
        ]

    # Users

    def _label(self) -> None:
        node, number = self._some_node(), self.random.randrange(self.nodeenis)
        if node is not None:
            self.at.world.label(node, **{f"n{number}": self.random.choice(("on", None))})

    def _edit(self) -> None:
        number = self.random.randrange(self.nodeenis)
        if self.at.world.nodeeni(f"n{number}") is not None:
            self._apply(number)

    def _apply(self, number: int) -> None:
        self._generation += 1
        self.at.apply(
            f"n{number}",
            nodeSelector={f"n{number}": "on"},
            deviceIndex=number + 2,
            subnetID=self._subnets[self.random.random() < 0.15],
            securityGroupIDs=self.random.sample(self._groups, self.random.randint(1, 2)),
            description=f"edit {self._generation}",
            deleteOnTermination=self.random.random() < 0.7,
            secondaryPrivateIPCount=self.random.randint(0, 3),
        )
        if self.random.random() < 0.3 and (node := self._some_node()):
            self.at.plant_look_alike(f"n{number}", node)

    async def _delete_nodeeni(self) -> None:
        number = self.random.randrange(self.nodeenis)
        nodeeni = self.at.world.nodeeni(f"n{number}")
        if nodeeni is None:
            self._apply(number)
        elif "deletionTimestamp" not in nodeeni["metadata"]:
            self.at.delete(f"n{number}")

    async def _terminate(self) -> None:
        node = self._some_node()
        if node is not None:
            self.at.ec2.terminate(self.at.world.nodes[node].instance_id)
            await self._new_node()

    def _vanish(self) -> None:
        """The Node object goes and comes back while its instance runs on."""
        node = self._some_node()
        if node is not None:
            self._come_back(self._go(node))

    def _vanish_many(self) -> None:
        """Half of the Nodes go, for longer than a Node's grace, and come back while their instances run."""
        present = [node["metadata"]["name"] for node in self.at.kube.objects("", "nodes")]
        gone = [self._go(node) for node in self.random.sample(present, len(present) // 2)]
        for manifest in gone:
            asyncio.get_running_loop().call_later(VANISHED, self._come_back, manifest)

    def _go(self, node: str) -> Object:
        found = self.at.kube.get("", "nodes", node)
        assert found is not None
        self.at.kube.delete("", "nodes", node)
        return found

    def _come_back(self, manifest: Object) -> None:
        instance = self.at.ec2.instance(manifest["spec"]["providerID"].rpartition("/")[2])
        if instance.state in ("shutting-down", "terminated"):
            return  # its kubelet is no more
        if manifest["metadata"]["name"] not in self.at.world.nodes:
            return  # it has another name by now
        fresh = {key: manifest["metadata"][key] for key in ("name", "labels") if key in manifest["metadata"]}
        self.at.kube.create({**manifest, "metadata": fresh})

    def _blink(self) -> None:
        """An operator restarts: every node is without one of the labels for a moment."""
        key = f"n{self.random.randrange(self.nodeenis)}"
        for node in self.at.kube.objects("", "nodes"):
            if key in node["metadata"].get("labels", {}):
                name = node["metadata"]["name"]
                self.at.world.label(name, **{key: None})
                self.at.world.label(name, **{key: "on"})

    def _by_hand(self) -> None:
        """Somebody detaches or deletes an interface of ours, or changes, empties or takes off a tag of it."""
        ours = sorted(ours_in(self.at.world), key=lambda i: i.mac)
        if not ours:
            return
        interface = self.random.choice(ours)
        kind = self.random.choice(("detach", "delete", "tags", "groups"))
        if kind == "delete":
            self.at.ec2.remove_interface(interface.id)
        elif kind == "detach" and interface.attachment and interface.attachment.status == "attached":
            self.at.ec2.account.release(interface)
        elif kind == "tags":
            self._change_a_tag(interface)

    def _change_a_tag(self, interface: Interface) -> None:
        """One at a time: with three off nobody can tell whose it is. Another cluster's id would stay."""
        key, value = self.random.choice(OWNING), self.random.choice(("of-nobody", "", None))
        tags = interface.tags
        if any(tags.get(each) in ("of-nobody", "", None) for each in OWNING):
            return
        if key == TAG_CLUSTER:
            value = value and None
        kept = {name: each for name, each in {**tags, key: value}.items() if each is not None}
        self.at.ec2.account.set_tags(interface, kept)

    def _rename(self) -> None:
        """Its kubelet registers under another name, before or after the old Node goes."""
        node = self._some_node()
        if node is None:
            return
        first, number = node.partition("-again-")[0], self.random.randrange(10**6)
        renamed = f"{first}-again-{number}"
        manifest = self.at.kube.get("", "nodes", node)
        assert manifest is not None
        manifest = {**manifest, "metadata": {**manifest["metadata"], "name": renamed}}
        self.at.world.nodes[renamed] = WorldNode(renamed, self.at.world.nodes.pop(node).instance_id)
        if self.random.random() < 0.5:
            self._come_back(manifest)
            asyncio.get_running_loop().call_later(0.3, self._drop, node)
        else:
            self.at.kube.delete("", "nodes", node)
            self._come_back(manifest)

    def _drop(self, node: str) -> None:
        if self.at.kube.get("", "nodes", node) is not None:
            self.at.kube.delete("", "nodes", node)

    def _make_anew(self) -> None:
        """Its finalizer is taken off by hand, and it is applied again: another uid under the same name."""
        number = self.random.randrange(self.nodeenis)
        nodeeni = self.at.world.nodeeni(f"n{number}")
        if nodeeni is None or "deletionTimestamp" in nodeeni["metadata"]:
            return
        self.at.guard.torn_away.add(nodeeni["metadata"]["uid"])
        none: Object = {"metadata": {"finalizers": []}}
        self.at.kube.patch("networking.k8s.aws", "nodeenis", f"n{number}", none)
        self.at.delete(f"n{number}")
        self._apply(number)

    def _stop_instance(self) -> None:
        node = self._some_node()
        if node is None:
            return
        instance_id = self.at.world.nodes[node].instance_id
        if self.at.ec2.instance(instance_id).state == "running":
            self.at.ec2.stop_instance(instance_id)
            asyncio.get_running_loop().call_later(0.3, self._start_instance, instance_id)

    def _start_instance(self, instance_id: str) -> None:
        match self.at.ec2.instance(instance_id).state:
            case "stopped":
                self.at.ec2.start_instance(instance_id)
            case "stopping":
                asyncio.get_running_loop().call_later(0.1, self._start_instance, instance_id)

    # EC2

    def _lose_a_reply(self) -> None:
        phase = self.random.choice(("before", "after"))
        self.at.ec2.faults.drop(self.random.choice(_LOST), phase)  # type: ignore[arg-type]

    def _refuse_a_call(self) -> None:
        action, code = self.random.choice(_CALLS), self.random.choice(("InternalError", "Unavailable"))
        self.at.ec2.faults.error(action, code, phase=self.random.choice(("before", "after")))

    def _throttle(self) -> None:
        action = self.random.choice(_CALLS)
        self.at.ec2.faults.error(action, "RequestLimitExceeded", times=self.random.randint(1, 3))

    def _delay(self) -> None:
        self.at.ec2.faults.add(
            EC2Fault(
                action=self.random.choice(_CALLS),
                delay=self.random.uniform(0.2, 1.5),
                phase=self.random.choice(("before", "after")),
            )
        )

    def _change_lag(self) -> None:
        """Another replica answers: what was shown already may not be shown for a while."""
        for table in (self.at.ec2.account.interfaces, self.at.ec2.account.instances):
            table.lag = self.random.uniform(0.01, STALE)

    def _stick_detach(self) -> None:
        self.at.ec2.faults.stick("DetachNetworkInterface")

    # The API server

    def _fail_a_write(self) -> None:
        resource, verb = self.random.choice(_WRITTEN), "patch"
        match self.random.choice(("before", "after", "status")):
            case "status":
                status = self.random.choice((409, 429, 500, 503))
                self.at.kube.faults.fail(status, verb=verb, resource=resource)
            case when:
                self.at.kube.faults.drop(when, verb=verb, resource=resource)

    def _break_watches(self) -> None:
        self.at.kube.faults.break_watches(self.random.choice(("end", "reset", "gone")))

    async def _api_server_away(self) -> None:
        self.at.kube.refuse_connections()
        await asyncio.sleep(self.random.uniform(0.2, 1.0))
        await self.at.kube.listen()

    # Controllers

    async def _start(self) -> None:
        flags = (*LAG, *(LEASED if self.leased else ()))
        self._controllers.append(await self.at.start(*flags))

    async def _kill(self) -> None:
        victim = self.random.choice(self._controllers)
        victim.signal(self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        victim.signal(signal.SIGCONT)
        self.killed += 1
        if self.leased:
            await self._replace_the_ended()
            return
        try:
            await victim.ended(PATIENCE)  # without a lease two at once are not promised
        except TimeoutError:
            self.at.guard.broken[f"a controller did not end within {PATIENCE:g} s of SIGTERM"] = None
            victim.kill()
        await self._replace_the_ended()

    async def _freeze(self) -> None:
        """For longer than the lease lasts; it then wakes up beside its successor."""
        victim = self.random.choice(self._controllers)
        if not victim.running or victim.pid in self._frozen:
            return
        victim.signal(signal.SIGSTOP)
        self._frozen.add(victim.pid)
        asyncio.get_running_loop().call_later(self.random.uniform(4.0, 7.0), self._thaw, victim)

    def _thaw(self, victim: Controller) -> None:
        self._frozen.discard(victim.pid)
        victim.signal(signal.SIGCONT)

    async def _replace_the_ended(self) -> None:
        async with self._replacing:
            for controller in [c for c in self._controllers if not c.running]:
                self._controllers.remove(controller)
                await controller.ended()
                await self._start()

    # -- the end -------------------------------------------------------------------------------------

    async def calm(self, seconds: float) -> list[str]:
        """All faults end; what is not right after so long."""
        self.at.ec2.faults.clear()
        self.at.kube.faults.clear()
        keeping = asyncio.create_task(self.keep_running())
        try:
            return await self.at.righted(seconds)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            for controller in self._controllers:
                controller.kill()
            await asyncio.gather(*(c.ended() for c in self._controllers))

    async def keep_running(self) -> None:
        while True:
            await self._replace_the_ended()
            await asyncio.sleep(0.2)

    async def _new_node(self) -> None:
        labels = {f"n{number}": "on" for number in range(self.nodeenis) if self.random.random() < 0.35}
        node = await self.at.world.add_node(type="m5.4xlarge", labels=labels)
        if self.random.random() < 0.2:
            self.at.plant_cni(node)

    def _some_node(self) -> str | None:
        present = {node["metadata"]["name"] for node in self.at.kube.objects("", "nodes")}
        names = [name for name in self.at.world.nodes if name in present]
        return self.random.choice(names) if names else None


async def chaos(zygote: Zygote, directory: Path, seed: int, steps: int = 60, mutant: str = "") -> Result:
    """One seed, judged."""
    started = time.monotonic()
    settings = quick_settings(
        stale_reads=STALE,
        stale_lookups=bool(seed % 3 == 0),
        attaching=Delay(0.1, spread=0.5),
        detaching=Delay(0.15, spread=0.5),
        terminating=Delay(0.3, spread=0.5),
        seed=seed,
    )
    async with situated(zygote, directory, mutant=mutant, settings=settings) as at:
        run = Chaos(at, seed)
        faults = await run.run(steps)
        return Result(seed, run.steps, run.killed, at.made, time.monotonic() - started, tuple(faults))
