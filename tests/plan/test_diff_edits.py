"""Edits of a live NodeENI: in place, by replacing, or not at all where that cannot be."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import (
    GROUP,
    PRIMARY,
    SECOND_GROUP,
    SECOND_SUBNET,
    attachment,
    instance,
    interface,
    nodeeni,
    other,
    plan,
    texts,
)

from nodeeni.ec2.types import InstanceSlot
from nodeeni.plan.actions import Detach
from nodeeni.plan.rows import State

ATTACHED = interface(attached=attachment(2))


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({"delete_on_termination": False}, ["set DeleteOnTermination of eni-1 to false"]),
        ({"security_group_ids": [SECOND_GROUP.id]}, ["set the security groups of eni-1 to sg-2"]),
        ({"description": "new"}, ["set the description of eni-1 to 'new'"]),
        ({"source_dest_check": False}, ["set the source/destination check of eni-1 to false"]),
        ({"tags": {"team": "x"}}, ["tag eni-1 with nodeeni.networking.k8s.aws/tags=team, team=x"]),
        ({"mtu": 9001, "interface_name": "net1"}, []),
        ({"device_index": 3}, ["detach eni-1: it moves to index 3"]),
        (
            {"subnet_id": SECOND_SUBNET.id},
            ["detach eni-1: it is replaced, since subnet-a is none of the subnets that fit the NodeENI now"],
        ),
        ({"device_index": 1, "device_index_policy": "NextFree"}, []),
        (
            {"device_index": 3, "device_index_policy": "NextFree"},
            ["detach eni-1: it moves to index 3"],
        ),
    ],
)
def test_an_edit_is_applied_in_place_or_by_replacing(spec: dict[str, Any], asked: list[str]) -> None:
    assert texts(plan(nodeeni(**spec), having=[ATTACHED]).actions) == asked


def test_the_order_of_groups_is_no_difference() -> None:
    made = msgspec.structs.replace(ATTACHED, group_ids=(SECOND_GROUP.id, GROUP.id))
    assert plan(nodeeni(security_group_ids=[GROUP.id, SECOND_GROUP.id]), having=[made]).actions == ()


def test_an_extra_tag_that_was_taken_out_is_removed_and_somebody_elses_stays() -> None:
    """First the tag goes, then the list that names it: a crash in between loses nothing."""
    listed = {"team": "x", "cost": "y", "nodeeni.networking.k8s.aws/tags": "cost,team", "theirs": "z"}
    made = interface(attached=attachment(2), tags=listed)
    found = plan(nodeeni(tags={"team": "x"}), having=[made])
    assert texts(found.actions) == ["remove the tags cost from eni-1"]
    without = interface(attached=attachment(2), tags={k: v for k, v in listed.items() if k != "cost"})
    assert texts(plan(nodeeni(tags={"team": "x"}), having=[without]).actions) == [
        "tag eni-1 with nodeeni.networking.k8s.aws/tags=team"
    ]


def test_without_extra_tags_the_list_goes_too() -> None:
    made = interface(attached=attachment(2), tags={"team": "x", "nodeeni.networking.k8s.aws/tags": "team"})
    assert texts(plan(nodeeni(), having=[made]).actions) == [
        "remove the tags nodeeni.networking.k8s.aws/tags, team from eni-1"
    ]


@pytest.mark.parametrize(
    ("spec", "changes", "reason"),
    [
        ({"device_index": 3}, {"of": instance(slots=(PRIMARY, other(3)))}, "DeviceIndexTaken"),
        ({"network_card_index": 1}, {}, "NoSuchNetworkCard"),
        ({"device_index": 3}, {"full": True}, "InstanceFull"),
        (
            {"subnet_id": SECOND_SUBNET.id},
            {"avoided_subnets": frozenset({SECOND_SUBNET.id})},
            "SubnetFull",
        ),
        ({"subnet_id": "subnet-none"}, {}, "SubnetNotFound"),
        ({"security_group_ids": ["sg-none"]}, {}, "SecurityGroupNotFound"),
    ],
)
def test_an_edit_that_cannot_be_had_keeps_what_works(
    spec: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    found = plan(nodeeni(**spec), having=[ATTACHED], **changes)
    assert (found.actions, [refusal.reason for refusal in found.refusals]) == ((), [reason])
    assert [(row.state, row.interface) for row in found.rows] == [(State.FAILED, ATTACHED)]


def test_on_a_full_instance_a_replacement_takes_its_own_place() -> None:
    slots = (PRIMARY, other(4), other(5), InstanceSlot("eni-1", 2, 0, "attached"))
    found = plan(nodeeni(device_index=3), having=[ATTACHED], of=instance(slots=slots))
    assert texts(found.actions) == ["detach eni-1: it moves to index 3"]


def test_two_that_swap_their_indices_both_leave() -> None:
    one = interface("eni-1", owner="one", attached=attachment(1))
    two = interface("eni-2", owner="two", attached=attachment(2, id="eni-attach-2"))
    found = plan(nodeeni("one", device_index=2), nodeeni("two", device_index=1), having=[one, two])
    assert [(type(a), a.target) for a in found.actions] == [(Detach, "eni-1"), (Detach, "eni-2")]
