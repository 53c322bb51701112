"""Each field of a NodeENI that EC2 holds: made with it, edited, taken out, and killed in the midst of that.

What EC2 has in the end is held against the spec by `right.py`, which knows nothing of how the controller
works.
"""

from collections import Counter
from pathlib import Path

import pytest
from tests.faults.fields import CREATE, DUAL_STACK, FIELDS, SECOND_GROUP, SECOND_SUBNET, Calls, Field, Spec
from tests.faults.journeys import Journey
from tests.faults.kills import kill_everywhere, record
from tests.faults.points import Point
from tests.faults.processes import Zygote
from tests.faults.situation import LABELS, NAME, Situation, lagging, situated

from nodeeni.api.names import GROUP
from nodeeni.ec2.types import Action
from nodeeni.sandbox.world import SUBNET

BY_NAME = {each.name: each for each in FIELDS}


async def prepared(at: Situation, field: Field) -> None:
    """A node, and what the field's values name."""
    at.ec2.add_security_group(at.world.vpc, id=SECOND_GROUP)
    zone = at.ec2.account.subnets[SUBNET].zone
    at.ec2.add_subnet(at.world.vpc, zone, "10.20.0.0/16", id=SECOND_SUBNET)
    at.ec2.add_subnet(at.world.vpc, zone, "10.30.0.0/16", id=DUAL_STACK, ipv6_cidr="2001:db8:30::/64")
    await at.world.add_node(type=field.type, labels=LABELS)


def edit(at: Situation, spec: Spec) -> None:
    at.kube.patch(GROUP, "nodeenis", NAME, {"spec": spec})


def journey(field: Field, step: str) -> Journey:
    """Up to the step, which is the controller's to do."""

    async def before(at: Situation) -> None:
        await prepared(at, field)
        at.apply(**field.first)
        for done, spec in (("edited", field.second), ("removed", field.without)):
            if step == "made":
                return
            async with await at.start():
                await at.until_right()
            edit(at, spec)
            if step == done:
                return

    return Journey(f"{field.name} {step}", before, most_made=1 + field.edited.get(CREATE, 0))


def changes(at: Situation) -> Counter[str]:
    """Calls that changed something, or tried to."""
    return Counter({action.value: at.ec2.calls.by_action[action] for action in Action})


@pytest.mark.parametrize("name", BY_NAME)
async def test_made_edited_and_taken_out(zygote: Zygote, tmp_path: Path, name: str) -> None:
    field = BY_NAME[name]
    async with situated(zygote, tmp_path, settings=lagging()) as at:
        await prepared(at, field)
        at.apply(**field.first)
        async with await at.start():
            await at.until_right()
            assert +changes(at) == _counted(field.made), "made"
            steps = (("edited", field.second, field.edited), ("removed", field.without, field.removed))
            for step, spec, calls in steps:
                so_far = changes(at)
                edit(at, spec)
                await at.until_right()
                assert changes(at) - so_far == _counted(calls), step


def _counted(calls: Calls) -> Counter[str]:
    return +Counter(calls)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("name", "step"), [(each.name, step) for each in FIELDS for step in each.killed])
async def test_killed_between_two_calls(zygote: Zygote, tmp_path: Path, name: str, step: str) -> None:
    played = journey(BY_NAME[name], step)
    points = await record(zygote, tmp_path / "clean", played)
    between = [point for point in points if _changes_ec2(point)]
    outcomes = await kill_everywhere(zygote, tmp_path, played, between)
    assert [outcome for outcome in outcomes if outcome.faults] == []


def _changes_ec2(point: Point) -> bool:
    return point.call.removeprefix("EC2 ") in set(Action)
