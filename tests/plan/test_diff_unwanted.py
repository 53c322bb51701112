"""What is not wanted any more, and what others did to our interfaces."""

import msgspec
from tests.plan.build import (
    NODE,
    PRIMARY,
    attachment,
    instance,
    interface,
    nodeeni,
    observed,
    other,
    plan,
    states,
    texts,
)

from nodeeni.ec2.types import Interface
from nodeeni.plan.actions import Create, SetTags
from nodeeni.plan.desired import Desired
from nodeeni.plan.diff import diff
from nodeeni.plan.rows import State

ATTACHED = interface(attached=attachment(2))


# -- removal -----------------------------------------------------------------------------------------


def test_the_label_is_gone() -> None:
    node = msgspec.structs.replace(NODE, labels={})
    found = plan(nodeeni(), having=[ATTACHED], node=node)
    assert texts(found.actions) == ["detach eni-1: the node no longer matches the NodeENI"]
    assert [(row.state, row.wanted) for row in found.rows] == [(State.DETACHING, False)]
    free = plan(nodeeni(), having=[interface()], node=node)
    assert texts(free.actions) == ["delete eni-1: the node no longer matches the NodeENI"]


def test_the_nodeeni_is_being_deleted() -> None:
    found = plan(nodeeni(deleting=True), having=[ATTACHED])
    assert texts(found.actions) == ["detach eni-1: the NodeENI is being deleted"]


def test_the_nodeeni_does_not_exist() -> None:
    assert texts(plan(having=[ATTACHED]).actions) == ["detach eni-1: no NodeENI owns it"]


def test_a_second_one_for_the_same_nodeeni_goes() -> None:
    found = plan(nodeeni(), having=[ATTACHED, interface("eni-2")])
    assert texts(found.actions) == ["delete eni-2: the node has another one for the same NodeENI"]


def test_the_uids_tag_was_taken_off_by_hand() -> None:
    made = msgspec.structs.replace(
        ATTACHED, tags={k: v for k, v in ATTACHED.tags.items() if k != "nodeeni.networking.k8s.aws/uid"}
    )
    found = plan(nodeeni(), having=[made])
    assert texts(found.actions) == ["tag eni-1 with nodeeni.networking.k8s.aws/uid=uid-multus"]


def test_the_node_is_being_deleted_while_its_instance_lives() -> None:
    node = msgspec.structs.replace(NODE, deleting=True)
    found = plan(nodeeni(), having=[ATTACHED], node=node)
    assert texts(found.actions) == ["detach eni-1: the node is gone"]
    assert states(found.rows) == {"multus": State.ATTACHED}, "and working, until the grace is over"


def test_the_node_is_gone_and_its_name_is_on_an_interface() -> None:
    seen = observed(ATTACHED, nodeenis=[nodeeni()], node=None, of=instance())
    assert texts(diff(Desired(), seen).actions) == ["detach eni-1: the node is gone"]


def test_a_node_of_the_same_name_with_another_instance() -> None:
    """The old instance ended; the new one gets an interface of its own."""
    node = msgspec.structs.replace(NODE, instance_id="i-2")
    states_now = {"i-1": "terminated", "i-2": "running"}
    found = plan(nodeeni(), having=[ATTACHED], node=node, of=instance("i-2"), instance_states=states_now)
    assert [type(action) for action in found.actions] == [Create]
    assert found.vanishing == ("eni-1",)


def test_a_detach_that_hangs_is_forced_after_its_time() -> None:
    hanging = interface(attached=attachment(2, status="detaching"))
    node = msgspec.structs.replace(NODE, labels={})
    for age, asked in ((299.0, []), (301.0, ["force-detach eni-1: the node no longer matches the NodeENI"])):
        found = plan(nodeeni(), having=[hanging], node=node, ages={"eni-1": age}, force_detach_after=300.0)
        assert texts(found.actions) == asked


# -- what others did ---------------------------------------------------------------------------------


def test_moved_to_another_instance_by_hand_it_is_reported_and_left_there() -> None:
    moved = interface(attached=attachment(2, instance_id="i-9"))
    found = plan(nodeeni(), having=[moved], instance_states={"i-1": "running", "i-9": "running"})
    assert (found.actions, [(row.state, row.reason) for row in found.rows]) == (
        (),
        [(State.FAILED, "AttachedElsewhere")],
    )


def of_v1(owner: str = "multus") -> Interface:
    """As v1.x tagged it: without cluster, uid and instance."""
    tags = {k: v for k, v in interface(owner=owner).tags.items() if not k.startswith("nodeeni.")}
    return msgspec.structs.replace(interface("eni-old", attached=attachment(2)), tags=tags)


def test_one_of_an_older_version_is_adopted_by_tagging() -> None:
    found = plan(nodeeni(), adoptable=(of_v1(),))
    (action,) = found.actions
    assert isinstance(action, SetTags)
    assert action.text.startswith("adopt eni-old of an older version, by tagging it with ")
    assert action.eni_id == "eni-old"
    assert action.tags == {
        "nodeeni.networking.k8s.aws/cluster": "c-1",
        "nodeeni.networking.k8s.aws/instance": "i-1",
        "nodeeni.networking.k8s.aws/uid": "uid-multus",
    }
    assert states(found.rows) == {"multus": State.ATTACHED}


def test_one_of_ours_that_lost_its_cluster_tag_by_hand_is_not_called_old() -> None:
    ours = interface("eni-1", attached=attachment(2))
    tags = {k: v for k, v in ours.tags.items() if k != "nodeeni.networking.k8s.aws/cluster"}
    found = plan(nodeeni(), adoptable=(msgspec.structs.replace(ours, tags=tags),))
    assert texts(found.actions) == ["tag eni-1 with nodeeni.networking.k8s.aws/cluster=c-1"]


def test_one_of_an_older_version_for_another_nodeeni_is_not_adopted_and_keeps_its_index() -> None:
    found = plan(nodeeni(), adoptable=(of_v1("other"),))
    assert (found.actions, [refusal.reason for refusal in found.refusals]) == ((), ["DeviceIndexTaken"])


def test_beside_one_of_ours_nothing_is_adopted() -> None:
    found = plan(nodeeni(), having=[interface(attached=attachment(3))], adoptable=(of_v1(),))
    assert not any(action.target == "eni-old" for action in found.actions)


def test_our_interfaces_on_the_node_do_not_make_others_ours() -> None:
    """Slots of others are only counted, whatever they are called."""
    found = plan(nodeeni(deleting=True), having=[ATTACHED], of=instance(slots=(PRIMARY, other(1), other(3))))
    assert {action.target for action in found.actions} == {"eni-1"}
