"""What our programs rely on of EC2, each with where it is written.

`lacks` names the sides that do not model it. There the check has to fail, so that we learn when they do.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from tests.contract.ec2.site import (
    ABSENT_ATTACHMENT,
    ABSENT_ENI,
    ABSENT_GROUP,
    ABSENT_INSTANCE,
    ABSENT_SUBNET,
    Site,
)

_tokens = itertools.count()


@dataclass(frozen=True)
class Check:
    run: Callable[[Site], None]
    source: str
    lacks: frozenset[str]
    harmless: bool  # may be run on an instance that somebody lent us

    @property
    def name(self) -> str:
        return self.run.__name__


CHECKS: list[Check] = []


def check(
    source: str, *, lacks: tuple[str, ...] = (), harmless: bool = True
) -> Callable[[Callable[[Site], None]], Callable[[Site], None]]:
    def add(run: Callable[[Site], None]) -> Callable[[Site], None]:
        CHECKS.append(Check(run, source, frozenset(lacks), harmless))
        return run

    return add


# Creating.


@check("API reference, CreateNetworkInterface: NetworkInterface")
def a_create_answer_holds_id_mac_and_address(site: Site) -> None:
    interface = site.created(Description="words")
    assert interface["NetworkInterfaceId"].startswith("eni-")
    assert len(interface["MacAddress"].split(":")) == 6
    assert interface["PrivateIpAddress"]
    assert (interface["SubnetId"], interface["Description"]) == (site.subnet_id, "words")
    assert interface["Status"] in ("pending", "available")
    assert interface["SourceDestCheck"] is True


@check("API reference, CreateNetworkInterface: TagSpecification")
def tags_are_there_from_the_first_moment(site: Site) -> None:
    interface = site.created(Tags=[{"Key": "Name", "Value": "a & <b>"}])
    assert {"Key": "Name", "Value": "a & <b>"} in interface["TagSet"]


@check("API reference, Ensuring idempotency: same token, same parameters", lacks=("moto",))
def a_token_again_gives_the_same_interface(site: Site) -> None:
    token = f"contract-{next(_tokens)}-{site.instance_id}"
    assert site.create(ClientToken=token) == site.create(ClientToken=token)
    site.made.pop()


@check("API reference, Error codes: IdempotentParameterMismatch", lacks=("moto",))
def a_token_with_other_parameters_is_refused(site: Site) -> None:
    token = f"contract-{next(_tokens)}-{site.instance_id}"
    site.create(ClientToken=token, Description="one")
    code, _ = site.refused(
        "create_network_interface", SubnetId=site.subnet_id, ClientToken=token, Description="two"
    )
    assert code == "IdempotentParameterMismatch"


@check("API reference, Error codes: InvalidSubnetID.NotFound")
def a_create_in_no_subnet_is_refused(site: Site) -> None:
    assert site.refused("create_network_interface", SubnetId=ABSENT_SUBNET)[0] == "InvalidSubnetID.NotFound"


@check("API reference, Error codes: InvalidGroup.NotFound", lacks=("moto",))
def a_create_with_no_group_is_refused(site: Site) -> None:
    nowhere = ["sg-0defdefdefdefdefd"]  # moto makes it up, and has it from then on
    code, _ = site.refused("create_network_interface", SubnetId=site.subnet_id, Groups=nowhere)
    assert code in ("InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound")


@check("API reference, Error codes: InsufficientFreeAddressesInSubnet", lacks=("moto",), harmless=False)
def a_full_subnet_is_refused(site: Site) -> None:
    free = site.client.describe_subnets(SubnetIds=[site.small_subnet_id])["Subnets"][0]
    for _ in range(free["AvailableIpAddressCount"]):
        site.create(SubnetId=site.small_subnet_id)
    code, _ = site.refused("create_network_interface", SubnetId=site.small_subnet_id, Groups=[site.group_id])
    assert code == "InsufficientFreeAddressesInSubnet"


@check("VPC guide, Subnet CIDR blocks: the first four and the last address are reserved")
def a_subnet_counts_its_free_addresses(site: Site) -> None:
    def free() -> int:
        return int(
            site.client.describe_subnets(SubnetIds=[site.subnet_id])["Subnets"][0]["AvailableIpAddressCount"]
        )

    before = free()
    site.create()
    site.until(lambda: free() == before - 1)


@check("API reference, Common parameters: DryRun")
def a_dry_run_changes_nothing(site: Site) -> None:
    code, _ = site.refused("create_network_interface", SubnetId=site.subnet_id, DryRun=True)
    assert code == "DryRunOperation"


# Attaching.


@check("API reference, NetworkInterfaceAttachment: status, deleteOnTermination")
def an_attachment_comes_without_deletion_on_termination(site: Site) -> None:
    eni_id = site.create()
    attachment_id = site.attach(eni_id)
    attachment = (site.shown(eni_id) or {})["Attachment"]
    assert attachment["AttachmentId"] == attachment_id
    assert (attachment["InstanceId"], attachment["DeviceIndex"]) == (site.instance_id, site.index)
    assert (attachment["Status"], attachment["DeleteOnTermination"]) == ("attached", False)


@check("API reference, ModifyNetworkInterfaceAttribute: Attachment", lacks=("moto",))
def deletion_on_termination_is_set_afterwards_both_ways(site: Site) -> None:
    eni_id = site.create()
    attachment_id = site.attach(eni_id)
    for wanted in (True, False):
        site.client.modify_network_interface_attribute(
            NetworkInterfaceId=eni_id,
            Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": wanted},
        )
        site.until(
            lambda wanted=wanted: (site.shown(eni_id) or {})["Attachment"]["DeleteOnTermination"] is wanted  # type: ignore[misc]
        )


@check('API reference, Error codes: InvalidParameterValue, "device index"', lacks=("moto",))
def a_taken_index_is_refused(site: Site) -> None:
    site.attach(site.create())
    code, message = site.refused(
        "attach_network_interface",
        NetworkInterfaceId=site.create(),
        InstanceId=site.instance_id,
        DeviceIndex=site.index,
    )
    assert code == "InvalidParameterValue"
    assert "already has an interface attached at device index" in message


@check("API reference, Error codes: InvalidNetworkInterface.InUse", lacks=("moto",))
def an_attached_interface_is_not_attached_again(site: Site) -> None:
    eni_id = site.create()
    site.attach(eni_id)
    code, _ = site.refused(
        "attach_network_interface",
        NetworkInterfaceId=eni_id,
        InstanceId=site.instance_id,
        DeviceIndex=site.index + 1,
    )
    assert code == "InvalidNetworkInterface.InUse"


@check('API reference, Error codes: InvalidParameterValue, "currently in use"', lacks=("moto",))
def an_attached_interface_is_not_deleted(site: Site) -> None:
    eni_id = site.create()
    site.attach(eni_id)
    code, message = site.refused("delete_network_interface", NetworkInterfaceId=eni_id)
    assert code in ("InvalidParameterValue", "InvalidNetworkInterface.InUse")
    assert "in use" in message


@check("API reference, GetSecurityGroupsForVpc", lacks=("moto",))
def a_vpc_tells_the_groups_that_can_be_used_in_it(site: Site) -> None:
    (group,) = site.client.describe_security_groups(GroupIds=[site.group_id])["SecurityGroups"]
    asked = {"Filters": [{"Name": "group-id", "Values": [site.group_id, ABSENT_GROUP]}], "MaxResults": 200}
    told = site.client.get_security_groups_for_vpc(VpcId=group["VpcId"], **asked)["SecurityGroupForVpcs"]
    assert [(each["GroupId"], each["PrimaryVpcId"]) for each in told] == [(site.group_id, group["VpcId"])]


@check("API reference, Placement and Subnet: AvailabilityZoneId", lacks=("moto",))
def a_zone_is_told_by_its_id_of_instance_and_subnet(site: Site) -> None:
    """Managed resources are asked for as the controller does: an ordinary instance is told as ever."""
    asked = {"Filters": [{"Name": "instance-id", "Values": [site.instance_id]}], "MaxResults": 200}
    answer = site.client.describe_instances(**asked, IncludeManagedResources=True)
    (instance,) = answer["Reservations"][0]["Instances"]
    (subnet,) = site.client.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert instance["Placement"]["AvailabilityZoneId"] == subnet["AvailabilityZoneId"]
    assert instance["NetworkInterfaces"][0]["OwnerId"]
    assert subnet["SubnetArn"].endswith(f"{subnet['OwnerId']}:subnet/{subnet['SubnetId']}")


@check("API reference, AttachNetworkInterface: same Availability Zone", lacks=("moto",), harmless=False)
def another_zone_is_refused(site: Site) -> None:
    eni_id = site.create(SubnetId=site.other_zone_subnet_id)
    code, message = site.refused(
        "attach_network_interface",
        NetworkInterfaceId=eni_id,
        InstanceId=site.instance_id,
        DeviceIndex=site.index,
    )
    assert code == "InvalidParameterCombination"
    assert "availability zone" in message


@check("User guide, Maximum network interfaces: AttachmentLimitExceeded", lacks=("moto",), harmless=False)
def a_full_instance_is_refused(site: Site) -> None:
    for index in range(1, limit_of(site)):
        site.attach(site.create(), index)
    code, _ = site.refused(
        "attach_network_interface",
        NetworkInterfaceId=site.create(),
        InstanceId=site.instance_id,
        DeviceIndex=limit_of(site),
    )
    assert code == "AttachmentLimitExceeded"


def limit_of(site: Site) -> int:
    reservation = site.client.describe_instances(InstanceIds=[site.instance_id])["Reservations"][0]
    kind = reservation["Instances"][0]["InstanceType"]
    answer = site.client.describe_instance_types(InstanceTypes=[kind])
    return int(answer["InstanceTypes"][0]["NetworkInfo"]["MaximumNetworkInterfaces"])


@check("API reference, DescribeInstanceTypes: NetworkInfo")
def a_type_tells_its_limits(site: Site) -> None:
    reservation = site.client.describe_instances(InstanceIds=[site.instance_id])["Reservations"][0]
    kind = reservation["Instances"][0]["InstanceType"]
    info = site.client.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"][0]["NetworkInfo"]
    assert info["MaximumNetworkInterfaces"] >= 2
    assert info["NetworkCards"][0]["MaximumNetworkInterfaces"] >= 2
    assert info["ConnectionTrackingConfiguration"]["DefaultTcpEstablishedTimeout"] in (350, 432000)
    assert info["EnaSrdSupported"] in (True, False)
    assert info["FlexibleEnaQueuesSupport"] in ("supported", "unsupported")


@check("API reference, Error codes: InvalidInstanceID.NotFound")
def an_attach_to_no_instance_is_refused(site: Site) -> None:
    code, _ = site.refused(
        "attach_network_interface",
        NetworkInterfaceId=site.create(),
        InstanceId=ABSENT_INSTANCE,
        DeviceIndex=site.index,
    )
    assert code == "InvalidInstanceID.NotFound"


@check("API reference, Error codes: InvalidNetworkInterfaceID.NotFound")
def what_is_not_there_is_not_attached_or_deleted(site: Site) -> None:
    attach = {"InstanceId": site.instance_id, "DeviceIndex": site.index}
    code, _ = site.refused("attach_network_interface", NetworkInterfaceId=ABSENT_ENI, **attach)
    assert code == "InvalidNetworkInterfaceID.NotFound"
    code, _ = site.refused("delete_network_interface", NetworkInterfaceId=ABSENT_ENI)
    assert code == "InvalidNetworkInterfaceID.NotFound"


# Detaching and deleting.


@check("API reference, DetachNetworkInterface; Error codes: InvalidAttachmentID.NotFound")
def a_detached_interface_is_available_and_its_attachment_gone(site: Site) -> None:
    eni_id = site.create()
    attachment_id = site.attach(eni_id)
    site.detach(eni_id, attachment_id)
    code, _ = site.refused("detach_network_interface", AttachmentId=attachment_id)
    assert code in ("InvalidAttachmentID.NotFound", "IncorrectState")
    assert (
        site.refused("detach_network_interface", AttachmentId=ABSENT_ATTACHMENT)[0]
        == "InvalidAttachmentID.NotFound"
    )


@check("API reference, Error codes: OperationNotPermitted, device index 0")
def the_primary_interface_is_not_detached(site: Site) -> None:
    reservation = site.client.describe_instances(InstanceIds=[site.instance_id])["Reservations"][0]
    interfaces = reservation["Instances"][0]["NetworkInterfaces"]
    primary = next(i["Attachment"] for i in interfaces if i["Attachment"]["DeviceIndex"] == 0)
    code, _ = site.refused(
        "detach_network_interface", AttachmentId=primary["AttachmentId"], DryRun=site.side == "aws"
    )
    assert code in ("OperationNotPermitted", "DryRunOperation")


@check("API reference, DeleteNetworkInterface")
def a_deleted_interface_is_gone(site: Site) -> None:
    eni_id = site.create()
    site.client.delete_network_interface(NetworkInterfaceId=eni_id)
    site.until(lambda: site.shown(eni_id) is None)
    code, _ = site.refused("describe_network_interfaces", NetworkInterfaceIds=[eni_id])
    assert code == "InvalidNetworkInterfaceID.NotFound"


@check("User guide, Delete on termination", lacks=("moto",), harmless=False)
def a_terminated_instance_takes_what_is_marked_and_frees_the_rest(site: Site) -> None:
    marked, kept = site.create(), site.create()
    attachment_id = site.attach(marked, 1)
    site.attach(kept, 2)
    site.client.modify_network_interface_attribute(
        NetworkInterfaceId=marked, Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": True}
    )
    site.client.terminate_instances(InstanceIds=[site.instance_id])
    site.until(lambda: site.phase(marked) == "" and site.phase(kept) == "available")


# Changing.


@check("API reference, ModifyNetworkInterfaceAttribute: one attribute at a time", lacks=("moto",))
def two_attributes_at_once_are_refused(site: Site) -> None:
    code, _ = site.refused(
        "modify_network_interface_attribute",
        NetworkInterfaceId=site.create(),
        Description={"Value": "new"},
        SourceDestCheck={"Value": False},
    )
    assert code == "InvalidParameterCombination"


@check("API reference, ModifyNetworkInterfaceAttribute: SourceDestCheck, Groups")
def attributes_are_changed_in_place(site: Site) -> None:
    eni_id = site.create()
    for change in ({"SourceDestCheck": {"Value": False}}, {"Groups": [site.group_id]}):
        site.client.modify_network_interface_attribute(NetworkInterfaceId=eni_id, **change)
    site.until(lambda: (site.shown(eni_id) or {})["SourceDestCheck"] is False)
    assert [group["GroupId"] for group in (site.shown(eni_id) or {})["Groups"]] == [site.group_id]


@check("API reference, ModifyNetworkInterfaceAttribute: Description")
def a_description_is_changed_in_place(site: Site) -> None:
    eni_id = site.create(Description="old")
    site.client.modify_network_interface_attribute(NetworkInterfaceId=eni_id, Description={"Value": "new"})
    site.until(lambda: (site.shown(eni_id) or {})["Description"] == "new")


@check("User guide, Security group connection tracking: timeouts", lacks=("moto",))
def connection_tracking_is_shown_once_it_was_set(site: Site) -> None:
    plain = site.shown(site.create()) or {}
    assert not plain.get("ConnectionTrackingConfiguration")
    eni_id = site.create(ConnectionTrackingSpecification={"TcpEstablishedTimeout": 600})
    site.until(lambda: _tracking(site, eni_id).get("TcpEstablishedTimeout") == 600)
    whole = {"TcpEstablishedTimeout": 432000, "UdpStreamTimeout": 60, "UdpTimeout": 60}
    site.client.modify_network_interface_attribute(
        NetworkInterfaceId=eni_id, ConnectionTrackingSpecification=whole
    )
    site.until(lambda: _tracking(site, eni_id) == whole)


def _tracking(site: Site, eni_id: str) -> dict[str, int]:
    return (site.shown(eni_id) or {}).get("ConnectionTrackingConfiguration") or {}


@check("API reference, ConnectionTrackingSpecificationRequest: 60 to 432000", lacks=("moto",))
def a_timeout_out_of_range_is_refused(site: Site) -> None:
    code, _ = site.refused(
        "create_network_interface",
        SubnetId=site.subnet_id,
        ConnectionTrackingSpecification={"TcpEstablishedTimeout": 59},
    )
    assert code == "InvalidParameterValue"


@check("API reference, AssignPrivateIpAddresses, UnassignPrivateIpAddresses: SecondaryPrivateIpAddressCount")
def secondary_addresses_come_and_go(site: Site) -> None:
    eni_id = site.create(SecondaryPrivateIpAddressCount=1)
    site.client.assign_private_ip_addresses(NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=2)
    site.until(lambda: len((site.shown(eni_id) or {})["PrivateIpAddresses"]) == 4)
    shown = (site.shown(eni_id) or {})["PrivateIpAddresses"]
    last = [each["PrivateIpAddress"] for each in shown if not each["Primary"]][-1]
    site.client.unassign_private_ip_addresses(NetworkInterfaceId=eni_id, PrivateIpAddresses=[last])
    site.until(lambda: len((site.shown(eni_id) or {})["PrivateIpAddresses"]) == 3)


@check("API reference, CreateNetworkInterface: one form of IPv4", lacks=("moto",))
def prefixes_beside_secondary_addresses_are_refused(site: Site) -> None:
    code, _ = site.refused(
        "create_network_interface",
        SubnetId=site.subnet_id,
        Ipv4PrefixCount=1,
        SecondaryPrivateIpAddressCount=1,
    )
    assert code == "InvalidParameterCombination"


@check("API reference, CreateTags, DeleteTags")
def tags_come_and_go(site: Site) -> None:
    eni_id = site.create()

    def tags() -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in (site.shown(eni_id) or {})["TagSet"]}

    site.client.create_tags(Resources=[eni_id], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    site.until(lambda: tags().get("a") == "1")
    site.client.create_tags(Resources=[eni_id], Tags=[{"Key": "a", "Value": "3"}])
    site.client.delete_tags(Resources=[eni_id], Tags=[{"Key": "b"}])
    site.until(lambda: (tags().get("a"), tags().get("b")) == ("3", None))


# Describing.


@check("API reference, DescribeNetworkInterfaces: Filters")
def filters_find_by_tag_instance_and_status(site: Site) -> None:
    eni_id = site.create(Tags=[{"Key": "only", "Value": site.instance_id}])

    def found(**filters: Any) -> list[str]:
        asked = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        answer = site.client.describe_network_interfaces(Filters=asked)
        return [interface["NetworkInterfaceId"] for interface in answer["NetworkInterfaces"]]

    tag = {"tag:only": [site.instance_id]}
    site.until(lambda: found(**tag) == [eni_id])
    assert found(**tag, subnet_id=[site.subnet_id]) == [eni_id]
    assert found(**{"tag:only": ["another"]}) == []
    assert found(network_interface_id=[ABSENT_ENI]) == []


@check("API reference, DescribeNetworkInterfaces: an id that is not there fails the call")
def one_wrong_id_fails_the_whole_call(site: Site) -> None:
    code, _ = site.refused("describe_network_interfaces", NetworkInterfaceIds=[site.create(), ABSENT_ENI])
    assert code == "InvalidNetworkInterfaceID.NotFound"


@check("API reference, DescribeNetworkInterfaces: MaxResults, NextToken", lacks=("moto",))
def pages_follow_their_token_to_the_end(site: Site) -> None:
    made = {site.create(Tags=[{"Key": "paged", "Value": site.instance_id}]) for _ in range(7)}
    asked = {"Filters": [{"Name": "tag:paged", "Values": [site.instance_id]}], "MaxResults": 5}
    pages, token = [], None
    while True:
        answer = site.client.describe_network_interfaces(**asked, **({"NextToken": token} if token else {}))
        pages.append([interface["NetworkInterfaceId"] for interface in answer["NetworkInterfaces"]])
        token = answer.get("NextToken")
        if not token:
            break
    assert len(pages) > 1
    assert all(len(page) <= 5 for page in pages)
    assert {eni_id for page in pages for eni_id in page} == made


@check("API reference, DescribeNetworkInterfaces: MaxResults not with ids", lacks=("moto",))
def pages_of_named_interfaces_are_refused(site: Site) -> None:
    code, _ = site.refused("describe_network_interfaces", NetworkInterfaceIds=[site.create()], MaxResults=5)
    assert code == "InvalidParameterCombination"


@check("API reference, DescribeNetworkInterfaces: MaxResults from 5 to 1000", lacks=("moto",))
def pages_of_another_size_are_refused(site: Site) -> None:
    for size in (4, 1001):
        assert site.refused("describe_network_interfaces", MaxResults=size)[0] == "InvalidParameterValue"


@check("User guide, Filtering: at most 200 values of a filter", lacks=("moto",))
def too_many_values_of_a_filter_are_refused(site: Site) -> None:
    filters = [{"Name": "network-interface-id", "Values": [f"eni-{n:017x}" for n in range(201)]}]
    assert site.refused("describe_network_interfaces", Filters=filters)[0] == "FilterLimitExceeded"


@check("API reference, DescribeSecurityGroups: group-name, vpc-id")
def groups_are_found_by_name_within_a_vpc(site: Site) -> None:
    group = site.client.describe_security_groups(GroupIds=[site.group_id])["SecurityGroups"][0]
    filters = [
        {"Name": "group-name", "Values": [group["GroupName"]]},
        {"Name": "vpc-id", "Values": [group["VpcId"]]},
    ]
    found = site.client.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert [entry["GroupId"] for entry in found] == [site.group_id]


@check("API reference, Error codes: InvalidSubnetID.NotFound, InvalidGroup.NotFound")
def wrong_references_are_named(site: Site) -> None:
    assert site.refused("describe_subnets", SubnetIds=[ABSENT_SUBNET])[0] == "InvalidSubnetID.NotFound"
    assert site.refused("describe_security_groups", GroupIds=[ABSENT_GROUP])[0] == "InvalidGroup.NotFound"
    assert (
        site.refused("describe_instances", InstanceIds=[ABSENT_INSTANCE])[0] == "InvalidInstanceID.NotFound"
    )


@check("API reference, DescribeInstances: networkInterfaceSet")
def an_instance_shows_its_interfaces(site: Site) -> None:
    eni_id = site.create()
    site.attach(eni_id)

    def shown() -> list[str]:
        reservation = site.client.describe_instances(InstanceIds=[site.instance_id])["Reservations"][0]
        return [i["NetworkInterfaceId"] for i in reservation["Instances"][0]["NetworkInterfaces"]]

    site.until(lambda: eni_id in shown())


@check("Request throttling for the EC2 API: buckets by action", lacks=("moto",), harmless=False)
def an_empty_bucket_throttles(site: Site) -> None:
    filters = [{"Name": "network-interface-id", "Values": [ABSENT_ENI]}]
    # Neither filtered nor paginated: 50 at once. Side by side: a busy machine is no faster than the refill.
    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(lambda _: codes_of(site, "describe_network_interfaces"), range(200)))
    assert set().union(*told) == {"ok", "RequestLimitExceeded"}
    site.until(lambda: codes_of(site, "describe_network_interfaces", Filters=filters) == {"ok"})


def codes_of(site: Site, operation: str, **parameters: Any) -> set[str]:
    try:
        getattr(site.client, operation)(**parameters)
    except ClientError as error:
        return {error.response["Error"]["Code"]}
    return {"ok"}
