"""From NodeENIs to what one node is to have, or to the reason why it cannot."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import (
    CLUSTER,
    FAR_SUBNET,
    GROUP,
    NODE,
    SECOND_GROUP,
    SECOND_SUBNET,
    SUBNET,
    desire,
    instance,
    networks,
    nodeeni,
)

from nodeeni.api.v1alpha1 import LabelRequirement, NodeENISpec
from nodeeni.ec2.attributes import DELETE_ON_TERMINATION, DESCRIPTION, GROUPS, SOURCE_DEST_CHECK, Values
from nodeeni.ec2.types import SecurityGroup, Subnet
from nodeeni.plan.desired import (
    LEFT_OVER_AFTER,
    Desired,
    Selected,
    desired_interfaces,
    matches,
    selecting,
)
from nodeeni.plan.link import Link
from nodeeni.plan.network import Network


def requirement(operator: Any, *values: str) -> LabelRequirement:
    return LabelRequirement(key="tier", operator=operator, values=list(values))


@pytest.mark.parametrize(
    ("labels", "equal", "expressions", "selected"),
    [
        ({"ng": "multi"}, {"ng": "multi"}, [], True),
        ({"ng": "multi", "more": "x"}, {"ng": "multi"}, [], True),
        ({"ng": "other"}, {"ng": "multi"}, [], False),
        ({}, {"ng": "multi"}, [], False),
        ({"ng": "multi"}, {}, [], False),
        ({"tier": "a"}, {}, [requirement("In", "a", "b")], True),
        ({"tier": "c"}, {}, [requirement("In", "a", "b")], False),
        ({}, {}, [requirement("In", "a")], False),
        ({"tier": "c"}, {}, [requirement("NotIn", "a")], True),
        ({"tier": "a"}, {}, [requirement("NotIn", "a")], False),
        ({}, {}, [requirement("NotIn", "a")], True),
        ({"tier": ""}, {}, [requirement("Exists")], True),
        ({}, {}, [requirement("Exists")], False),
        ({}, {}, [requirement("DoesNotExist")], True),
        ({"tier": "a"}, {}, [requirement("DoesNotExist")], False),
        ({"ng": "multi", "tier": "a"}, {"ng": "multi"}, [requirement("In", "b")], False),
    ],
)
def test_selection_is_that_of_kubernetes_and_an_empty_selector_selects_nothing(
    labels: dict[str, str], equal: dict[str, str], expressions: list[LabelRequirement], selected: bool
) -> None:
    spec = NodeENISpec(node_selector=equal, match_expressions=expressions)
    assert matches(spec, labels) is selected


def test_the_oldest_comes_first_and_those_being_deleted_do_not_come() -> None:
    young = nodeeni("young", created="2026-02-01T00:00:00Z")
    old = nodeeni("old", created="2026-01-01T00:00:00Z")
    also_old = nodeeni("also-old", created="2026-01-01T00:00:00Z")
    going = nodeeni("going", deleting=True)
    elsewhere = nodeeni("elsewhere", node_selector={"ng": "other"})
    chosen = selecting(NODE, [young, old, going, elsewhere, also_old])
    assert [n.metadata.name for n in chosen] == ["also-old", "old", "young"]


def test_everything_that_is_asked_for_is_in_it() -> None:
    (wanted,) = desire(
        nodeeni(
            device_index=3,
            device_index_policy="NextFree",
            network_card_index=1,
            delete_on_termination=False,
            source_dest_check=False,
            description="by hand",
            mtu=9001,
            interface_name="net1",
            tags={"team": "x"},
            adoption="LaunchTime",
        )
    ).interfaces
    own = wanted.tags
    assert msgspec.structs.astuple(msgspec.structs.replace(wanted, values={}, tags={})) == (
        *("multus", "uid-multus", "n1", "i-1", (SUBNET,), {}, {}),
        *(frozenset(), 3, True, 1, {}, Link(mtu=9001, interface_name="net1"), {SUBNET.vpc_id: (GROUP.id,)}),
        *(None, True),
    )
    asked: Values = {GROUPS: (GROUP.id,), DELETE_ON_TERMINATION: False, SOURCE_DEST_CHECK: False}
    assert {**wanted.values, **asked, DESCRIPTION: "by hand"} == wanted.values
    assert own["team"] == "x"
    assert own["nodeeni.networking.k8s.aws/tags"] == "team"
    assert own["nodeeni.networking.k8s.aws/instance"] == "i-1"


def test_names_are_given_where_none_are() -> None:
    (wanted,) = desire(nodeeni()).interfaces
    assert (wanted.values[DESCRIPTION], wanted.link.interface_name, wanted.link.mtu) == (
        "NodeENI multus on node n1",
        "multus",
        None,
    )
    assert "nodeeni.networking.k8s.aws/tags" not in wanted.tags


def test_the_controllers_own_tags_win_over_a_spec_that_was_stored_before_the_rule() -> None:
    (wanted,) = desire(nodeeni(tags={"NodeENI": "another"})).interfaces
    assert wanted.tags["NodeENI"] == "multus"


def test_of_several_subnets_those_of_the_zone_the_emptiest_first() -> None:
    (wanted,) = desire(
        nodeeni(subnet_id=FAR_SUBNET.id, subnet_ids=[SUBNET.id], subnet_names=[SECOND_SUBNET.name])
    ).interfaces
    assert wanted.subnets == (SECOND_SUBNET, SUBNET)


def test_a_subnet_that_is_missing_does_not_hinder_one_that_is_there() -> None:
    (wanted,) = desire(nodeeni(subnet_id="subnet-none", subnet_ids=[SUBNET.id])).interfaces
    assert wanted.subnets == (SUBNET,)


def test_a_name_counts_within_the_nodes_vpc_alone() -> None:
    twin = Subnet("subnet-twin", "vpc-2", SUBNET.zone, "10.9.0.0/16", 999, SUBNET.name)
    network = Network((twin, SUBNET), (GROUP,))
    (wanted,) = desire(nodeeni(subnet_id=None, subnet_name=SUBNET.name), network=network).interfaces
    assert wanted.subnets == (SUBNET,)


def test_groups_by_id_group_name_and_tag_are_united() -> None:
    found = desire(
        nodeeni(security_group_ids=[GROUP.id], security_group_names=["second-sg", "Multus"])
    ).interfaces
    assert found[0].values[GROUPS] == (GROUP.id, SECOND_GROUP.id)


def test_a_group_name_comes_before_a_tag_of_that_name() -> None:
    tagged = SecurityGroup("sg-0", SUBNET.vpc_id, "unlike", "wanted")
    named = SecurityGroup("sg-9", SUBNET.vpc_id, "wanted", "")
    network = Network((SUBNET,), (tagged, named))
    spec = nodeeni(security_group_ids=[], security_group_names=["wanted"])
    assert desire(spec, network=network).interfaces[0].values[GROUPS] == ("sg-9",)


def reasons(found: Desired) -> list[str]:
    assert found.interfaces == ()
    return [str(refusal.reason) for refusal in found.refusals]


@pytest.mark.parametrize(
    ("spec", "reason", "says"),
    [
        ({"subnet_id": "subnet-none"}, "SubnetNotFound", "subnet subnet-none does not exist in this"),
        ({"subnet_id": None, "subnet_name": "none"}, "SubnetNotFound", "subnet 'none' does not exist"),
        ({"subnet_id": FAR_SUBNET.id}, "NoSubnetInZone", "add a subnet of us-west-2a to spec.subnetIDs"),
        ({"security_group_ids": ["sg-none"]}, "SecurityGroupNotFound", "correct spec.securityGroupIDs"),
        ({"security_group_names": ["none"]}, "SecurityGroupNotFound", "correct spec.securityGroupNames"),
    ],
)
def test_what_a_spec_cannot_have(spec: dict[str, Any], reason: str, says: str) -> None:
    found = desire(nodeeni(**spec))
    assert reasons(found) == [reason]
    assert says in found.refusals[0].message


def test_one_that_cannot_be_had_does_not_hinder_another() -> None:
    found = desire(nodeeni("bad", subnet_id="subnet-none"), nodeeni("good"))
    assert [wanted.nodeeni for wanted in found.interfaces] == ["good"]
    assert [refusal.nodeeni for refusal in found.refusals] == ["bad"]


def test_a_node_without_an_instance() -> None:
    node = msgspec.structs.replace(NODE, instance_id="")
    assert reasons(desire(nodeeni(), node=node)) == ["NoInstance"]


def test_an_instance_that_ec2_does_not_know() -> None:
    found = desired_interfaces(NODE, None, [nodeeni()], networks([nodeeni()], Network()), "c-1")
    assert reasons(found) == ["InstanceNotFound"]


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_instance_that_ends_is_to_have_nothing_and_is_not_reproached_for_its_place(state: str) -> None:
    """EC2 shows a terminated instance without subnet and VPC."""
    ending = msgspec.structs.replace(instance(state=state), vpc_id="", subnet_id="")
    assert desired_interfaces(NODE, ending, [nodeeni()], networks([nodeeni()]), CLUSTER) == Desired(
        selected=(Selected("uid-multus", "multus", 1),), ending=f"its instance i-1 is {state}"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deleting": True}, "its Node is being deleted"),
        ({"out_of_service": True}, "its Node is out of service"),
    ],
)
def test_a_node_that_ends_is_not_reproached_for_an_instance_that_is_gone(
    changes: dict[str, bool], said: str
) -> None:
    node = msgspec.structs.replace(NODE, **changes)
    found = desired_interfaces(node, None, [nodeeni()], networks([nodeeni()]), CLUSTER)
    assert (found.ending, found.refusals, found.interfaces) == (said, (), ())


def test_a_node_that_outlives_its_instance_for_minutes_is_told_with_the_way_out() -> None:
    dead = instance(state="terminated")
    found = desired_interfaces(NODE, dead, [nodeeni()], networks([nodeeni()]), CLUSTER, LEFT_OVER_AFTER)
    assert (found.ending, reasons(found)) == ("", ["NodeLeftOver"])
    assert found.refusals[0].message.endswith("the Node still stands: kubectl delete node n1")


@pytest.mark.parametrize("provider_id", ["k3s://n1", "aws:///us-west-2a/abc/fargate-ip-10-0-0-1"])
def test_a_provider_id_of_another_kind_is_shown(provider_id: str) -> None:
    node = msgspec.structs.replace(NODE, provider_id=provider_id, instance_id="")
    found = desired_interfaces(node, None, [nodeeni()], networks([nodeeni()]), CLUSTER)
    assert reasons(found) == ["NotAnInstance"]
    assert repr(provider_id) in found.refusals[0].message
