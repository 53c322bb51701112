"""What came with the instance's launch: whose it may be, a row each, and what is planned for it."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import (
    CLUSTER,
    GROUP,
    PRIMARY,
    SECOND_GROUP,
    SECOND_SUBNET,
    SUBNET,
    attachment,
    instance,
    interface,
    nodeeni,
    plan,
    states,
)

from nodeeni.api import names
from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import PodNetwork
from nodeeni.ec2.types import InstanceSlot, Interface
from nodeeni.plan.actions import Adopt, Create, SetTags
from nodeeni.plan.diff import Diff
from nodeeni.plan.rows import State

NO_MANAGE = {names.TAG_NO_MANAGE: "true", "launched-by": "template"}


def came(eni_id: str = "eni-l", index: int = 2, **changes: Any) -> Interface:
    """As a launch template brings it; `tags` are all that it has."""
    tags = changes.pop("tags", NO_MANAGE)
    given = {"attached": attachment(index), "description": "by the template", **changes}
    made = interface(eni_id, **given)
    return msgspec.structs.replace(made, tags=tags)


def slot(of: Interface, **changes: Any) -> InstanceSlot:
    at = of.attachment
    assert at is not None
    made = InstanceSlot(of.id, at.device_index, at.network_card_index, at.status, from_launch=True)
    return msgspec.structs.replace(made, **changes)


def planned(
    *launched: Interface, late: bool = False, having: tuple[Interface, ...] = (), **spec: Any
) -> Diff:
    """The plan of a NodeENI that adopts, on an instance with these; `late`: attached after the launch."""
    ours = [slot(each, from_launch=False) for each in having if each.attachment]
    machine = instance(slots=(PRIMARY, *ours, *(slot(each, from_launch=not late) for each in launched)))
    return plan(
        nodeeni(adoption="LaunchTime", **spec),
        having=having,
        of=machine,
        launched={each.id: each for each in launched},
    )


def test_one_that_fits_is_taken_over_by_the_tags_that_all_nodes_share() -> None:
    found = planned(came())
    (adopt,) = found.actions
    assert isinstance(adopt, Adopt)
    assert adopt.tags == {
        names.TAG_NODEENI: "multus",
        names.TAG_MANAGED_BY: names.CONTROLLER,
        names.TAG_NO_MANAGE: "true",
        names.TAG_CLUSTER: CLUSTER,
        names.TAG_UID: "uid-multus",
        names.TAG_ADOPTION: "LaunchTime",
    }
    assert (states(found.rows), found.refusals) == ({"multus": State.ATTACHING}, ())


def test_the_tags_of_its_node_follow_and_its_description_stays() -> None:
    (adopt,) = planned(came()).actions
    assert isinstance(adopt, Adopt)
    ours = msgspec.structs.replace(came(), tags={**NO_MANAGE, **adopt.tags})
    found = planned(having=(ours,))
    (tags,) = found.actions
    assert isinstance(tags, SetTags)
    assert tags.tags == {names.TAG_NAME: "nodeeni-multus-n1", names.TAG_NODE: "n1", names.TAG_INSTANCE: "i-1"}
    assert [(row.state, row.reason) for row in found.rows] == [(State.ATTACHED, None)]


def test_a_description_that_the_spec_has_is_given_to_it() -> None:
    ours = came(tags={**interface().tags, names.TAG_ADOPTION: "LaunchTime"})
    (modify,) = planned(having=(ours,), description="of the spec").actions
    assert "description" in modify.text


@pytest.mark.parametrize(
    ("changes", "spec", "point"),
    [
        ({"managed_by": "an AWS service"}, {}, "it is managed by an AWS service"),
        ({"tags": {}}, {}, "it lacks the tag node.k8s.amazonaws.com/no_manage=true"),
        (
            {"tags": {names.TAG_NO_MANAGE: "false"}},
            {},
            "it lacks the tag node.k8s.amazonaws.com/no_manage=true",
        ),
        ({"tags": {**NO_MANAGE, "node.k8s.amazonaws.com/instance_id": "i-1"}}, {}, "the VPC CNI made it"),
        ({"tags": {**NO_MANAGE, names.TAG_CLUSTER: "c-9"}}, {}, f"its tag {names.TAG_CLUSTER} is 'c-9'"),
        ({"tags": {**NO_MANAGE, names.TAG_CLUSTER: ""}}, {}, f"its tag {names.TAG_CLUSTER} is ''"),
        ({"tags": {**NO_MANAGE, names.TAG_NODEENI: "a"}}, {}, "its tag NodeENI is 'a'"),
        ({"tags": {**NO_MANAGE, names.TAG_UID: "uid-9"}}, {}, f"its tag {names.TAG_UID} is 'uid-9'"),
        ({"tags": {**NO_MANAGE, names.TAG_MANAGED_BY: "x"}}, {}, f"its tag {names.TAG_MANAGED_BY} is 'x'"),
        ({"kind": "efa"}, {}, "it is of type efa"),
        ({"attachment": attachment(status="detaching")}, {}, "it is detaching, and not attached"),
        ({"attachment": None}, {}, "it is not attached"),
        ({"attachment": attachment(delete_on_termination=False)}, {}, "it is not deleted with its instance"),
        ({"subnet_id": SECOND_SUBNET.id}, {}, "it is in subnet-a2, and the NodeENI's subnets are subnet-a"),
        ({"group_ids": (SECOND_GROUP.id,)}, {}, "its security groups are sg-2, and not sg-1"),
        ({"group_ids": (GROUP.id, SECOND_GROUP.id)}, {}, "its security groups are sg-1, sg-2, and not sg-1"),
        (
            {},
            {"secondary_private_ip_count": 2},
            "it has 0 secondary IPv4 addresses, and spec.secondaryPrivateIPCount is 2",
        ),
        (
            {"ipv4_prefixes": ("10.1.0.16/28",)},
            {"ipv4_prefix_count": 0},
            "it has 1 IPv4 prefix, and spec.ipv4PrefixCount is 0",
        ),
        (
            {"ipv6_addresses": ("2001:db8::1",), "primary_ipv6": True},
            {"enable_primary_ipv6": False},
            "it has a primary IPv6 address",
        ),
    ],
)
def test_one_that_does_not_fit_is_left_alone_and_says_at_which_point(
    changes: dict[str, Any], spec: dict[str, Any], point: str
) -> None:
    found_at = slot(came())
    there = msgspec.structs.replace(came(), **changes)
    machine = instance(slots=(PRIMARY, found_at))
    found = plan(nodeeni(adoption="LaunchTime", **spec), of=machine, launched={"eni-l": there})
    assert found.actions == ()
    (row,) = found.rows
    assert (row.state, row.reason) == (State.FAILED, RowReason.NOT_ADOPTED)
    assert row.message.startswith(f"eni-l is left alone: {point}")
    assert [why.message for why in found.refusals] == [row.message]


def test_one_that_was_attached_later_is_left_alone() -> None:
    found = planned(came(), late=True)
    (row,) = found.rows
    assert (found.actions, row.reason) == ((), RowReason.NOT_ADOPTED)
    assert "it was not attached within 60 s of its instance's launch" in row.message


def test_a_pod_network_needs_a_prefix_and_takes_more() -> None:
    few, more = came(), came(ipv4_prefixes=("10.1.0.16/28", "10.1.0.32/28"))
    (row,) = planned(few, pod_network=PodNetwork()).rows
    assert "it has 0 IPv4 prefixes, and spec.podNetwork needs 1" in row.message
    assert [type(action) for action in planned(more, pod_network=PodNetwork()).actions] == [Adopt]


def test_the_primary_one_is_never_taken_over() -> None:
    primary = msgspec.structs.replace(came("eni-primary", 0), description="")
    found = plan(
        nodeeni(adoption="LaunchTime", device_index=0),  # no API server lets that pass
        of=instance(slots=(slot(primary),)),
        launched={"eni-primary": primary},
    )
    (row,) = found.rows
    assert (found.actions, row.reason) == ((), RowReason.NOT_ADOPTED)
    assert "it is the primary interface" in row.message


@pytest.mark.parametrize("place", [(3, 0), (2, 1), (1, 0)])
def test_one_at_another_index_or_card_is_none_of_it(place: tuple[int, int]) -> None:
    index, card = place
    at = msgspec.structs.replace(attachment(index), network_card_index=card)
    assert [type(action) for action in planned(came(attached=at)).actions] == [Create]


def test_where_nothing_came_one_is_made() -> None:
    assert [type(action) for action in planned().actions] == [Create]


def test_with_never_nothing_is_taken_over_and_the_index_is_taken() -> None:
    machine = instance(slots=(PRIMARY, slot(came())))
    found = plan(nodeeni(), of=machine, launched={"eni-l": came()})
    assert (found.actions, [row.reason for row in found.rows]) == ((), [RowReason.DEVICE_INDEX_TAKEN])


def test_next_free_takes_the_lowest_that_fits_and_passes_over_those_of_others() -> None:
    cni = came("eni-cni", 2, tags={"node.k8s.amazonaws.com/instance_id": "i-1"})
    misfit = came("eni-misfit", 3, group_ids=(SECOND_GROUP.id,))
    found = planned(cni, misfit, came("eni-fits", 4), device_index_policy="NextFree")
    assert [action.target for action in found.actions] == ["eni-fits"]
    # Where the VPC CNI's alone stand, one is made at the next index.
    (create,) = planned(cni, device_index_policy="NextFree").actions
    assert isinstance(create, Create)
    assert create.device_index == 3


def test_two_nodeenis_get_one_each() -> None:
    both = [came("eni-1l", 2), came("eni-2l", 3)]
    machine = instance(slots=(PRIMARY, *map(slot, both)))
    spec: dict[str, Any] = {"adoption": "LaunchTime", "device_index_policy": "NextFree"}
    found = plan(
        nodeeni("a", **spec), nodeeni("b", **spec), of=machine, launched={each.id: each for each in both}
    )
    assert [(action.nodeeni, action.target) for action in found.actions] == [("a", "eni-1l"), ("b", "eni-2l")]


def test_one_of_ours_serves_before_any_that_came() -> None:
    ours = interface(attached=attachment(2))
    assert planned(came(index=3), having=(ours,)).actions == ()
    assert SUBNET.id == ours.subnet_id
