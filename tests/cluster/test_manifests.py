"""Without Helm: the one file, and v1.1.0's files over what v1.1.0 installed, with its ENIs attached."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.operator import PATIENCE, ROOT, Operator, timed
from tests.controller.conftest import NAME
from tests.deploy.conftest import container
from tests.deploy.real import NAMESPACE, v1_daemon_set, v1_deployment
from tests.upgrade.old import V1_1_0

from nodeeni.api.names import GROUP
from nodeeni.sandbox.world import OTHER_SUBNETS, SUBNET, WorldNode

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKLOADS = ("deployment/eni-controller", "daemonset/eni-manager")
Object = dict[str, Any]


def named(operator: Operator, *files: str) -> str:
    """With this tree's image, and where AWS is."""
    values = yaml.safe_load(operator.cluster.values.read_text())
    documents = [d for file in files for d in yaml.safe_load_all(Path(ROOT, "deploy", file).read_text()) if d]
    for document in documents:
        if document["kind"] in ("Deployment", "DaemonSet"):
            (pod,) = document["spec"]["template"]["spec"]["containers"]
            pod["image"] = f"{values['image']['repository']}:{values['image']['tag']}"
            if document["kind"] == "Deployment":
                pod["env"] += values["controller"]["env"]
    return yaml.safe_dump_all(documents)


async def rolled_out(operator: Operator) -> None:
    for workload in WORKLOADS:
        await operator.kubectl("rollout", "status", workload, f"--timeout={PATIENCE}")


async def test_the_one_file(bare: Operator) -> None:
    async with timed("kubectl apply of deploy/install.yaml, until both are rolled out"):
        await bare.run("kubectl", "apply", "--server-side", "-f", "-", stdin=named(bare, "install.yaml"))
        await rolled_out(bare)
    await bare.apply()
    await bare.until_up(2)
    await bare.agree()
    told = await bare.doctor()
    assert {line[0] for line in told} == {"✓"}, told
    await bare.delete()
    await bare.remove_all()
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,validatingadmissionpolicies"
    left = await bare.run("kubectl", "get", kinds, "-o", "name")
    assert [name for name in left.split() if "eni" in name] == []


async def as_v1_1_0_left_it(operator: Operator) -> None:
    """Its workloads, whose image nobody has, and on each node an ENI that its NodeENI's status names."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    installed = yaml.safe_dump_all([namespace, v1_deployment(), v1_daemon_set()])
    await operator.kubectl("apply", "-f", "-", stdin=installed)
    await operator.kubectl("apply", "--server-side", "-f", "deploy/crds")
    await operator.apply(NAME)
    world = operator.cluster.world
    entries = []
    for node in operator.nodes:
        instance = world.ec2.instance(node.instance_id)
        zone = instance.zone[-1]
        subnet = world.subnets[zone]
        assert subnet.id in (SUBNET, *OTHER_SUBNETS.values())
        tags = V1_1_0.tags(WorldNode(node.name, node.instance_id), subnet.id)
        eni = world.ec2.plant_interface(
            subnet,
            description=f"ENI created by nodeeni-controller for node {node.name}",
            tags=tags,
            group_ids=[world.group.id],
            instance=instance,
            device_index=2,
        )
        await operator.cluster.machines().on_attached(node.instance_id, eni, subnet.cidr)
        assert eni.attachment is not None
        entries.append(
            {
                "nodeID": node.name,
                "instanceID": node.instance_id,
                "eniID": eni.id,
                "attachmentID": eni.attachment.id,
                "status": "attached",
                **V1_1_0.entry(eni, subnet.cidr),
            }
        )
    finalizers = ["nodeeni.networking.k8s.aws/finalizer"]
    kube = operator.cluster.control_plane.api
    kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": finalizers}})
    kube.patch(GROUP, "nodeenis", NAME, {"status": {"attachments": entries}}, subresource="status")


async def test_its_three_files_over_v1_1_0_keep_every_eni(bare: Operator) -> None:
    await as_v1_1_0_left_it(bare)
    before, former = bare.attached(), bare.changing_calls()
    async with timed("kubectl apply of v1.1.0's files over v1.1.0, until both links are told as up"):
        files = ("deployment.yaml", "eni-manager-daemonset.yaml")
        await bare.run("kubectl", "apply", "-f", "-", stdin=named(bare, *files))
        await rolled_out(bare)
        await bare.until_up(2, NAME)
    assert len(before) == 2
    assert bare.attached() == before
    assert bare.changes()[former:] == ["CreateTags"] * 2
    await bare.agree()
    manager = await bare.get("daemonset", "eni-manager")
    assert container(manager)["securityContext"]["privileged"] is False
    await bare.delete()
    await bare.remove_all()
