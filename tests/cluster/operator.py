"""An operator at a real cluster: kubectl and helm, with ENIs compared in EC2 and links on the nodes."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hack.cluster.cluster import Cluster
from hack.cluster.nodes import Node

from nodeeni.api.names import NAMESPACE
from nodeeni.sandbox.ec2 import Interface
from nodeeni.sandbox.world import NODE_LABELS, OTHER_SUBNETS, SECURITY_GROUP, SUBNET

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "nodeeni"
NAME = "multus"
PATIENCE = "600s"  # guests are emulated, on a machine with other work
WAIT = ("--wait", "--timeout", PATIENCE)
Object = dict[str, Any]


class Failed(Exception):
    """A program did not do it; the message is what it said."""


async def run(*argv: str, env: Mapping[str, str], stdin: str = "") -> str:
    """What the program prints. Failed if it fails; whoever is cancelled meanwhile ends it."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=env,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"{' '.join(argv)}: {errors.decode()}\n{output.decode()}")
    return output.decode()


class Operator:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}

    @property
    def nodes(self) -> list[Node]:
        return self.cluster.nodes

    async def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        return await run(program, *arguments, env=self.environment, stdin=stdin)

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return await self.run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)

    async def get(self, *what: str) -> Object:
        found: Object = json.loads(await self.kubectl("get", *what, "-o", "json"))
        return found

    async def install(self, *more: str) -> str:
        return await self.run(
            *("helm", "upgrade", "--install", "nodeeni", str(CHART), "--namespace", NAMESPACE),
            *(
                "--create-namespace",
                "--values",
                str(self.cluster.values),
                "--wait",
                "--timeout",
                PATIENCE,
                *more,
            ),
        )

    async def uninstall(self) -> str:
        return await self.run("helm", "uninstall", "nodeeni", "--namespace", NAMESPACE, *WAIT)

    async def remove_all(self) -> None:
        """Whatever way it was installed."""
        if "nodeenis" in await self.kubectl("get", "crd", "-o", "name"):
            await self.delete()
        if "nodeeni" in (await self.run("helm", "list", "--namespace", NAMESPACE, "--short")).split():
            await self.uninstall()
        # What manifests made: all that has one of our names, the namespace with its pods to the end.
        manifest = str(ROOT / "deploy" / "install.yaml")
        await self.run("kubectl", "delete", "--ignore-not-found", f"--timeout={PATIENCE}", "-f", manifest)

    async def delete(self) -> None:
        """All NodeENIs: and then there is no ENI, and no link of one."""
        await self.kubectl("delete", "nodeenis", "--all", f"--timeout={PATIENCE}")
        assert self.enis() == []
        await self.agree()

    async def rollback(self) -> str:
        return await self.run("helm", "rollback", "nodeeni", "--namespace", NAMESPACE, *WAIT)

    async def until_ready(self, *names: str) -> None:
        nodes = [f"node/{name}" for name in names or [node.name for node in self.nodes]]
        await self.until_registered(*nodes)
        await self.kubectl("wait", "--for=condition=Ready", *nodes, f"--timeout={PATIENCE}")

    async def until_registered(self, *nodes: str) -> None:
        await until(lambda: self._are_there(nodes))

    async def _are_there(self, nodes: tuple[str, ...]) -> bool:
        try:
            await self.kubectl("get", *nodes)
        except Failed:
            return False
        return True

    async def apply(self, name: str = NAME, **spec: Any) -> None:
        whole = {
            "nodeSelector": NODE_LABELS,
            "subnetIDs": [SUBNET, OTHER_SUBNETS["b"]],
            "securityGroupIDs": [SECURITY_GROUP],
            "deviceIndex": 2,
            "mtu": 9001,
            "interfaceName": "data0",
            **spec,
        }
        nodeeni = {
            "apiVersion": "networking.k8s.aws/v1alpha1",
            "kind": "NodeENI",
            "metadata": {"name": name},
            "spec": whole,
        }
        await self.kubectl("apply", "-f", "-", stdin=json.dumps(nodeeni))

    async def until_up(self, count: int, name: str = NAME) -> None:
        """Attached in EC2 and up in the kernels, as the NodeENI's status says."""
        await self.kubectl(
            *(
                "wait",
                f"nodeeni/{name}",
                f"--for=jsonpath={{.status.linksUp}}={count}",
                f"--timeout={PATIENCE}",
            )
        )

    async def is_up(self, count: int, name: str = NAME) -> bool:
        return bool((await self.get("nodeeni", name)).get("status", {}).get("linksUp") == count)

    # What is there

    def enis(self, node: Node | None = None) -> list[Interface]:
        """Those of EC2 that are no node's primary, attached to `node` if one is named."""
        found = self.cluster.world.ec2.secondary_interfaces()
        if node is None:
            return found
        return [i for i in found if i.attachment and i.attachment.instance_id == node.instance_id]

    def attached(self) -> dict[str, str]:
        """ENI → attachment: what is the same after anything that is not to touch ENIs."""
        return {i.id: i.attachment.id if i.attachment else "" for i in self.enis()}

    def changing_calls(self) -> int:
        """How many EC2 has been asked for since the start, dry runs left out."""
        return len(self.changes())

    def changes(self) -> list[str]:
        """Their actions, in order."""
        return [
            call.action
            for call in self.cluster.world.ec2.calls
            if not call.action.startswith(("Describe", "Get")) and call.parameters.get("DryRun") != "true"
        ]

    async def has_more_than_two_enis(self) -> bool:
        return len(self.enis()) > 2

    async def pods(self, app: str, node: Node | None = None) -> list[Object]:
        """Those that are not going, on that node if one is named."""
        found: list[Object] = (await self.get("pods", "-l", f"app={app}"))["items"]
        staying = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in staying if node is None or pod["spec"].get("nodeName") == node.name]

    async def waits_for(self, app: str) -> set[str]:
        """The reasons for which containers of those pods have not started, as `kubectl get pods` has them."""
        statuses = [s for pod in await self.pods(app) for s in pod["status"].get("containerStatuses", [])]
        return {s["state"]["waiting"]["reason"] for s in statuses if "waiting" in s["state"]}

    async def leader(self) -> Object:
        """The pod of the controller that has the lease. ValueError where none has."""
        lease = await self.get("lease", "nodeeni-controller-leader-election")
        holder = lease["spec"]["holderIdentity"]
        (pod,) = (p for p in await self.pods("eni-controller") if holder.startswith(p["metadata"]["name"]))
        return pod

    async def has_a_leader(self) -> bool:
        return await self.has_another_leader("")

    async def has_another_leader(self, former: str) -> bool:
        try:
            return bool((await self.leader())["metadata"]["name"] != former)
        except ValueError:
            return False

    async def is_led_on(self, node: Node) -> bool:
        try:
            return await self.leaders_node() is node
        except (StopIteration, ValueError):
            return False

    def node(self, pod: Object) -> Node:
        return next(node for node in self.nodes if node.name == pod["spec"]["nodeName"])

    async def spread_controllers(self) -> None:
        """One on each of two nodes: the scheduler prefers that, and after a drain both may be on one."""
        first, second = await self.pods("eni-controller")
        if self.node(first) is self.node(second):
            await self.kubectl("cordon", self.node(first).name)
            await self.kubectl("delete", "pod", second["metadata"]["name"])
            await self.kubectl("rollout", "status", "deployment/eni-controller", f"--timeout={PATIENCE}")
            await self.kubectl("uncordon", self.node(first).name)

    async def leaders_node(self) -> Node:
        return self.node(await self.leader())

    async def every_link_has(self, *, mtu: int) -> bool:
        """In the kernels: those of all ENIs."""
        links = [link for node in self.nodes for link in (await self.links(node)).values()]
        return all(link["mtu"] == mtu for link in links)

    async def memory(self, pod: Object) -> int:
        """The working set in bytes, as its kubelet reports it."""
        path = f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary"
        summary = json.loads(await self.kubectl("get", "--raw", path))
        (of_pod,) = (p for p in summary["pods"] if p["podRef"]["uid"] == pod["metadata"]["uid"])
        return int(of_pod["memory"]["workingSetBytes"])

    async def reports_anew(self, node: Node, former: str) -> bool:
        """The node's ENI manager says of its links that they are up, in an ENINode that is not `former`."""
        try:
            eninode = await self.get("eninode", node.name)
        except Failed:
            return False
        links = eninode.get("status", {}).get("interfaces", [])
        up = bool(links) and all(link["state"] == "Up" for link in links)
        return up and eninode["metadata"]["uid"] != former

    async def links_are_up(self, node: Node) -> bool:
        """In its kernel: those of its ENIs."""
        links = await self.links(node)
        return len(links) == len(self.enis(node)) and all("UP" in link["flags"] for link in links.values())

    async def links(self, node: Node) -> dict[str, Object]:
        """The node's physical links by MAC address, its primary left out."""
        ec2 = self.cluster.world.ec2
        primary = min(ec2.interfaces_of(node.instance_id), key=lambda i: i.attachment.device_index)  # type: ignore[union-attr]
        links = await self.cluster.machines().links(node.instance_id)
        physical = [link for link in links if "parentbus" in link or link.get("parentdev")]
        return {link["address"]: link for link in physical if link["address"] != primary.mac}

    async def agree(self) -> None:
        """EC2 and the kernels have the same: each ENI is a link of its node, up; there is no other."""
        for node in self.nodes:
            links = await self.links(node)
            assert sorted(links) == sorted(eni.mac for eni in self.enis(node)), (
                node.name,
                links,
                self.enis(node),
            )
            assert all("UP" in link["flags"] for link in links.values()), links

    async def doctor(self) -> list[str]:
        """What it prints in the controller's pod; it ends with 0 only where nothing is wrong."""
        command = ("exec", "deploy/eni-controller", "--", "nodeeni", "doctor")
        try:
            lines = (await self.kubectl(*command)).splitlines()
        except Failed as error:
            return [line for line in str(error).splitlines() if line.startswith(("✓", "!", "✗"))]
        assert not any(line.startswith("✗") for line in lines), lines
        return lines


def restarts(pod: Object) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


async def until(holds: Any, timeout: float = 600.0) -> None:
    async with asyncio.timeout(timeout):
        while not await holds():  # noqa: ASYNC110  it is another machine
            await asyncio.sleep(0.3)


@asynccontextmanager
async def timed(what: str) -> AsyncIterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:6.1f} s  {what}")
