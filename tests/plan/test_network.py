"""Which subnets are candidates for an instance, and which groups an ENI gets in the VPC of each."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import (
    FAR_SUBNET,
    GROUP,
    NETWORK,
    SECOND_GROUP,
    SECOND_SUBNET,
    SUBNET,
    VPC,
    desire,
    instance,
    interface,
    nodeeni,
)

from nodeeni.ec2.attributes import GROUPS
from nodeeni.ec2.types import Instance, SecurityGroup, Subnet
from nodeeni.plan.actions import Modify
from nodeeni.plan.corrections import corrections
from nodeeni.plan.desired import DesiredInterface
from nodeeni.plan.network import Network, strangers
from nodeeni.plan.refusal import Refusal

OTHER = "vpc-2"
ABROAD = Subnet("subnet-abroad", OTHER, SUBNET.zone, "10.9.0.0/16", 999, "multus-abroad")
THEIRS = SecurityGroup("sg-theirs", OTHER, "theirs", "Multus")
BOTH = Network((SUBNET, SECOND_SUBNET, ABROAD), (GROUP, SECOND_GROUP, THEIRS))
ASSOCIATED = msgspec.structs.replace(BOTH, usable=frozenset({(OTHER, GROUP.id)}))


def had(network: Network = BOTH, of: Instance | None = None, **spec: Any) -> DesiredInterface:
    found = desire(nodeeni(**spec), network=network, of=of)
    assert found.refusals == ()
    return found.interfaces[0]


def refused(network: Network = BOTH, of: Instance | None = None, **spec: Any) -> Refusal:
    found = desire(nodeeni(**spec), network=network, of=of)
    assert found.interfaces == ()
    return found.refusals[0]


# -- subnets -----------------------------------------------------------------------------------------


def test_a_subnet_of_another_vpc_in_the_nodes_zone_is_one_by_its_id() -> None:
    wanted = had(subnet_id=ABROAD.id, security_group_ids=[THEIRS.id])
    assert (wanted.subnets, wanted.values[GROUPS]) == ((ABROAD,), (THEIRS.id,))


def test_the_nodes_own_vpc_comes_first_however_many_addresses_another_has() -> None:
    wanted = had(
        ASSOCIATED,
        subnet_id=None,
        subnet_ids=[ABROAD.id, SUBNET.id, SECOND_SUBNET.id],
        security_group_ids=[GROUP.id],
    )
    assert wanted.subnets == (SECOND_SUBNET, SUBNET, ABROAD)


def test_a_name_counts_in_the_vpc_that_is_named() -> None:
    twin = msgspec.structs.replace(SUBNET, id="subnet-twin", vpc_id=OTHER)
    network = Network((SUBNET, twin), (GROUP, THEIRS))
    named: dict[str, Any] = {"subnet_id": None, "subnet_name": SUBNET.name}
    assert had(network, **named).subnets == (SUBNET,)
    there = had(network, **named, vpc_id=OTHER, security_group_ids=[THEIRS.id])
    assert there.subnets == (twin,)


def test_a_name_that_another_vpc_has_is_told_as_such() -> None:
    why = refused(subnet_id=None, subnet_name=ABROAD.name)
    assert (why.reason, why.message) == (
        "SubnetInOtherVPC",
        (
            "subnet 'multus-abroad' does not exist in vpc-1, the VPC of i-1, but in vpc-2: set spec.vpcID "
            "to the VPC that is meant, or name the subnet by its id"
        ),
    )


def test_a_name_that_no_vpc_has_is_told_with_the_vpc_that_was_looked_in() -> None:
    why = refused(subnet_id=None, subnet_name="nowhere", vpc_id="vpc-3")
    assert (why.reason, why.message) == (
        "SubnetNotFound",
        (
            "subnet 'nowhere' does not exist in vpc-3 (spec.vpcID): correct spec.subnetID, subnetIDs, "
            "subnetName or subnetNames"
        ),
    )


def test_a_spec_from_before_the_rules_that_names_no_subnet_is_told_so() -> None:
    why = refused(subnet_id=None)
    assert why.reason == "NoSubnetNamed"
    assert "set spec.subnetID, subnetIDs, subnetName or subnetNames" in why.message


@pytest.mark.parametrize("pattern", ["multus-a*", "multus-a?", "*a2", "m?ltus-*2"])
def test_wildcards_in_a_name_are_those_of_ec2s_filters(pattern: str) -> None:
    wanted = had(NETWORK, subnet_id=None, subnet_name=pattern)
    assert SECOND_SUBNET in wanted.subnets
    assert FAR_SUBNET not in wanted.subnets
    assert (SUBNET in wanted.subnets) is (pattern == "multus-a*")


def test_a_star_after_a_backslash_is_a_star() -> None:
    starred = msgspec.structs.replace(SUBNET, id="subnet-star", name="multus-*")
    network = msgspec.structs.replace(NETWORK, subnets=(SUBNET, starred))
    assert had(network, subnet_id=None, subnet_name=r"multus-\*").subnets == (starred,)


def test_zones_are_compared_by_id_where_another_account_names_them() -> None:
    """A shared subnet's zone may have another name than ours for the same place, or the same for another."""
    home = msgspec.structs.replace(instance(), zone_id="usw2-az1", owner_id="111111111111")
    shared = msgspec.structs.replace(
        SUBNET,
        zone="us-west-2d",
        zone_id="usw2-az1",
        owner_id="222222222222",
        arn="arn:aws:ec2:us-west-2:222222222222:subnet/subnet-a",
    )
    network = Network((shared,), (GROUP,))
    assert had(network, of=home).subnets == (shared,)
    moved = Network((msgspec.structs.replace(shared, zone="us-west-2a", zone_id="usw2-az4"),), (GROUP,))
    why = refused(moved, of=home)
    assert (why.reason, why.message) == (
        "NoSubnetInZone",
        (
            "instance i-1 is in us-west-2a (usw2-az1), and an ENI can only be attached in its own zone, but "
            "arn:aws:ec2:us-west-2:222222222222:subnet/subnet-a is in usw2-az4: add a subnet of "
            "us-west-2a to spec.subnetIDs or spec.subnetNames"
        ),
    )


# -- groups ------------------------------------------------------------------------------------------


def test_a_group_of_another_vpc_is_refused_with_the_command_that_associates_it() -> None:
    why = refused(subnet_id=ABROAD.id, security_group_ids=[GROUP.id])
    assert why.reason == "SecurityGroupInOtherVPC"
    assert "security group sg-1 is of vpc-1 and not associated with vpc-2" in why.message
    assert "aws ec2 associate-security-group-vpc --group-id sg-1 --vpc-id vpc-2" in why.message
    assert why.message.endswith("or leave that subnet out: every candidate has to take the groups"), (
        "of several candidates one is too few"
    )


def test_an_associated_group_is_as_good_as_one_of_the_vpc() -> None:
    wanted = had(ASSOCIATED, subnet_id=ABROAD.id, security_group_ids=[GROUP.id, THEIRS.id])
    assert wanted.values[GROUPS] == (GROUP.id, THEIRS.id)


def test_group_names_are_looked_up_in_the_vpc_of_the_subnet() -> None:
    """Both VPCs have a group with the tag Multus."""
    names: dict[str, Any] = {"security_group_ids": [], "security_group_names": ["Multus"]}
    assert had(subnet_id=SUBNET.id, **names).values[GROUPS] == (GROUP.id,)
    assert had(subnet_id=ABROAD.id, **names).values[GROUPS] == (THEIRS.id,)


def test_a_group_name_of_another_vpc_counts_where_the_group_is_associated() -> None:
    names: dict[str, Any] = {
        "subnet_id": ABROAD.id,
        "security_group_ids": [],
        "security_group_names": ["multus-sg"],
    }
    assert refused(**names).reason == "SecurityGroupInOtherVPC"
    assert had(ASSOCIATED, **names).values[GROUPS] == (GROUP.id,)


def test_a_group_name_in_the_vpc_that_is_named_wins_over_one_of_the_subnets() -> None:
    names: dict[str, Any] = {
        "subnet_id": ABROAD.id,
        "security_group_ids": [],
        "security_group_names": ["Multus"],
    }
    assert had(ASSOCIATED, **names, vpc_id=VPC).values[GROUPS] == (GROUP.id,)


def test_an_interface_has_the_groups_of_the_vpc_that_it_stands_in() -> None:
    wanted = had(
        subnet_id=None,
        subnet_ids=[SUBNET.id, ABROAD.id],
        security_group_ids=[],
        security_group_names=["Multus"],
    )
    here, there = interface(), interface(subnet_id=ABROAD.id, vpc_id=OTHER, group_ids=(THEIRS.id,))
    assert list(corrections(wanted, here)) == list(corrections(wanted, there)) == []
    strayed = msgspec.structs.replace(there, group_ids=(GROUP.id,))
    (put_right,) = corrections(wanted, strayed)
    assert isinstance(put_right, Modify)
    assert (put_right.attribute, put_right.value) == (GROUPS, (THEIRS.id,))


def test_one_candidate_without_the_groups_is_refused_whatever_the_others_have() -> None:
    """Which one is taken depends on the free addresses of the moment."""
    why = refused(subnet_id=None, subnet_ids=[SUBNET.id, ABROAD.id])
    assert (why.reason, "subnet-abroad" in why.message) == ("SecurityGroupInOtherVPC", True)


# -- what EC2 is asked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "pairs"),
    [
        ({}, set()),
        ({"security_group_ids": ["sg-none"]}, set()),
        ({"security_group_ids": [], "security_group_names": ["Multus"]}, set()),
        ({"subnet_id": ABROAD.id}, {(OTHER, GROUP.id)}),
        ({"subnet_id": ABROAD.id, "security_group_ids": [THEIRS.id]}, set()),
        ({"subnet_id": ABROAD.id, "security_group_ids": [], "security_group_names": ["Multus"]}, set()),
        (
            {"subnet_id": ABROAD.id, "security_group_ids": [], "security_group_names": ["second-sg"]},
            {(OTHER, SECOND_GROUP.id)},
        ),
    ],
)
def test_ec2_is_asked_only_of_groups_whose_own_vpc_is_another(
    spec: dict[str, Any], pairs: set[tuple[str, str]]
) -> None:
    assert strangers(nodeeni(**spec).spec, instance(), BOTH.subnets, BOTH.groups) == pairs


def test_of_a_shared_vpc_ec2_is_asked_of_groups_too_that_it_does_not_describe_to_us() -> None:
    home = msgspec.structs.replace(instance(), owner_id="111111111111")
    shared = msgspec.structs.replace(SUBNET, owner_id="222222222222")
    spec: dict[str, Any] = {"security_group_ids": ["sg-shared"]}
    pairs = strangers(nodeeni(**spec).spec, home, (shared,), ())
    assert pairs == {(VPC, "sg-shared")}
    assert had(Network((shared,), (), frozenset(pairs)), of=home, **spec).values[GROUPS] == ("sg-shared",)
