"""What the controller is killed in the midst of: the ways in which an interface comes, changes and goes.

`before` brings the world into a state that is not right any more; a controller then has to make it so.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from msgspec import structs
from tests.faults.situation import LABELS, NAME, Situation

from nodeeni.api.core import ZONE_LABEL
from nodeeni.sandbox.ec2 import LaunchInterface
from nodeeni.sandbox.world import OTHER_SUBNETS, SUBNET

LEASED = ("--enable-leader-election", "--lease-duration=2s")
Step = Callable[[Situation], Awaitable[None]]


@dataclass(frozen=True)
class Journey:
    """`most_made`: how many interfaces may be made in all, the retries of a killed Create included. `then`:
    what happens while a controller is at work, also one that comes after the one that was killed.
    """

    name: str
    before: Step
    most_made: int
    flags: tuple[str, ...] = ()
    then: Step | None = None


async def _applied(at: Situation) -> None:
    node = await at.node()
    at.plant_cni(node)
    at.apply()
    at.plant_look_alike(NAME, node.name)


async def _launched(at: Situation) -> None:
    """Two nodes whose launch template brought the ENI, which share a call, and one that nobody marked."""
    spec = at.apply(adoption="LaunchTime")["spec"]
    asked = LaunchInterface(
        subnet=at.world.subnets["a"],
        device_index=spec["deviceIndex"],
        group_ids=tuple(spec["securityGroupIDs"]),
        description=spec["description"],
        tags={"node.k8s.amazonaws.com/no_manage": "true"},
    )
    unmarked = structs.replace(asked, device_index=spec["deviceIndex"] + 1, tags={})
    for _ in range(2):
        node, registration = at.world.launch(type="m5.4xlarge", labels=LABELS, brought=[asked, unmarked])
        at.kube.create(registration)
        at.foreign += at.ec2.interfaces_of(node.instance_id)[-1:]


async def _attached(at: Situation) -> None:
    await _applied(at)
    async with await at.start():
        await at.until_right()


async def _label_removed(at: Situation) -> None:
    await _attached(at)
    for node in at.world.nodes:
        at.world.label(node, **dict.fromkeys(LABELS))


async def _deleted(at: Situation) -> None:
    await _attached(at)
    at.delete()


async def _edited(at: Situation) -> None:
    group = at.ec2.add_security_group(at.world.vpc)
    await _attached(at)
    at.apply(securityGroupIDs=[group.id], description="edited", deleteOnTermination=False, tags={"a": "b"})


async def _replaced(at: Situation) -> None:
    other = at.ec2.add_subnet(at.world.vpc, "a", "10.20.0.0/16")
    await _attached(at)
    at.apply(subnetID=other.id)


async def _terminated(at: Situation) -> None:
    await _applied(at)
    at.apply(deleteOnTermination=False)
    async with await at.start():
        await at.until_right()
    for node in at.world.nodes.values():
        at.ec2.terminate(node.instance_id)


_SUBNETS = [SUBNET, OTHER_SUBNETS["b"]]


async def _stands(at: Situation) -> None:
    await at.node()
    at.apply(subnetID=None, subnetIDs=_SUBNETS)
    async with await at.start():
        await at.until_right()


async def _joins(at: Situation) -> None:
    """A node whose zone label lies, once the controller has looked at all that stood."""
    at.apply(subnetID=None, subnetIDs=_SUBNETS, description="seen")
    ours = partial(at.ec2.interfaces, NodeENI=NAME)
    await at.until(lambda: any(each.description == "seen" for each in ours()), timeout=100)
    _, registration = at.world.launch(type="m5.4xlarge", labels=LABELS)
    registration["metadata"]["labels"][ZONE_LABEL] = "us-west-2b"
    at.kube.create(registration)


JOURNEYS = {
    journey.name: journey
    for journey in (
        Journey("a NodeENI is applied", _applied, 1),
        Journey("a NodeENI is applied, by a leader", _applied, 1, LEASED),
        Journey("ENIs that came with the launch are taken over", _launched, 0),
        Journey("the label is removed", _label_removed, 1),
        Journey("the NodeENI is deleted", _deleted, 1),
        Journey("the NodeENI is edited in place", _edited, 1),
        Journey("the NodeENI moves to another subnet", _replaced, 2),
        Journey("a node joins and its zone label lies", _stands, 3, then=_joins),
        Journey("the instance is terminated and its ENI survives it", _terminated, 1),
    )
}
