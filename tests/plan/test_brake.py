"""The brake on mass removals: what is a sign, what is too much, and what is told of it."""

import pytest

from nodeeni.api.reasons import RowReason
from nodeeni.ec2.types import Interface
from nodeeni.plan.brake import HeldRemoval, Loss, Sign, held_orphans, hold_id, is_mass, losses, why_held
from nodeeni.plan.link import Link
from nodeeni.plan.observed import NodeView

from .build import NODE, attachment, interface, nodeeni, observed, plan

UNLABELLED = NodeView(name="n1", uid="node-uid", labels={}, instance_id="i-1")
WORKING = interface(attached=attachment())
LOST = Loss(Sign.UNLABELLED, "uid-multus", "eni-1")


def hold(*nodes: str, sign: Sign = Sign.VANISHED, having: int = 8, until: str = "") -> HeldRemoval:
    eni_ids = tuple(f"eni-{node}" for node in nodes)
    return HeldRemoval(sign=sign, nodeeni="multus", nodes=nodes, eni_ids=eni_ids, having=having, until=until)


@pytest.mark.parametrize(
    ("lost", "having", "expected"),
    [
        (0, 0, False),
        (1, 1, False),
        (1, 2, False),
        (2, 2, True),
        (2, 7, True),
        (2, 8, False),
        (3, 8, True),
        (25, 100, False),
        (26, 100, True),
    ],
)
def test_two_and_over_a_quarter_are_a_mass(lost: int, having: int, expected: bool) -> None:
    assert is_mass(lost, having) is expected


def test_a_node_without_the_label_shows_a_sign() -> None:
    seen = observed(WORKING, nodeenis=[nodeeni()], node=UNLABELLED)
    found = plan(nodeeni(), having=[WORKING], node=UNLABELLED)
    assert list(losses(found.actions, seen)) == [LOST]


def test_what_is_half_made_is_no_loss_of_anything_that_works() -> None:
    available = interface()
    seen = observed(available, nodeenis=[nodeeni()], node=UNLABELLED)
    found = plan(nodeeni(), having=[available], node=UNLABELLED)
    assert list(losses(found.actions, seen)) == []


def test_a_node_that_vanished_while_its_instance_runs_shows_a_sign() -> None:
    seen = observed(WORKING, nodeenis=[nodeeni()], node=None)
    found = plan(nodeeni(), having=[WORKING], node=None)
    assert list(losses(found.actions, seen)) == [Loss(Sign.VANISHED, "uid-multus", "eni-1")]


@pytest.mark.parametrize("state", ["shutting-down", "terminated", "stopping", "stopped", "pending"])
def test_an_instance_that_ends_or_rests_is_no_sign(state: str) -> None:
    seen = observed(WORKING, nodeenis=[nodeeni()], node=None, instance_states={"i-1": state})
    found = plan(nodeeni(), having=[WORKING], node=None, instance_states={"i-1": state})
    assert list(losses(found.actions, seen)) == []


def test_a_node_that_is_being_deleted_is_no_sign() -> None:
    going = NodeView(name="n1", uid="node-uid", labels={"ng": "multi"}, instance_id="i-1", deleting=True)
    seen = observed(WORKING, nodeenis=[nodeeni()], node=going)
    found = plan(nodeeni(), having=[WORKING], node=going)
    assert list(losses(found.actions, seen)) == []


def test_a_nodeeni_that_is_being_deleted_is_a_persons_word() -> None:
    seen = observed(WORKING, nodeenis=[nodeeni(deleting=True)], node=None)
    found = plan(nodeeni(deleting=True), having=[WORKING], node=None)
    assert list(losses(found.actions, seen)) == []


def test_a_label_that_moves_a_node_to_a_nodeeni_which_needs_the_place_is_a_persons_word() -> None:
    moved = NodeView(name="n1", uid="node-uid", labels={"other": "yes"}, instance_id="i-1")
    other = nodeeni("other", node_selector={"other": "yes"})
    seen = observed(WORKING, nodeenis=[nodeeni(), other], node=moved)
    found = plan(nodeeni(), other, having=[WORKING], node=moved)
    assert [action.text for action in found.actions] == [
        "detach eni-1: another NodeENI of the node has its place"
    ]
    assert list(losses(found.actions, seen)) == []


def test_a_label_that_moves_a_node_to_a_nodeeni_of_another_place_is_a_sign() -> None:
    moved = NodeView(name="n1", uid="node-uid", labels={"other": "yes"}, instance_id="i-1")
    other = nodeeni("other", node_selector={"other": "yes"}, device_index=3)
    seen = observed(WORKING, nodeenis=[nodeeni(), other], node=moved)
    found = plan(nodeeni(), other, having=[WORKING], node=moved)
    assert list(losses(found.actions, seen)) == [LOST]


def test_what_may_stay_keeps_its_link_as_it_is() -> None:
    (row,) = plan(nodeeni(mtu=9000, interface_name="data0"), having=[WORKING], node=UNLABELLED).rows
    assert (row.link, row.wanted) == (Link(mtu=9000, interface_name="data0"), False)


def test_the_id_is_of_exactly_these_interfaces() -> None:
    assert hold("n1", "n2").id == hold("n2", "n1").id == hold_id({"eni-n1", "eni-n2"})
    assert hold("n1", "n2").id != hold("n1", "n2", "n3").id


def test_people_are_told_what_is_held_and_how_it_is_released() -> None:
    held = hold("n1", "n2", "n3", "n4", "n5")
    assert held.told.reason is RowReason.REMOVAL_HELD
    assert held.told.message == (
        "5 of 8 Nodes with an ENI of it (n1, n2, n3 and 2 more) are gone while their instances run: nothing "
        "is removed until the Nodes are back or the instances end; to remove their ENIs all the same: "
        "kubectl annotate --overwrite nodeeni multus "
        f"nodeeni.networking.k8s.aws/release-hold={held.id}"
    )
    late = hold("n1", "n2", sign=Sign.UNLABELLED, having=2, until="2026-01-01T00:10:00Z")
    assert late.told.reason is RowReason.REMOVAL_DELAYED
    assert late.told.message == (
        "2 of 2 Nodes with an ENI of it (n1, n2) no longer have its label: their ENIs stay until "
        "2026-01-01T00:10:00Z, unless the label comes back; to remove them at once: kubectl annotate "
        f"--overwrite nodeeni multus nodeeni.networking.k8s.aws/release-hold={late.id}"
    )


def test_orphans_on_two_nodes_are_held_and_on_one_are_not() -> None:
    def orphan(number: int, owner: str = "gone", attached: bool = True) -> Interface:
        place = attachment(instance_id=f"i-{number}") if attached else None
        return interface(f"eni-{owner}-{number}", owner=owner, node=f"n{number}", attached=place)

    (found,) = held_orphans([orphan(1), orphan(2), orphan(3, attached=False), orphan(4, "other")])
    assert (found.nodes, found.eni_ids) == (("n1", "n2"), ("eni-gone-1", "eni-gone-2"))
    assert found.told.message == (
        "2 nodes (n1, n2) have ENIs of NodeENI gone, which is gone: they stay while they are attached, and a "
        "NodeENI of that name takes over what fits; to remove them: nodeeni cleanup --release-hold "
        f"{hold_id(found.eni_ids)}"
    )


def test_the_last_of_orphans_that_were_held_is_held_and_told() -> None:
    left = interface("eni-1", owner="gone", node="n1", attached=attachment(instance_id="i-1"))
    assert held_orphans([left]) == []
    assert held_orphans([left], known={"eni-2"}) == []
    (found,) = held_orphans([left], known={"eni-1", "eni-2"})
    assert (found.nodes, found.eni_ids, found.id) == (("n1",), ("eni-1",), hold_id(["eni-1"]))


def test_a_row_says_so_without_times() -> None:
    assert why_held(Sign.UNLABELLED, 500.0).message == why_held(Sign.UNLABELLED, 20.0).message
    assert why_held(Sign.UNLABELLED, 20.0).retry_after == 20.0
    assert NODE.labels  # or nothing above would be a sign
