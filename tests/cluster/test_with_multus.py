"""Multus, thick, in that cluster by its own manifest: pods on two nodes meet over their nodes' ENIs. Only
with `make neighbourstest`."""

import ipaddress
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from hack.cluster.nodes import Node
from tests.cluster.operator import PATIENCE, Object, Operator, timed, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(
        not os.environ.get("NODEENI_NEIGHBOURS"), reason="programs of others: make neighbourstest"
    ),
]

VERSION = "v4.3.0"
OWN_FILE = "/etc/cni/net.d/00-multus.conf"
HELD = "/var/lib/cni/networks/pods"  # by host-local
PYTHON = "/usr/bin/python3.11"
MUCH = 1 << 20  # bytes: packets as large as the link takes
SERVE = f"""
import socket
server = socket.create_server(("", 9000))
while True:
    with server.accept()[0] as connection:
        connection.sendall(bytes({MUCH}))
"""
FETCH = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000), timeout=60)
count = 0
while data := connection.recv(65536):
    count += len(data)
print(count, connection.getsockname()[0])
"""
IN_DEFAULT = ("--namespace", "default")


def multus(operator: Operator) -> str:
    """Its manifest, with the image of these nodes."""
    (folder,) = Path(os.environ["NODEENI_NEIGHBOURS"]).glob(f"multus-{VERSION}")
    documents = list(yaml.safe_load_all((folder / "multus-daemonset-thick.yml").read_text()))
    (daemon_set,) = (document for document in documents if document["kind"] == "DaemonSet")
    pod = daemon_set["spec"]["template"]["spec"]
    for container in (*pod["containers"], *pod["initContainers"]):
        container["image"] = f"localhost/multus-cni:{VERSION}-thick"
    return yaml.safe_dump_all(documents)


@pytest_asyncio.fixture(loop_scope="session")
async def with_multus(bare: Operator) -> AsyncIterator[Operator]:
    """Our release writes CNI files where Multus looks networks up, and Multus is each node's CNI plugin."""
    await bare.install("--set", "manager.podNetwork.confDir=/etc/cni/multus/net.d")
    await bare.cluster.load(Path(os.environ["NODEENI_NEIGHBOURS"], f"multus-{VERSION}", "image.tar"))
    await bare.run("kubectl", "apply", "-f", "-", stdin=multus(bare))
    rollout = ("rollout", "status", "daemonset/kube-multus-ds", f"--timeout={PATIENCE}")
    async with timed("kubectl apply of Multus' manifest, until it is each node's CNI plugin"):
        await bare.run("kubectl", "--namespace", "kube-system", *rollout)
        for node in bare.nodes:
            await node.run(f"until [ -s {OWN_FILE} ]; do sleep 0.2; done")
    yield bare
    await bare.run("kubectl", "delete", "-f", "-", f"--timeout={PATIENCE}", stdin=multus(bare))
    for node in bare.nodes:
        await node.run(f"rm -f {OWN_FILE}")


def pod(node: Node) -> Object:
    """It serves to whom connects."""
    container = {"name": "app", "image": "localhost/nodeeni:tree", "command": [PYTHON, "-c", SERVE]}
    spec = {
        "nodeName": node.name,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    metadata = {"name": f"on-{node.name}", "annotations": {"k8s.v1.cni.cncf.io/networks": "pods"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def test_pods_of_two_nodes_meet_over_their_enis(with_multus: Operator) -> None:
    operator = with_multus
    await operator.kubectl("apply", "-f", "examples/pods.yaml")
    await operator.kubectl("wait", "nodeeni/pods", "--for=condition=Ready", f"--timeout={PATIENCE}")
    definitions = await operator.run("nodeeni", "nad", "pods")
    definition, *_ = yaml.safe_load_all(definitions)
    pods = [pod(node) for node in operator.nodes]
    async with timed("two pods with the annotation applied, until both are Ready"):
        applied = yaml.safe_dump_all([definition, *pods])
        await operator.run("kubectl", "apply", *IN_DEFAULT, "-f", "-", stdin=applied)
        await operator.run(
            *(
                "kubectl",
                "wait",
                *IN_DEFAULT,
                "pods",
                "--all",
                "--for=condition=Ready",
                f"--timeout={PATIENCE}",
            )
        )

    addresses = [await address_on_eni(operator, node) for node in operator.nodes]
    for node, (mine, other) in zip(operator.nodes, (addresses, addresses[::-1]), strict=True):
        command = ("exec", *IN_DEFAULT, f"on-{node.name}", "--", PYTHON, "-c", FETCH, other)
        assert (await operator.run("kubectl", *command)).split() == [str(MUCH), mine]
    told = await operator.doctor()
    seen = f"✓ Multus: {VERSION[1:]} (kube-system/kube-multus-ds), with /etc/cni/multus/net.d"
    assert [line[: len(seen)] for line in told if "Multus" in line] == [seen], told

    await operator.run("kubectl", "delete", *IN_DEFAULT, "pods", "--all", f"--timeout={PATIENCE}")
    for node in operator.nodes:
        await until(lambda: holds_nothing(node))  # noqa: B023
    await operator.delete()


async def address_on_eni(operator: Operator, node: Node) -> str:
    """Of the node's pod, as Multus tells it; it has to be one of the prefixes of the node's ENI."""
    found = await operator.get(*IN_DEFAULT, "pod", f"on-{node.name}")
    statuses = json.loads(found["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"])
    (status,) = (each for each in statuses if each["interface"] == "net1")
    (eni,) = operator.enis(node)
    assert status["mac"] == eni.mac
    (address,) = status["ips"]
    assert any(
        ipaddress.ip_address(address) in ipaddress.ip_network(prefix) for prefix in eni.ipv4_prefixes
    ), (address, eni.ipv4_prefixes)
    return str(address)


async def holds_nothing(node: Node) -> bool:
    held = await node.run(f"ls {HELD}")
    return [name for name in held.split() if name[0].isdigit()] == []
