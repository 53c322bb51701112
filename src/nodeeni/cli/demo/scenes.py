"""What happens in the demo, in order, and what must follow from each thing before the next one.

People's part (apply, label, delete) goes to the API server over HTTP, as kubectl's would; the instance is
terminated as if in EC2's console.
"""

from pathlib import Path

import msgspec

from nodeeni.cli.demo.observer import Observer, StepFailed
from nodeeni.cli.demo.screen import Screen, short
from nodeeni.cli.demo.summary import Left, look_for_leftovers
from nodeeni.cli.stage import Stage
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NODEENIS, NODES
from nodeeni.sandbox.world import WorldNode

LABEL = {"ng": "multi-eni"}
NODES_SHOWN = 3
START_TIMEOUT = 30.0  # seconds for processes to load on a slow machine
STEP_TIMEOUT = 20.0  # seconds; each step takes a few


class Scenes:
    """`play` once. Raises StepFailed when something does not come about."""

    def __init__(self, stage: Stage, screen: Screen, manifest: Path) -> None:
        self._stage = stage
        self._screen = screen
        self._manifest = manifest
        self._body = msgspec.yaml.decode(manifest.read_bytes(), type=dict)
        self._name: str = self._body["metadata"]["name"]
        self._nodes: list[WorldNode] = []
        self.observer: Observer | None = None

    async def play(self) -> Left:
        """What is left at the end."""
        await self._set_up()
        observer = Observer(self._stage, self._nodes, self._name, self._screen)
        self.observer = observer
        unlabelled, terminated, _ = self._nodes
        client = KubeClient.connect(str(self._stage.kubeconfig))
        try:
            await self._apply(client, observer)
            await self._take_label_off(client, observer, unlabelled)
            await self._terminate(observer, terminated)
            await self._delete(client, observer)
        finally:
            await client.close()
        self._screen.settle()
        await self._end_processes()
        return await look_for_leftovers(self._stage, observer)

    async def _set_up(self) -> None:
        stage = self._stage
        for _ in range(NODES_SHOWN):
            self._nodes.append(await stage.world.add_node(labels=LABEL))
        # The simulated EC2's reads do not lag; a real one's do, which is what the default of 35 s is for.
        await stage.start_controller(
            *("--enable-leader-election", "--metrics-addr", "127.0.0.1:0", "--read-lag", "3s"),
            *("--label-grace", "0"),  # 5 s in which nothing is to be seen
        )
        if stage.hosts is not None:
            for node in self._nodes:
                await stage.start_agent(node)
        observer = Observer(stage, [], self._name, self._screen)
        await observer.until(self._all_watch, "controller and agents ready", START_TIMEOUT)

    def _all_watch(self) -> bool:
        watches = self._stage.world.kube.requests["watch", "eninodes"]
        return self._stage.controller_is_ready() and watches >= 1 + len(self._stage.agents)

    async def _apply(self, client: KubeClient, observer: Observer) -> None:
        observer.start_clock()
        self._screen.scene(0.0, f"kubectl apply -f examples/{self._manifest.name}")
        await client.create(NODEENIS, self._body)
        await observer.until(
            lambda: self._everything_stands(observer), "every node with its ENI", STEP_TIMEOUT
        )

    def _everything_stands(self, observer: Observer) -> bool:
        """In EC2, in the kernels and in the status."""
        sights, nodeeni = observer.sights.values(), observer.nodeeni
        attached = all(sight.attachment == "attached" and sight.delete_on_termination for sight in sights)
        if not attached or nodeeni.attached != len(self._nodes):
            return False
        kernels = self._stage.hosts is not None
        return not kernels or (
            all(sight.link_is_up for sight in sights) and nodeeni.links_up == len(self._nodes)
        )

    async def _take_label_off(self, client: KubeClient, observer: Observer, node: WorldNode) -> None:
        self._screen.scene(observer.seconds, f"kubectl label node {short(node.name)} ng-")
        await client.patch(NODES, node.name, {"metadata": {"labels": {"ng": None}}})
        await observer.until(
            lambda: _has_lost(observer, node, desired=2),
            f"{short(node.name)} without its ENI",
            STEP_TIMEOUT,
        )

    async def _terminate(self, observer: Observer, node: WorldNode) -> None:
        self._screen.scene(observer.seconds, f"aws ec2 terminate-instances --instance-ids {node.instance_id}")
        self._stage.world.ec2.terminate(node.instance_id)
        await observer.until(
            lambda: observer.sights[node.name].instance == "terminated",
            f"{node.instance_id} terminated",
            STEP_TIMEOUT,
        )
        if node.name in self._stage.agents:
            await self._stage.stop_agent(node)
        await observer.until(
            lambda: _has_lost(observer, node, desired=1),
            f"{short(node.name)} and its ENI gone",
            STEP_TIMEOUT,
        )

    async def _delete(self, client: KubeClient, observer: Observer) -> None:
        self._screen.scene(observer.seconds, f"kubectl delete nodeeni {self._name}")
        await client.delete(NODEENIS, self._name)
        await observer.until(lambda: not observer.nodeeni.there, f"{self._name} gone", STEP_TIMEOUT)
        # An ENINode goes some tenths of a second after the last ENI of its node.
        kube = self._stage.world.kube
        await observer.until(
            lambda: not kube.objects("networking.k8s.aws", "eninodes"), "ENINodes gone", STEP_TIMEOUT
        )

    async def _end_processes(self) -> None:
        failed = {name: code for name, code in (await self._stage.stop_processes()).items() if code != 0}
        for name, code in failed.items():
            raise StepFailed(f"{name} ended with exit status {code}")


def _has_lost(observer: Observer, node: WorldNode, *, desired: int) -> bool:
    nodeeni = observer.nodeeni
    told = nodeeni.desired == nodeeni.attached == desired and node.name not in nodeeni.listed
    return told and not observer.sights[node.name].eni
