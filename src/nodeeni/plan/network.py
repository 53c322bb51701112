"""The subnets and security groups that a NodeENI names, as far as one instance can use them. Pure.

An ENI can be attached in its instance's own zone only, but in any VPC of the account. Subnets by id are
candidates wherever they are; names count in one VPC: `spec.vpcID`, else the instance's. A group belongs to
the VPC of the subnet, or is associated with it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodeENI, NodeENISpec
from nodeeni.ec2.types import Instance, SecurityGroup, Subnet, fits
from nodeeni.plan.refusal import Refusal, unresolved


class Network(msgspec.Struct, frozen=True):
    """What EC2 has of the subnets and groups that a NodeENI names. `usable`: pairs of a VPC and a group that
    can be used there though it is not of that VPC.
    """

    subnets: tuple[Subnet, ...] = ()
    groups: tuple[SecurityGroup, ...] = ()
    usable: frozenset[tuple[str, str]] = frozenset()


Groups = Mapping[str, tuple[str, ...]]  # by VPC


def candidates(nodeeni: NodeENI, instance: Instance, network: Network) -> tuple[Subnet, ...] | Refusal:
    """Those of the instance's zone: of its own VPC first, and then the one with most free addresses."""
    spec = nodeeni.spec
    named = _named(spec, instance, network.subnets)
    here = [subnet for subnet in named if _in_zone_of(instance, subnet)]
    if here:
        return tuple(sorted(here, key=lambda s: (s.vpc_id != instance.vpc_id, -s.free_addresses, s.id)))
    if not spec.all_subnet_ids and not spec.all_subnet_names:
        return unresolved(
            nodeeni,
            RowReason.NO_SUBNET_NAMED,
            "the NodeENI names no subnet: set spec.subnetID, subnetIDs, subnetName or subnetNames",
        )
    return _missing(nodeeni, instance, network, named) or _elsewhere(nodeeni, instance, named)


def groups_by_vpc(
    nodeeni: NodeENI, instance: Instance, subnets: Iterable[Subnet], network: Network
) -> Groups | Refusal:
    """What an ENI gets in each VPC that candidates are of. One VPC without them is a refusal: which of the
    candidates is taken depends on the addresses that are free.
    """
    found: dict[str, tuple[str, ...]] = {}
    for subnet in subnets:
        if subnet.vpc_id not in found:
            groups = _groups_in(nodeeni, instance, subnet, network)
            if isinstance(groups, Refusal):
                return groups
            found[subnet.vpc_id] = groups
    return found


def strangers(
    spec: NodeENISpec, instance: Instance, subnets: Sequence[Subnet], groups: Sequence[SecurityGroup]
) -> set[tuple[str, str]]:
    """Pairs of a VPC and a group of another one: EC2 alone knows whether the group can be used there. Of a
    shared VPC it may also have groups that it describes to their owner alone.
    """
    homes = {group.id: group.vpc_id for group in groups}
    asked = set()
    for subnet in _named(spec, instance, subnets):
        if not _in_zone_of(instance, subnet):
            continue
        vpc_id = subnet.vpc_id
        for group_id in spec.security_group_ids:
            if homes.get(group_id, vpc_id if not _is_shared(instance, subnet) else "") != vpc_id:
                asked.add((vpc_id, group_id))
        for name in spec.security_group_names:
            own = [g for g in groups if _is_called(g, name) and g.vpc_id == (spec.vpc_id or vpc_id)]
            fitting = own or [g for g in groups if _is_called(g, name) and not spec.vpc_id]
            asked |= {(vpc_id, group.id) for group in fitting if group.vpc_id != vpc_id}
    return asked


# -- subnets -----------------------------------------------------------------------------------------


def _named(spec: NodeENISpec, instance: Instance, subnets: Iterable[Subnet]) -> list[Subnet]:
    """Those by id, and those by name in the VPC where names count."""
    ids, vpc_id = spec.all_subnet_ids, spec.vpc_id or instance.vpc_id
    return [
        subnet
        for subnet in subnets
        if subnet.id in ids
        or (subnet.vpc_id == vpc_id and any(fits(name, subnet.name) for name in spec.all_subnet_names))
    ]


def _in_zone_of(instance: Instance, subnet: Subnet) -> bool:
    """By the zone's id, which is the same for every account, where EC2 tells both."""
    if subnet.zone_id and instance.zone_id:
        return subnet.zone_id == instance.zone_id
    return subnet.zone == instance.zone


def _is_shared(instance: Instance, subnet: Subnet) -> bool:
    """Whether another account shares it with the instance's."""
    return bool(instance.owner_id and subnet.owner_id) and subnet.owner_id != instance.owner_id


def _missing(
    nodeeni: NodeENI, instance: Instance, network: Network, named: Sequence[Subnet]
) -> Refusal | None:
    """That what the spec names is not there; None if it all is."""
    spec = nodeeni.spec
    vpc_id = spec.vpc_id or instance.vpc_id
    where = f"{vpc_id} (spec.vpcID)" if spec.vpc_id else f"{vpc_id}, the VPC of {instance.id}"
    ids = [i for i in spec.all_subnet_ids if all(s.id != i for s in named)]
    names = [
        n for n in spec.all_subnet_names if not any(s.vpc_id == vpc_id and fits(n, s.name) for s in named)
    ]
    told = [f"subnet {', '.join(ids)} does not exist in this region and account"] if ids else []
    if names:
        told.append(f"subnet {', '.join(map(repr, names))} does not exist in {where}")
    if not told:
        return None
    others = sorted({s.vpc_id for s in network.subnets if any(fits(n, s.name) for n in names)})
    if others and not ids:
        return unresolved(
            nodeeni,
            RowReason.SUBNET_IN_OTHER_VPC,
            f"{told[0]}, but in {', '.join(others)}: set spec.vpcID to the VPC that is meant, or name the "
            "subnet by its id",
        )
    return unresolved(
        nodeeni,
        RowReason.SUBNET_NOT_FOUND,
        f"{'; '.join(told)}: correct spec.subnetID, subnetIDs, subnetName or subnetNames",
    )


def _elsewhere(nodeeni: NodeENI, instance: Instance, named: Sequence[Subnet]) -> Refusal:
    places = ", ".join(f"{_shown(instance, s)} is in {_zone_shown(instance, s)}" for s in named)
    return unresolved(
        nodeeni,
        RowReason.NO_SUBNET_IN_ZONE,
        f"instance {instance.id} is in {_home_zone(instance, named)}, and an ENI can only be attached in its "
        f"own zone, but {places}: add a subnet of {instance.zone} to spec.subnetIDs or spec.subnetNames",
    )


def _shown(instance: Instance, subnet: Subnet) -> str:
    """Its id; of a shared one the ARN, which names the account to turn to."""
    return subnet.arn if subnet.arn and _is_shared(instance, subnet) else subnet.id


def _zone_shown(instance: Instance, subnet: Subnet) -> str:
    return subnet.zone_id if subnet.zone_id and _is_shared(instance, subnet) else subnet.zone


def _home_zone(instance: Instance, named: Iterable[Subnet]) -> str:
    """With its id where some subnet's zone is shown by that."""
    shared = any(_is_shared(instance, subnet) for subnet in named)
    return f"{instance.zone} ({instance.zone_id})" if shared and instance.zone_id else instance.zone


# -- groups ------------------------------------------------------------------------------------------


def _groups_in(
    nodeeni: NodeENI, instance: Instance, subnet: Subnet, network: Network
) -> tuple[str, ...] | Refusal:
    spec, vpc_id = nodeeni.spec, subnet.vpc_id
    homes = {group.id: group.vpc_id for group in network.groups}
    found = []
    for group_id in spec.security_group_ids:
        if homes.get(group_id) != vpc_id and (vpc_id, group_id) not in network.usable:
            return _no_group(nodeeni, instance, subnet, group_id, homes.get(group_id, ""))
        found.append(group_id)
    for name in spec.security_group_names:
        group = _by_name(name, vpc_id, spec.vpc_id or "", network)
        if isinstance(group, Refusal | None):
            return _no_group_of_name(nodeeni, instance, subnet, name, network)
        found.append(group.id)
    return tuple(dict.fromkeys(found))


def _by_name(name: str, vpc_id: str, named_vpc: str, network: Network) -> SecurityGroup | None:
    """One that can be used in the VPC: of that where names count, else of any. A group name comes before a
    tag `Name`.
    """
    usable = [g for g in network.groups if g.vpc_id == vpc_id or (vpc_id, g.id) in network.usable]
    own = [group for group in usable if group.vpc_id == (named_vpc or vpc_id)]
    for among in (own,) if named_vpc else (own, usable):
        ordered = sorted(among, key=lambda group: (group.group_name != name, group.id))
        for group in ordered:
            if _is_called(group, name):
                return group
    return None


def _is_called(group: SecurityGroup, name: str) -> bool:
    return name in (group.group_name, group.name)


def _no_group(nodeeni: NodeENI, instance: Instance, subnet: Subnet, group_id: str, home: str) -> Refusal:
    if not home:
        return unresolved(
            nodeeni,
            RowReason.SECURITY_GROUP_NOT_FOUND,
            f"security group {group_id} does not exist in {subnet.vpc_id}: correct spec.securityGroupIDs",
        )
    return unresolved(
        nodeeni,
        RowReason.SECURITY_GROUP_IN_OTHER_VPC,
        f"security group {group_id} is of {home} and not associated with {subnet.vpc_id}, the VPC of "
        f"{_shown(instance, subnet)}: associate it (aws ec2 associate-security-group-vpc --group-id "
        f"{group_id} --vpc-id {subnet.vpc_id}), name a group of {subnet.vpc_id}, or leave that subnet out: "
        "every candidate has to take the groups",
    )


def _no_group_of_name(
    nodeeni: NodeENI, instance: Instance, subnet: Subnet, name: str, network: Network
) -> Refusal:
    spec, vpc_id = nodeeni.spec, subnet.vpc_id
    where = (
        f"{spec.vpc_id} (spec.vpcID)" if spec.vpc_id else f"{vpc_id}, the VPC of {_shown(instance, subnet)},"
    )
    called = [group for group in network.groups if _is_called(group, name)]
    if spec.vpc_id:
        called = [group for group in called if group.vpc_id == spec.vpc_id]
    if called:
        return _no_group(nodeeni, instance, subnet, called[0].id, called[0].vpc_id)
    return unresolved(
        nodeeni,
        RowReason.SECURITY_GROUP_NOT_FOUND,
        f"no security group of {where} has the group name or tag Name {name!r}: correct "
        "spec.securityGroupNames",
    )
