"""Programs of others that look at that cluster, as its clients: kube-state-metrics, Prometheus, the Node
Readiness Controller. Only with `make neighbourstest`."""

import asyncio
import contextlib
import json
import os
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hack.apiserver.processes import start_program
from tests.cluster.operator import PATIENCE, ROOT, Operator, timed, until
from tests.monitoring.prometheus import running
from tests.ports import free_port

PROGRAMS = ("NODEENI_NEIGHBOURS", "NODEENI_PROMETHEUS", "NODEENI_READINESS_CONTROLLER")
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(
        any(not os.environ.get(name) for name in PROGRAMS), reason="programs of others: make neighbourstest"
    ),
]


IN_DEFAULT = ("--namespace", "default")
RULES_TAINT = "readiness.k8s.io/nodeenis=pending:NoSchedule"


def place(name: str) -> Path:
    """Of the neighbour whose folder begins so."""
    (found,) = Path(os.environ["NODEENI_NEIGHBOURS"]).glob(f"{name}-*")
    return found


@pytest.fixture
def parts() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


async def test_kube_state_metrics_tells_of_a_nodeeni(
    operator: Operator, parts: contextlib.ExitStack, tmp_path: Path
) -> None:
    port = free_port()
    start_program(
        *(parts, tmp_path, str(place("kube-state-metrics") / "kube-state-metrics")),
        f"--kubeconfig={operator.cluster.kubeconfig}",
        f"--custom-resource-state-config-file={ROOT / 'examples' / 'monitoring' / 'kube-state-metrics.yaml'}",
        *("--custom-resource-state-only", f"--port={port}", f"--telemetry-port={free_port()}"),
    )
    found: list[str] = []

    async def tells() -> bool:
        with contextlib.suppress(OSError):
            found[:] = await asyncio.to_thread(samples, f"http://127.0.0.1:{port}/metrics")
        return bool(found)

    await until(tells)
    counts = {line.partition("{")[0]: line.split()[-1] for line in found if "_condition{" not in line}
    assert counts == {f"kube_nodeeni_{name}": "2" for name in ("desired", "attached", "links_up")}
    (ready,) = (line for line in found if 'type="Ready"' in line)
    assert 'reason="AllAttached"' in ready
    assert ready.endswith(" 1")


def samples(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [line for line in answer.read().decode().splitlines() if line.startswith("kube_nodeeni_")]


@contextlib.asynccontextmanager
async def forwarded(operator: Operator, pod: str, port: int) -> AsyncIterator[int]:
    """A port of this machine that leads to one of a pod, by kubectl."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "-n", "eni-controller-system", "port-forward", f"pod/{pod}", f":{port}"),
        env=operator.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = (await process.stdout.readline()).decode()
    try:
        yield int(told.partition("127.0.0.1:")[2].split()[0])
    finally:
        process.terminate()
        await process.communicate()


async def test_prometheus_scrapes_the_pods_of_both_programs(operator: Operator, tmp_path: Path) -> None:
    leader = (await operator.leader())["metadata"]["name"]
    (manager,) = await operator.pods("eni-manager", operator.nodes[0])
    async with (
        forwarded(operator, leader, 8080) as controllers,
        forwarded(operator, manager["metadata"]["name"], 9811) as managers,
        running(tmp_path, free_port(), {"controller": controllers, "manager": managers}) as prometheus,
    ):
        await prometheus.comes_up()

        async def value(expression: str) -> list[float]:
            return [series.points[-1][1] for series in await prometheus.query(expression)]

        async def both_are_up() -> bool:
            return await value("sum(up)") == [2.0]

        await until(both_are_up)

        async def has_counted() -> bool:
            return await value('sum(nodeeni_attachments{state="attached"})') == [2.0]

        await until(has_counted)
        assert await value('nodeeni_agent_link_changes_total{aspect="up"} >= 1') != []
        assert await value('ALERTS{alertstate="firing"}') == []


def pod(name: str) -> str:
    """It sleeps."""
    command = ["/usr/bin/python3.11", "-c", "import time; time.sleep(100000)"]
    container = {"name": "app", "image": "localhost/nodeeni:tree", "command": command}
    spec = {
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    metadata = {"name": name, "namespace": "default"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


async def is_ready(operator: Operator, name: str) -> None:
    await operator.run(
        *("kubectl", "wait", *IN_DEFAULT, f"pod/{name}", "--for=condition=Ready", f"--timeout={PATIENCE}")
    )


async def until_gone(operator: Operator) -> None:
    """All pods of the namespace `default`."""
    await operator.run("kubectl", "delete", *IN_DEFAULT, "pods", "--all", f"--timeout={PATIENCE}")


async def test_a_pod_runs_where_the_node_readiness_controller_lets_it(
    bare: Operator, parts: contextlib.ExitStack, tmp_path: Path
) -> None:
    """Its rule of examples/ holds a new node back until the link is up; kubelet then runs the pod."""
    await bare.install("--set", "controller.settings.nodeCondition=true")
    folder = Path(os.environ["NODEENI_READINESS_CONTROLLER"])
    await bare.run("kubectl", "apply", "-f", str(folder / "crd.yaml"))
    await bare.run("kubectl", "wait", "--for=condition=Established", "-f", str(folder / "crd.yaml"))
    faults = bare.cluster.world.ec2.faults
    faults.error("CreateNetworkInterface", "RequestLimitExceeded", times=None)
    await bare.apply()
    for node in bare.nodes:
        await bare.kubectl("wait", "node", node.name, "--for=condition=NodeENIsReady=False", "--timeout=60s")
        # As its kubelet would by --register-with-taints.
        await bare.kubectl("taint", "node", node.name, RULES_TAINT)
    program, config = str(folder / "node-readiness-controller"), f"--kubeconfig={bare.cluster.kubeconfig}"
    start_program(parts, tmp_path, program, config, "--health-probe-bind-address=0")
    await bare.run("kubectl", "apply", "-f", "examples/readiness/node-readiness-rule.yaml")
    await bare.run("kubectl", "apply", "-f", "-", stdin=pod("waits"))

    async def is_told_to_wait() -> bool:
        found = await bare.get(*IN_DEFAULT, "pod", "waits")
        told = {c["type"]: c.get("message", "") for c in found["status"].get("conditions", ())}
        return "untolerated taint" in told.get("PodScheduled", "")

    await until(is_told_to_wait)
    async with timed("EC2 gives ENIs again, until the pod that waited for one runs"):
        faults.clear()
        await is_ready(bare, "waits")
    ran_on = bare.node(await bare.get(*IN_DEFAULT, "pod", "waits"))
    assert len(bare.enis(ran_on)) == 1
    assert await bare.links_are_up(ran_on)
    await bare.until_up(2)
    await bare.agree()
    await bare.run("kubectl", "delete", "-f", "examples/readiness/node-readiness-rule.yaml")
    await until_gone(bare)
    await bare.delete()
