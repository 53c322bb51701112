"""`nodeeni doctor` in the controller's pod: a thing is broken, and its line says so, until it is mended."""

import json
from collections.abc import Awaitable, Callable

import pytest
from tests.cluster.operator import Object, Operator

from nodeeni.api.names import interface_tags
from nodeeni.sandbox.world import SUBNET

pytestmark = pytest.mark.asyncio(loop_scope="session")

CRD = "crd/eninodes.networking.k8s.aws"
ROLE = "clusterrole/eni-controller-role"
Mend = Callable[[], Awaitable[object]]


async def no_right(operator: Operator) -> Mend:
    """It may not patch NodeENIs' statuses."""
    role = await operator.get(ROLE)
    rules = [rule for rule in role["rules"] if "nodeenis/status" not in rule["resources"]]
    assert rules != role["rules"]
    return await replaced(operator, ROLE, {**role, "rules": rules})


async def old_definition(operator: Operator) -> Mend:
    found = await operator.get(CRD)
    version = {**found["spec"]["versions"][0], "additionalPrinterColumns": []}
    return await replaced(operator, CRD, {**found, "spec": {**found["spec"], "versions": [version]}})


async def replaced(operator: Operator, name: str, changed: Object) -> Mend:
    """Mended by what was there before."""
    former = await operator.get(name)
    await operator.kubectl("replace", "-f", "-", stdin=json.dumps(changed))
    del former["metadata"]["resourceVersion"]

    async def mend() -> None:
        await operator.kubectl("replace", "-f", "-", stdin=json.dumps(former))

    return mend


async def no_action_of_iam(operator: Operator) -> Mend:
    faults = operator.cluster.world.ec2.faults
    faults.error("AttachNetworkInterface", "UnauthorizedOperation", message="no", times=None)

    async def mend() -> None:
        faults.clear()

    return mend


async def no_credentials(operator: Operator) -> Mend:
    faults = operator.cluster.world.ec2.faults
    faults.error("GetCallerIdentity", "ExpiredToken", message="The token is expired", times=None)

    async def mend() -> None:
        faults.clear()

    return mend


async def an_orphan(operator: Operator) -> Mend:
    """Free, of a NodeENI that is no more: younger than what the controller sweeps."""
    world, node = operator.cluster.world, operator.nodes[0]
    namespace = await operator.get("namespace", "kube-system")
    uid = namespace["metadata"]["uid"]
    tags = interface_tags(
        cluster_id=uid, nodeeni="gone", uid="u-gone", node=node.name, instance_id=node.instance_id
    )
    orphan = world.ec2.plant_interface(world.subnets["a"], group_ids=[world.group.id], tags=tags)
    assert orphan.subnet_id == SUBNET

    async def mend() -> None:
        world.ec2.remove_interface(orphan.id)

    return mend


BREAKS: dict[str, Callable[[Operator], Awaitable[Mend]]] = {
    "✗ RBAC: grant in a ClusterRole: patch nodeenis.networking.k8s.aws/status": no_right,
    "✗ eninodes.networking.k8s.aws: is not that of this version": old_definition,
    "✗ IAM, changing: grant ec2:AttachNetworkInterface to arn:aws:iam::": no_action_of_iam,
    "✗ AWS credentials: ExpiredToken: The token is expired: give the controller a role": no_credentials,
    "✗ ENIs without a NodeENI: eni-": an_orphan,
}


async def test_what_is_broken_has_a_line_of_its_own_until_it_is_mended(operator: Operator) -> None:
    for told, broken in BREAKS.items():
        mend = await broken(operator)
        lines = await operator.doctor()
        await mend()
        assert [line[: len(told)] for line in lines if line.startswith("✗")] == [told], lines
    assert {line[0] for line in await operator.doctor()} == {"✓"}
