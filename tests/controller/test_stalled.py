"""What tools that wait are told: Reconciling while something is done, Stalled once only a person can help."""

import asyncio
from collections.abc import Callable

from .conftest import NAME, Stage

NOWHERE = "subnet-00000000000000000"
SOON = "--stalled-after=3s"


def kinds(stage: Stage, name: str = NAME) -> set[str]:
    return {entry["type"] for entry in stage.status(name).get("conditions", [])}


def fails_with(stage: Stage, reason: str) -> Callable[[], bool]:
    return lambda: stage.condition("Degraded").get("reason") == reason


async def test_one_that_only_a_person_can_mend_is_stalled_after_a_while_and_not_before(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(2)]
    stage.apply(subnetID=NOWHERE)
    async with stage.controller(SOON):
        await stage.until(fails_with(stage, "SubnetNotFound"))
        await stage.stays(lambda: "Stalled" not in kinds(stage), seconds=1.0)
        await stage.until(lambda: "Stalled" in kinds(stage))
        stalled, degraded = stage.condition("Stalled"), stage.condition("Degraded")
        assert (stalled["status"], stalled["reason"]) == ("True", "SubnetNotFound")
        assert stalled["message"] == degraded["message"], "the way out"
        assert kinds(stage) == {"Ready", "Progressing", "Degraded", "Stalled"}

        stage.apply(subnetID=stage.world.subnets["a"].id)
        await stage.until_attached(*nodes)
        await stage.until(lambda: kinds(stage) == {"Ready", "Progressing", "Degraded"})
        assert stage.condition("Ready")["status"] == "True"


async def test_what_is_on_its_way_is_reconciling(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.delay("AttachNetworkInterface", 1.0)
    stage.apply()
    async with stage.controller(SOON):
        await stage.until(lambda: "Reconciling" in kinds(stage))
        said, progressing = stage.condition("Reconciling"), stage.condition("Progressing")
        assert (said["status"], said["message"]) == ("True", progressing["message"])
        await stage.until_attached(node)
        await stage.until(lambda: "Reconciling" not in kinds(stage))
        assert stage.condition("Progressing")["status"] == "False"


async def test_what_may_pass_by_itself_on_one_node_keeps_all_from_being_stalled(stage: Stage) -> None:
    """One full instance, beside others where only a person can help: a tool that waits goes on waiting."""
    full = await stage.node(type="t3.micro")
    stage.ec2.vpc_cni_interface(stage.ec2.instance(full.instance_id), 1)
    await stage.node(zone="b")
    stage.apply(subnetName=None, subnetNames=None, subnetID=stage.world.subnets["a"].id)
    async with stage.controller("--stalled-after=300ms"):
        await stage.until(lambda: stage.status().get("failed") == 2)
        assert {row["reason"] for row in stage.status()["attachments"]} == {"InstanceFull", "NoSubnetInZone"}
        await stage.stays(lambda: "Stalled" not in kinds(stage), seconds=1.0)
        stage.world.label(full.name, ng=None)
        await stage.until(lambda: "Stalled" in kinds(stage))


async def test_a_restart_takes_nothing_back(stage: Stage) -> None:
    await stage.node()
    stage.apply(subnetID=NOWHERE)
    async with stage.controller("--stalled-after=100ms"):
        await stage.until(lambda: "Stalled" in kinds(stage))
    before = stage.world.nodeeni(NAME)
    async with stage.controller("--stalled-after=1h"):
        await asyncio.sleep(1.0)
        await stage.stays(lambda: stage.world.nodeeni(NAME) == before, seconds=1.0)


async def test_an_edit_that_is_wrong_too_is_given_its_time(stage: Stage) -> None:
    await stage.node()
    stage.apply(subnetID=NOWHERE)
    async with stage.controller(SOON):
        await stage.until(lambda: "Stalled" in kinds(stage))
        stage.apply(subnetID="subnet-00000000000000001")
        await stage.until(lambda: "Stalled" not in kinds(stage))
        await stage.until(lambda: "subnet-00000000000000001" in stage.condition("Degraded")["message"])
        await stage.stays(lambda: "Stalled" not in kinds(stage), seconds=0.5)
        await stage.until(lambda: "Stalled" in kinds(stage))
