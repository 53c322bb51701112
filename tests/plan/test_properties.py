"""What holds for every plan, whatever the node, its interfaces and its NodeENIs look like."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st
from tests.plan.build import (
    FAR_SUBNET,
    GROUP,
    NETWORK,
    NODE,
    PRIMARY,
    SECOND_GROUP,
    SECOND_SUBNET,
    SUBNET,
    Scene,
    ToyEC2,
    attachment,
    instance,
    interface,
    nodeeni,
)

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.ec2.types import InstanceSlot, InstanceType, Interface
from nodeeni.plan.actions import Attach, Create, Delete
from nodeeni.plan.desired import matches
from nodeeni.plan.diff import Diff
from nodeeni.plan.network import Network
from nodeeni.plan.rows import State

NAMES = ("ada", "bob", "cyd")
ROUNDS = 12  # more than any replacement needs: detach, delete, create, attach, correct

_COUNTED: tuple[dict[str, int], ...] = (
    {"secondary_private_ip_count": 0},
    {"secondary_private_ip_count": 2},
    {"secondary_private_ip_count": 0, "ipv4_prefix_count": 1},
    {"ipv4_prefix_count": 13},
)
TAGS = st.dictionaries(st.sampled_from(("team", "cost", "env")), st.sampled_from(("x", "y")))


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "node_selector": {"ng": draw(st.sampled_from(("multi", "multi", "multi", "other")))},
        "subnet_id": draw(st.sampled_from((None, SUBNET.id, FAR_SUBNET.id, "subnet-none"))),
        "subnet_names": draw(st.lists(st.sampled_from((SECOND_SUBNET.name, "none")), max_size=1)),
        "security_group_ids": draw(st.sampled_from(([GROUP.id], [GROUP.id, SECOND_GROUP.id], ["sg-none"]))),
        "device_index": draw(st.integers(1, 4)),
        "device_index_policy": draw(st.sampled_from(("Exact", "NextFree"))),
        "network_card_index": draw(st.sampled_from((0, 0, 0, 1))),
        "delete_on_termination": draw(st.booleans()),
        "description": draw(st.sampled_from((None, "by hand"))),
        "tags": draw(TAGS),
        "source_dest_check": draw(st.booleans()),
        **draw(st.sampled_from(({}, {}, *_COUNTED))),
    }


@st.composite
def nodeenis(draw: st.DrawFn) -> list[NodeENI]:
    chosen = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return [nodeeni(name, deleting=draw(st.integers(0, 5)) == 0, **draw(specs())) for name in chosen]


@st.composite
def places(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Distinct (card, index), none of them the primary interface's."""
    every = [(card, index) for card in (0, 1) for index in range(1, 5)]
    return draw(st.lists(st.sampled_from(every), unique=True, max_size=4))


@st.composite
def our_interfaces(draw: st.DrawFn, occupied: list[tuple[int, int]]) -> list[Interface]:
    attached: list[tuple[int, int] | None] = [place if draw(st.booleans()) else None for place in occupied]
    available: list[tuple[int, int] | None] = [None] * draw(st.integers(0, 2))
    found = []
    for number, place in enumerate(attached + available):
        where = None
        if place is not None:
            card, index = place
            where = attachment(
                index,
                id=f"eni-attach-{number}",
                network_card_index=card,
                status=draw(st.sampled_from(("attached", "attached", "attaching", "detaching"))),
                delete_on_termination=draw(st.booleans()),
            )
        found.append(
            interface(
                f"eni-{number}",
                owner=draw(st.sampled_from((*NAMES, "nobody"))),
                tags=draw(TAGS),
                attached=where,
                subnet_id=draw(st.sampled_from((SUBNET.id, SECOND_SUBNET.id, "subnet-other"))),
                group_ids=draw(st.sampled_from(((GROUP.id,), (SECOND_GROUP.id,)))),
                source_dest_check=draw(st.booleans()),
                private_ips=tuple(f"10.1.0.{number * 16 + n}" for n in range(1 + draw(st.integers(0, 3)))),
                ipv4_prefixes=tuple(f"10.2.{number}.{n * 16}/28" for n in range(draw(st.integers(0, 2)))),
            )
        )
    return found


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    occupied = draw(places())
    ours = draw(our_interfaces(occupied))
    used = {(i.attachment.network_card_index, i.attachment.device_index) for i in ours if i.attachment}
    others = [
        InstanceSlot(f"eni-other-{card}-{index}", index, card, "attached")
        for card, index in occupied
        if (card, index) not in used
    ]
    kind = draw(
        st.sampled_from(
            (InstanceType("two-cards", 15, (15, 15)), InstanceType("small", 4, (4,), addresses={4: 10}))
        )
    )
    kept = [subnet for subnet in NETWORK.subnets if draw(st.integers(0, 4)) or subnet is FAR_SUBNET]
    subnets = tuple(msgspec.structs.replace(s, free_addresses=draw(st.sampled_from((0, 9)))) for s in kept)
    return Scene(
        nodeenis=draw(nodeenis()),
        ec2=ToyEC2(instance(slots=(PRIMARY, *others)), kind, ours),
        network=Network(subnets, NETWORK.groups),
        memory={
            "taken_indexes": frozenset(draw(st.sampled_from(((), ((0, 2),))))),
            "full": draw(st.integers(0, 9)) == 0,
        },
    )


@given(scenes())
def test_the_same_input_gives_the_same_plan(scene: Scene) -> None:
    assert scene.plan() == scene.plan()


@given(scenes())
def test_one_piece_of_work_is_asked_for_once(scene: Scene) -> None:
    found = scene.plan()
    keys = Counter(action.key for action in found.actions)
    assert all(count == 1 for count in keys.values()), keys
    creates = Counter((a.uid, a.instance_id) for a in found.actions if isinstance(a, Create))
    assert all(count == 1 for count in creates.values())
    standing = {_uid(i) for i in scene.ec2.interfaces.values()}
    assert not standing & {uid for uid, _ in creates}, "a second one beside one that stands"


@given(scenes(), st.sampled_from(("", "deleting", "out_of_service")))
def test_each_nodeeni_that_selects_the_node_has_one_row_of_its_generation(scene: Scene, ends: str) -> None:
    if ends:
        scene.node = msgspec.structs.replace(NODE, **{ends: True})
    selecting = {
        n.metadata.uid for n in scene.nodeenis if not n.metadata.deleting and matches(n.spec, NODE.labels)
    }
    rows = scene.plan().rows
    if ends:
        told = {row.uid for row in rows if row.reason is RowReason.NODE_ENDING and not row.wanted}
        assert told == selecting
    else:
        assert Counter(row.uid for row in rows if row.wanted) == Counter(selecting)
    assert all(row.generation == 1 for row in rows if row.uid in selecting and (row.wanted or ends))


@given(scenes())
def test_no_index_is_used_that_is_taken(scene: Scene) -> None:
    seen = scene.observe()
    assert seen.instance is not None
    taken = {(s.network_card_index, s.device_index) for s in seen.instance.slots} | seen.taken_indexes
    given_out = [
        (action.network_card_index, action.device_index)
        for action in scene.plan().actions
        if isinstance(action, Attach | Create)
    ]
    assert not taken & set(given_out)
    assert len(given_out) == len(set(given_out))


@given(scenes())
def test_nothing_but_ours_is_touched(scene: Scene) -> None:
    touched = {action.eni_id for action in scene.plan().actions if not isinstance(action, Create)}
    assert touched <= scene.ec2.interfaces.keys()


@given(scenes(), st.sampled_from(("shutting-down", "terminated")))
def test_an_ending_instance_is_left_alone(scene: Scene, state: str) -> None:
    scene.ec2.machine = msgspec.structs.replace(scene.ec2.machine, state=state)
    found = scene.plan()
    assert all(isinstance(action, Delete) for action in found.actions), "what is free goes, nothing else"
    hanging = {i.id for i in scene.ec2.interfaces.values() if i.attachment}
    kept = {row.interface.id for row in found.rows if row.interface and row.state is State.FAILED}
    assert hanging <= {*found.vanishing, *kept}


@given(scenes())
def test_a_node_that_goes_gets_nothing_and_loses_nothing(scene: Scene) -> None:
    scene.node = msgspec.structs.replace(NODE, deleting=True)
    live = {n.metadata.uid for n in scene.nodeenis if not n.metadata.deleting}
    allowed = [action for action in scene.decide(scene.plan()).allowed if action.uid in live]
    assert all(isinstance(action, Delete) for action in allowed)


@given(scenes())
def test_a_plan_carried_out_again_and_again_comes_to_rest_at_what_is_desired(scene: Scene) -> None:
    scene.ec2.settle()
    for round_number in range(ROUNDS):
        found = scene.step()
        if not found.actions:
            event(f"rest after {round_number} rounds")
            break
    else:
        raise AssertionError(f"no rest: {[action.text for action in found.actions]}")
    _is_at_rest(scene, found)


def _is_at_rest(scene: Scene, found: Diff) -> None:
    """What stands is what is wanted or was refused with a reason; the rest is gone."""
    failed = {row.uid for row in found.rows if row.state is State.FAILED}
    assert failed == {refusal.uid for refusal in found.refusals}
    assert all(refusal.reason and refusal.message for refusal in found.refusals)
    wanted = {n.metadata.uid: n for n in scene.nodeenis if _selects(n)}
    standing = Counter(_uid(i) for i in scene.ec2.interfaces.values())
    assert set(standing) <= set(wanted), "what nobody wants is gone"
    assert all(count == 1 for count in standing.values())
    for made in scene.ec2.interfaces.values():
        uid = _uid(made)
        if uid not in failed:
            _is_as_desired(made, wanted[uid])
    assert set(wanted) - failed <= set(standing), "what is wanted and not refused stands"


def _selects(found: NodeENI) -> bool:
    return not found.metadata.deleting and matches(found.spec, NODE.labels)


def _is_as_desired(made: Interface, owner: NodeENI) -> None:
    spec = owner.spec
    assert made.attachment is not None
    assert made.attachment.status == "attached"
    if spec.device_index_policy == "Exact":
        assert made.attachment.device_index == spec.device_index
    else:
        assert made.attachment.device_index >= spec.device_index
    assert made.attachment.network_card_index == spec.network_card_index
    assert made.attachment.delete_on_termination == spec.delete_on_termination
    assert made.source_dest_check == spec.source_dest_check
    assert made.group_ids == tuple(spec.security_group_ids)
    assert made.subnet_id in (spec.subnet_id, SECOND_SUBNET.id)
    assert {key: made.tags.get(key) for key in spec.tags} == spec.tags


@given(scenes())
def test_an_edit_that_cannot_be_had_keeps_what_is_attached(scene: Scene) -> None:
    """No wrong name, full subnet, missing card or taken index takes down an interface that works."""
    scene.nodeenis = scene.nodeenis[:1]  # of two that want one place, one goes without
    scene.ec2.settle()
    wanted = {n.metadata.uid for n in scene.nodeenis if _selects(n)}
    before = {_uid(i) for i in scene.ec2.interfaces.values() if i.attachment} & wanted
    for _ in range(ROUNDS):
        scene.step()
    after = {_uid(i) for i in scene.ec2.interfaces.values() if i.attachment}
    assert before <= after


def _uid(found: Interface) -> str:
    return found.tags["nodeeni.networking.k8s.aws/uid"]
