"""What is wanted: made, attached, waited for, or refused with the reason."""

from typing import Any

import pytest
from tests.plan.build import (
    GROUP,
    PRIMARY,
    SECOND_SUBNET,
    SUBNET,
    attachment,
    instance,
    interface,
    nodeeni,
    other,
    plan,
    states,
    texts,
)

from nodeeni.api.names import client_token
from nodeeni.plan.actions import Attach, Create
from nodeeni.plan.rows import State

ATTACHED = interface(attached=attachment(2))


# -- on the way there --------------------------------------------------------------------------------


def test_absent_it_is_created_with_all_its_tags_and_a_token_that_is_always_the_same() -> None:
    found = plan(nodeeni(tags={"team": "x"}))
    (action,) = found.actions
    assert isinstance(action, Create)
    assert (action.device_index, action.network_card_index, action.instance_id) == (2, 0, "i-1")
    request = action.request
    assert (request.subnet_id, request.group_ids) == (SUBNET.id, (GROUP.id,))
    assert request.client_token == client_token(
        cluster_id="c-1", uid="uid-multus", instance_id="i-1", generation=0
    )
    assert request.tags["team"] == "x"
    assert request.tags["nodeeni.networking.k8s.aws/uid"] == "uid-multus"
    assert states(found.rows) == {"multus": State.CREATING}
    assert found.refusals == ()


def test_after_one_that_is_proved_gone_another_token_is_used() -> None:
    (first,), (second,) = plan(nodeeni()).actions, plan(nodeeni(), generations={"uid-multus": 1}).actions
    assert isinstance(first, Create)
    assert isinstance(second, Create)
    assert first.request.client_token != second.request.client_token


def test_available_it_is_attached_and_put_right_meanwhile() -> None:
    found = plan(nodeeni(source_dest_check=False), having=[interface()])
    assert texts(found.actions) == [
        "attach eni-1 to i-1 at index 2",
        "set the source/destination check of eni-1 to false",
    ]
    assert states(found.rows) == {"multus": State.ATTACHING}


@pytest.mark.parametrize(
    ("status", "state"), [("attaching", State.ATTACHING), ("detaching", State.DETACHING)]
)
def test_under_way_it_is_waited_for(status: str, state: State) -> None:
    found = plan(nodeeni(), having=[interface(attached=attachment(2, status=status))])
    assert (found.actions, states(found.rows)) == ((), {"multus": state})


def test_attached_as_it_should_be_nothing_is_asked_for() -> None:
    found = plan(nodeeni(), having=[ATTACHED])
    assert (found.actions, found.refusals, states(found.rows)) == ((), (), {"multus": State.ATTACHED})
    (row,) = found.rows
    assert (row.interface, row.device_index, row.subnet_cidr) == (ATTACHED, 2, SUBNET.cidr)


def test_a_call_that_has_begun_is_asked_for_as_it_was() -> None:
    """Meanwhile the description was edited: the answer comes first, then the correction."""
    (begun,) = plan(nodeeni()).actions
    assert plan(nodeeni(description="edited"), in_flight=(begun,)).actions == (begun,)


def test_an_attach_that_has_begun_keeps_its_index() -> None:
    (begun,) = plan(nodeeni(device_index_policy="NextFree"), having=[interface()]).actions
    assert isinstance(begun, Attach)
    listed = instance(slots=(PRIMARY, other(2)))
    found = plan(nodeeni(device_index_policy="NextFree"), having=[interface()], of=listed, in_flight=(begun,))
    assert found.actions == (begun,)


# -- indices, room, subnets --------------------------------------------------------------------------


def test_a_taken_index_is_reported_and_nothing_is_created() -> None:
    found = plan(nodeeni(), of=instance(slots=(PRIMARY, other(2))))
    assert (found.actions, states(found.rows)) == ((), {"multus": State.FAILED})
    (refusal,) = found.refusals
    assert refusal.reason == "DeviceIndexTaken"
    assert "index 2 of i-1 is taken by eni-other-2" in refusal.message
    assert "the next is 3" in refusal.message


def test_with_next_free_the_next_is_used() -> None:
    found = plan(nodeeni(device_index_policy="NextFree"), of=instance(slots=(PRIMARY, other(2))))
    (action,) = found.actions
    assert isinstance(action, Create)
    assert action.device_index == 3


def test_made_for_an_index_that_was_taken_meanwhile_it_is_deleted() -> None:
    found = plan(nodeeni(), having=[interface()], of=instance(slots=(PRIMARY, other(2))))
    assert texts(found.actions) == ["delete eni-1: it cannot be attached as the NodeENI asks"]
    assert states(found.rows) == {"multus": State.FAILED}


def test_of_two_that_want_one_index_the_older_has_it() -> None:
    young = nodeeni("a-young", created="2026-02-01T00:00:00Z")
    found = plan(young, nodeeni("old"))
    assert [action.nodeeni for action in found.actions] == ["old"]
    assert states(found.rows) == {"old": State.CREATING, "a-young": State.FAILED}
    assert "is taken by NodeENI old" in found.refusals[0].message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"full": True}, "InstanceFull"),
        ({"of": instance(slots=(PRIMARY, other(5), other(6), other(7)))}, "InstanceFull"),
        ({"taken_indexes": frozenset({(0, 2)})}, "DeviceIndexTaken"),
    ],
)
def test_no_place_is_told_and_nothing_is_created(changes: dict[str, Any], reason: str) -> None:
    found = plan(nodeeni(), **changes)
    assert (found.actions, [refusal.reason for refusal in found.refusals]) == ((), [reason])


def test_where_every_candidate_was_found_full_the_call_is_planned_and_waits_for_its_turn() -> None:
    both = nodeeni(subnet_ids=[SECOND_SUBNET.id])
    found = plan(both, avoided_subnets=frozenset({SUBNET.id, SECOND_SUBNET.id}))
    assert ([action.word for action in found.actions], found.refusals) == (["Create"], ())


def test_a_network_card_that_the_type_has_not() -> None:
    found = plan(nodeeni(network_card_index=1))
    assert [(r.reason, r.message.rpartition(": ")[2]) for r in found.refusals] == [
        ("NoSuchNetworkCard", "lower spec.networkCardIndex")
    ]


def test_from_a_subnet_that_is_full_to_the_next() -> None:
    both = nodeeni(subnet_ids=[SECOND_SUBNET.id])
    (action,) = plan(both, avoided_subnets=frozenset({SECOND_SUBNET.id})).actions
    assert isinstance(action, Create)
    assert action.request.subnet_id == SUBNET.id


# -- instances that do not run -----------------------------------------------------------------------


@pytest.mark.parametrize(("state", "retry"), [("pending", 5.0), ("stopped", 60.0), ("stopping", 60.0)])
def test_on_an_instance_that_does_not_run_nothing_is_begun(state: str, retry: float) -> None:
    found = plan(nodeeni(), of=instance(state=state))
    assert (found.actions, states(found.rows)) == ((), {"multus": State.CREATING})
    assert [(r.reason, r.retry_after) for r in found.refusals] == [("InstanceNotRunning", retry)]
    (row,) = found.rows
    assert (row.reason, row.message) == (found.refusals[0].reason, found.refusals[0].message)


def test_on_a_stopped_instance_what_is_attached_stays() -> None:
    found = plan(nodeeni(), having=[ATTACHED], of=instance(state="stopped"))
    assert (found.actions, states(found.rows)) == ((), {"multus": State.ATTACHED})


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_on_an_ending_instance_nothing_is_done(state: str) -> None:
    found = plan(nodeeni(), having=[ATTACHED], of=instance(state=state))
    assert (found.actions, found.vanishing) == ((), ("eni-1",))


def test_free_ones_of_an_ended_instance_are_deleted() -> None:
    """DeleteOnTermination was off: the instance is gone and the interface is available."""
    found = plan(nodeeni(), having=[interface()], of=instance(state="terminated"))
    assert texts(found.actions) == ["delete eni-1: the node is gone"]
