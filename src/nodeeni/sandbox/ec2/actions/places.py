"""What interfaces and instances stand in: VPCs, subnets, groups, zones, instance types, the account."""

from collections.abc import Mapping

import msgspec

from nodeeni.sandbox.ec2.account import Account, check_id
from nodeeni.sandbox.ec2.errors import EC2Error
from nodeeni.sandbox.ec2.filters import (
    GROUP_FILTERS,
    SUBNET_FILTERS,
    TYPE_FILTERS,
    USABLE_GROUP_FILTERS,
    VPC_FILTERS,
    ZONE_FILTERS,
    Values,
    zone_id,
)
from nodeeni.sandbox.ec2.instance_types import INSTANCE_TYPES, InstanceType, Queues
from nodeeni.sandbox.ec2.model import SecurityGroup, Subnet, Vpc
from nodeeni.sandbox.ec2.paging import select

from .registry import Request, action
from .tags import tag_set

_replace = msgspec.structs.replace


@action("DescribeVpcs")
def describe_vpcs(request: Request) -> Mapping[str, object]:
    account = request.account
    page, token = select(
        account,
        request.parameters,
        account.vpcs,
        VPC_FILTERS,
        ids=request.parameters.texts("VpcId"),
        stem="InvalidVpcID",
    )
    return {"vpcSet": [_vpc_xml(account, vpc) for vpc in page], "nextToken": token}


def _vpc_xml(account: Account, vpc: Vpc) -> Mapping[str, object]:
    return {
        "vpcId": vpc.id,
        "ownerId": account.id,
        "state": "available",
        "cidrBlock": vpc.cidr,
        "instanceTenancy": "default",
        "isDefault": False,
        "tagSet": tag_set(vpc.tags),
    }


@action("DescribeSubnets")
def describe_subnets(request: Request) -> Mapping[str, object]:
    account = request.account
    ids = request.parameters.texts("SubnetId")
    for each in ids:
        check_id("InvalidSubnetID", each, "subnet")
    page, token = select(
        account, request.parameters, account.subnets, SUBNET_FILTERS, ids=ids, stem="InvalidSubnetID"
    )
    return {"subnetSet": [_subnet_xml(account, subnet) for subnet in page], "nextToken": token}


def _subnet_xml(account: Account, subnet: Subnet) -> Mapping[str, object]:
    return {
        "subnetId": subnet.id,
        "subnetArn": f"arn:aws:ec2:{account.region}:{subnet.owner_id or account.id}:subnet/{subnet.id}",
        "state": "available",
        "ownerId": subnet.owner_id or account.id,
        "vpcId": subnet.vpc_id,
        "cidrBlock": subnet.cidr or None,  # an IPv6-only subnet has none
        "ipv6CidrBlockAssociationSet": _ipv6_blocks(subnet),
        "ipv6Native": not subnet.cidr,
        "assignIpv6AddressOnCreation": subnet.gives_ipv6,
        "availableIpAddressCount": account.pools[subnet.id].free,
        "availabilityZone": subnet.owners_zone or subnet.zone,
        "availabilityZoneId": zone_id(subnet.zone),
        "defaultForAz": False,
        "mapPublicIpOnLaunch": False,
        "tagSet": tag_set(subnet.tags),
    }


def _ipv6_blocks(subnet: Subnet) -> list[Mapping[str, object]]:
    state = {"state": "associated"}
    return [{"ipv6CidrBlock": subnet.ipv6_cidr, "ipv6CidrBlockState": state}] if subnet.ipv6_cidr else []


@action("DescribeSecurityGroups")
def describe_security_groups(request: Request) -> Mapping[str, object]:
    account = request.account
    ids = _group_ids(request)
    page, token = select(account, request.parameters, account.groups, GROUP_FILTERS, ids=ids)
    return {"securityGroupInfo": [_group_xml(account, group) for group in page], "nextToken": token}


def _group_ids(request: Request) -> list[str]:
    """The groups asked for by id; by name works in a default VPC only, and there is none."""
    if request.parameters.texts("GroupName"):
        raise EC2Error("VPCIdNotSpecified", "No default VPC for this user")
    ids = request.parameters.texts("GroupId")
    for each in ids:
        check_id("InvalidGroupId", each, "sg")
        if each not in request.account.groups:
            raise EC2Error("InvalidGroup.NotFound", f"The security group '{each}' does not exist")
    return ids


def _group_xml(account: Account, group: SecurityGroup) -> Mapping[str, object]:
    return {
        "ownerId": account.id,
        "groupId": group.id,
        "groupName": group.group_name,
        "groupDescription": group.description,
        "vpcId": group.vpc_id,
        "ipPermissions": [],
        "ipPermissionsEgress": [],
        "tagSet": tag_set(group.tags),
    }


@action("GetSecurityGroupsForVpc")
def get_security_groups_for_vpc(request: Request) -> Mapping[str, object]:
    """Those of the VPC and those associated with it."""
    account = request.account
    vpc = account.vpc(request.parameters.required("VpcId"))
    groups = {group.id: group for group in account.groups.values() if group.usable_in(vpc.id)}
    page, token = select(account, request.parameters, groups, USABLE_GROUP_FILTERS)
    shown = [
        {
            "ownerId": account.id,
            "groupId": group.id,
            "groupName": group.group_name,
            "description": group.description,
            "primaryVpcId": group.vpc_id,
            "tagSet": tag_set(group.tags),
        }
        for group in page
    ]
    return {"securityGroupForVpcSet": shown, "nextToken": token}


@action("AssociateSecurityGroupVpc")
def associate_security_group_vpc(request: Request) -> Mapping[str, object]:
    account, group, vpc = _group_and_vpc(request)
    if not group.usable_in(vpc.id):
        account.put(_replace(group, associated=(*group.associated, vpc.id)))
    return {"state": "associated"}


@action("DisassociateSecurityGroupVpc")
def disassociate_security_group_vpc(request: Request) -> Mapping[str, object]:
    """Not while an interface in that VPC has the group."""
    account, group, vpc = _group_and_vpc(request)
    if any(group.id in each.group_ids and each.vpc_id == vpc.id for each in account.interfaces.values()):
        return {"state": "disassociation-failed"}
    account.put(_replace(group, associated=tuple(each for each in group.associated if each != vpc.id)))
    return {"state": "disassociated"}


def _group_and_vpc(request: Request) -> tuple[Account, SecurityGroup, Vpc]:
    account, asked = request.account, request.parameters
    group_id = asked.required("GroupId")
    check_id("InvalidGroupId", group_id, "sg")
    if group_id not in account.groups:
        raise EC2Error("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return account, account.groups[group_id], account.vpc(asked.required("VpcId"))


@action("DescribeAvailabilityZones")
def describe_availability_zones(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    zones = {zone: zone for zone in sorted({subnet.zone for subnet in account.subnets.values()})}
    names, zone_ids = asked.texts("ZoneName"), asked.texts("ZoneId")
    for name in names:
        if name not in zones:
            raise EC2Error("InvalidParameterValue", f"Invalid availability zone: [{name}]")
    page, _ = select(account, asked, zones, ZONE_FILTERS, ids=names)
    shown = [zone for zone in page if not zone_ids or zone_id(zone) in zone_ids]
    return {"availabilityZoneInfo": [_zone_xml(account, zone) for zone in shown]}


def _zone_xml(account: Account, zone: str) -> Mapping[str, object]:
    return {
        "zoneName": zone,
        "zoneId": zone_id(zone),
        "zoneState": "available",
        "zoneType": "availability-zone",
        "regionName": account.region,
        "groupName": account.region,
        "networkBorderGroup": account.region,
        "optInStatus": "opt-in-not-required",
        "messageSet": [],
    }


_REGION_FILTERS: dict[str, Values] = {"region-name": lambda _, row: [row]}


@action("DescribeRegions")
def describe_regions(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    for name in asked.texts("RegionName"):
        if name != account.region:
            raise EC2Error("InvalidParameterValue", f"Invalid region names: [{name}]")
    page, _ = select(account, asked, {account.region: account.region}, _REGION_FILTERS)
    regions = [
        {
            "regionName": region,
            "regionEndpoint": f"ec2.{region}.amazonaws.com",
            "optInStatus": "opt-in-not-required",
        }
        for region in page
    ]
    return {"regionInfo": regions}


@action("DescribeInstanceTypes", without="IncludeUnsupportedInRegion")
def describe_instance_types(request: Request) -> Mapping[str, object]:
    names = request.parameters.texts("InstanceType")
    missing = [name for name in names if name not in INSTANCE_TYPES]
    if missing:
        raise EC2Error(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(missing)}]",
        )
    page, token = select(
        request.account, request.parameters, INSTANCE_TYPES, TYPE_FILTERS, ids=names, most=100
    )
    return {"instanceTypeSet": [_type_xml(each) for each in page], "nextToken": token}


def _type_xml(each: InstanceType) -> Mapping[str, object]:
    cards = [
        {
            "networkCardIndex": index,
            "maximumNetworkInterfaces": most,
            "networkPerformance": "High",
            "interfaceTypeSet": ["interface", "efa", "efa-only"] if each.efa else ["interface"],
            **(_queues_xml(each.queues, each.additional) if each.queues is not None else {}),
        }
        for index, most in enumerate(each.cards)
    ]
    return {
        "instanceType": each.name,
        "currentGeneration": True,
        "bareMetal": each.bare_metal,
        "hypervisor": None if each.bare_metal else "nitro",
        "processorInfo": {"supportedArchitectures": ["x86_64"]},
        "vCpuInfo": {"defaultVCpus": each.vcpus},
        "memoryInfo": {"sizeInMiB": each.memory_mib},
        "ebsInfo": {
            "ebsOptimizedSupport": "default",
            "nvmeSupport": "required",
            "maximumEbsAttachments": each.volumes,
            "attachmentLimitType": "dedicated" if each.dedicated else "shared",
        },
        "networkInfo": {
            "networkPerformance": "High",
            "maximumNetworkInterfaces": each.interface_limit,
            "maximumNetworkCards": len(each.cards),
            "defaultNetworkCardIndex": 0,
            "networkCards": cards,
            "ipv4AddressesPerInterface": each.addresses_per_interface,
            "ipv6AddressesPerInterface": each.addresses_per_interface,
            "ipv6Supported": True,
            "enaSupport": "required",
            "efaSupported": each.efa,
            "enaSrdSupported": each.ena_express,
            "flexibleEnaQueuesSupport": "supported" if each.queues is not None else "unsupported",
            "connectionTrackingConfiguration": {
                "defaultTcpEstablishedTimeout": each.tcp_established_timeout,
                "defaultUdpStreamTimeout": 180,
                "defaultUdpTimeout": 30,
            },
        },
    }


def _queues_xml(queues: Queues, additional: int) -> Mapping[str, object]:
    return {
        "additionalFlexibleNetworkInterfaces": additional,
        "defaultEnaQueueCountPerInterface": queues.default,
        "maximumEnaQueueCountPerInterface": queues.most,
        "maximumEnaQueueCount": queues.all,
    }


@action("GetCallerIdentity")
def get_caller_identity(request: Request) -> Mapping[str, object]:
    account_id = request.account.id
    return {
        "Arn": f"arn:aws:iam::{account_id}:user/sandbox",
        "UserId": "AIDASANDBOX0000000000",
        "Account": account_id,
    }
