"""Instances: describing, running, terminating, stopping, starting."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from nodeeni.sandbox.ec2.account import Account, check_id, fingerprint, instance_type, now_text
from nodeeni.sandbox.ec2.errors import EC2Error, not_found
from nodeeni.sandbox.ec2.filters import INSTANCE_FILTERS, zone_id
from nodeeni.sandbox.ec2.model import INSTANCE_STATES, Instance, Interface, LaunchInterface, Subnet
from nodeeni.sandbox.ec2.paging import select
from nodeeni.sandbox.ec2.wire import Parameters

from .addresses import given_at_creation
from .interfaces import (
    attachment_xml,
    checked_description,
    default_group,
    group_set,
    primary_address,
    private_addresses,
)
from .registry import Request, action
from .tags import tag_set, tags_for

_replace = msgspec.structs.replace


@action("DescribeInstances")
def describe_instances(request: Request) -> Mapping[str, object]:
    account = request.account
    ids = request.parameters.texts("InstanceId")
    for each in ids:
        check_id("InvalidInstanceID", each, "i")
    everything = request.parameters.boolean("IncludeManagedResources")
    page, token = select(
        account, request.parameters, account.instances, INSTANCE_FILTERS, ids=ids, stem="InvalidInstanceID"
    )
    if account.settings.hides_managed and not everything:
        page = [instance for instance in page if not instance.managed_by]
    reservations = [
        {
            "reservationId": f"r-{instance.id.removeprefix('i-')}",
            "ownerId": account.id,
            "groupSet": [],
            "instancesSet": [instance_xml(account, instance)],
        }
        for instance in page
    ]
    return {"reservationSet": reservations, "nextToken": token}


@action(
    "RunInstances",
    required="ImageId",
    without="AdditionalInfo BlockDeviceMapping CapacityReservationSpecification CpuOptions "
    "CreditSpecification DisableApiStop DisableApiTermination EbsOptimized "
    "ElasticGpuSpecification ElasticInferenceAccelerator EnablePrimaryIpv6 EnclaveOptions "
    "HibernationOptions IamInstanceProfile InstanceInitiatedShutdownBehavior "
    "InstanceMarketOptions Ipv6Address Ipv6AddressCount KernelId LaunchTemplate "
    "LicenseSpecification MaintenanceOptions MetadataOptions Monitoring "
    "NetworkPerformanceOptions Operator Placement PrivateDnsNameOptions PrivateIpAddress "
    "RamdiskId SecondaryInterface SecurityGroup",
)
def run_instances(request: Request) -> Mapping[str, object]:
    account, asked = request.account, request.parameters
    token = asked.text("ClientToken")
    mark = fingerprint((key, value) for key, value in asked.flat.items() if key != "ClientToken")
    known = account.remembered("RunInstances", token, mark) if token else None
    if known is not None:
        launched = [account.instance(each) for each in known.split()]
    else:
        launched = _run(request)
        if token:
            ids = " ".join(instance.id for instance in launched)
            account.remember("RunInstances", token, mark, ids)
    return {
        "reservationId": f"r-{launched[0].id.removeprefix('i-')}",
        "ownerId": account.id,
        "groupSet": [],
        "instancesSet": [instance_xml(account, instance) for instance in launched],
    }


def _run(request: Request) -> list[Instance]:
    account, asked = request.account, request.parameters
    of_interfaces = tags_for("network-interface", asked, beside=("instance",))
    primary, *brought = _interfaces_asked(account, asked, of_interfaces)
    subnet, groups = primary.subnet, primary.group_ids
    kind = instance_type(asked.text("InstanceType", "m5.large")).name
    tags = tags_for("instance", asked, beside=("network-interface",))
    count = asked.integer("MaxCount")
    if count < 1 or asked.integer("MinCount") > count:
        raise EC2Error("InvalidParameterCombination", "MinCount must be at least 1 and at most MaxCount")
    if account.pools[subnet.id].free < count:
        raise EC2Error("InsufficientFreeAddressesInSubnet")
    launched = [
        launch(account, kind, subnet, state="pending", group_ids=groups, tags=tags, brought=brought)
        for _ in range(count)
    ]
    for instance in launched:
        request.lifecycle.launched(instance)
    return launched


def launch(
    account: Account,
    kind: str,
    subnet: Subnet,
    *,
    state: str,
    group_ids: tuple[str, ...] = (),
    tags: dict[str, str] | None = None,
    node_name: str = "",
    instance_id: str = "",
    brought: Sequence[LaunchInterface] = (),
) -> Instance:
    """A new instance, stored, with its primary interface at card 0, index 0, and what else is brought."""
    groups = group_ids or default_group(account, subnet.vpc_id)
    (address,) = account.pools[subnet.id].take(1)
    instance = Instance(
        id=instance_id or account.new_id("i"),
        type=instance_type(kind).name,
        state=state,
        subnet_id=subnet.id,
        vpc_id=subnet.vpc_id,
        zone=subnet.zone,
        private_ip=address,
        private_dns_name=account.dns_name(address),
        launched_at=now_text(),
        group_ids=groups,
        node_name=node_name or account.dns_name(address),
        tags=tags or {},
        volumes=(account.new_id("vol"),),
    )
    account.put(instance)
    attachment = account.new_attachment(instance.id, 0, 0, status="attached", delete_on_termination=True)
    account.new_interface(subnet, private_ips=(address,), group_ids=groups, attachment=attachment)
    for each in brought:
        _bring(account, instance, each)
    return instance


_COUNTS = {
    "SecondaryPrivateIpAddressCount": "SecondaryPrivateIpAddressCount",
    "Ipv4PrefixCount": "Ipv4PrefixCount",
    "Ipv6AddressCount": "Ipv6AddressCount",
    "Ipv6PrefixCount": "Ipv6PrefixCount",
    "PrimaryIpv6": "EnablePrimaryIpv6",  # as CreateNetworkInterface has it
}
_OF_LAUNCH = {
    *("SubnetId", "SecurityGroupId", "DeviceIndex", "NetworkCardIndex", "InterfaceType"),
    *("Description", "DeleteOnTermination", *_COUNTS),
}


def _interfaces_asked(account: Account, asked: Parameters, tags: dict[str, str]) -> list[LaunchInterface]:
    """Those of RunInstances, the primary first: of the instance as a whole, or one by one."""
    listed = asked.children("NetworkInterface")
    if not listed:
        subnet = account.subnet(asked.required("SubnetId"))
        groups = account.groups_in(subnet.vpc_id, asked.texts("SecurityGroupId"), f"subnet {subnet.id}")
        return [LaunchInterface(subnet=subnet, device_index=0, group_ids=groups, tags=tags)]
    if asked.text("SubnetId") or asked.texts("SecurityGroupId"):
        raise EC2Error(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID or security groups may not be specified on "
            "the same request",
        )
    found = sorted(
        (_interface_asked(account, each, tags) for each in listed),
        key=lambda each: (each.network_card_index, each.device_index),
    )
    places = [(each.network_card_index, each.device_index) for each in found]
    if places[0] != (0, 0):
        raise EC2Error("InvalidParameterCombination", "A network interface with device index 0 is missing")
    if len(set(places)) < len(places):
        raise EC2Error("InvalidParameterValue", "Each network interface needs a device index of its own")
    return found


def _interface_asked(account: Account, asked: Parameters, tags: dict[str, str]) -> LaunchInterface:
    unknown = set(asked.names()) - _OF_LAUNCH
    if unknown:
        raise EC2Error("UnknownParameter", f"The parameter NetworkInterface.{min(unknown)} is not recognized")
    subnet = account.subnet(asked.required("SubnetId"))
    index = asked.integer("DeviceIndex")
    return LaunchInterface(
        subnet=subnet,
        device_index=index,
        network_card_index=asked.integer("NetworkCardIndex"),
        group_ids=account.groups_in(subnet.vpc_id, asked.texts("SecurityGroupId"), f"subnet {subnet.id}"),
        description=checked_description(asked.text("Description")),
        tags=tags,
        delete_on_termination=asked.boolean("DeleteOnTermination", index == 0),
        interface_type=asked.text("InterfaceType", "interface"),
        counts={as_created: asked.text(sent) for sent, as_created in _COUNTS.items() if asked.text(sent)},
    )


def _bring(account: Account, instance: Instance, asked: LaunchInterface) -> Interface:
    return account.new_interface(
        asked.subnet,
        **given_at_creation(account, asked.subnet, Parameters(asked.counts)),
        group_ids=asked.group_ids or default_group(account, asked.subnet.vpc_id),
        description=asked.description,
        tags=dict(asked.tags),
        interface_type=asked.interface_type,
        attachment=account.new_attachment(
            instance.id,
            asked.device_index,
            asked.network_card_index,
            status="attached",
            delete_on_termination=asked.delete_on_termination,
        ),
    )


@action("TerminateInstances")
def terminate_instances(request: Request) -> Mapping[str, object]:
    return _change(request, request.lifecycle.terminate, done=("shutting-down", "terminated"), allowed=())


@action("StopInstances")
def stop_instances(request: Request) -> Mapping[str, object]:
    return _change(
        request, request.lifecycle.stop_instance, done=("stopping", "stopped"), allowed=("pending", "running")
    )


@action("StartInstances")
def start_instances(request: Request) -> Mapping[str, object]:
    return _change(request, request.lifecycle.start, done=("pending", "running"), allowed=("stopped",))


def _change(
    request: Request, step: Callable[[Instance], None], *, done: tuple[str, ...], allowed: tuple[str, ...]
) -> Mapping[str, object]:
    """Move all the instances or none; `allowed` empty means from any state."""
    account = request.account
    ids = request.parameters.texts("InstanceId")
    for each in ids:
        check_id("InvalidInstanceID", each, "i")
    missing = [each for each in ids if each not in account.instances]
    if missing:
        raise not_found("InvalidInstanceID", missing)
    instances = [account.instance(each) for each in ids]
    for instance in instances:
        if allowed and instance.state not in done + allowed:
            raise EC2Error(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be changed.",
            )
    changes = []
    for instance in instances:
        if instance.state not in done:
            step(instance)
        changes.append(
            {
                "instanceId": instance.id,
                "previousState": state_xml(instance.state),
                "currentState": state_xml(account.instance(instance.id).state),
            }
        )
    return {"instancesSet": changes}


def state_xml(state: str) -> Mapping[str, object]:
    return {"code": INSTANCE_STATES[state], "name": state}


def instance_xml(account: Account, instance: Instance) -> Mapping[str, object]:
    alive = instance.state != "terminated"
    return {
        "instanceId": instance.id,
        "imageId": instance.image_id,
        "instanceState": state_xml(instance.state),
        "privateDnsName": instance.private_dns_name if alive else "",
        "dnsName": "",
        "amiLaunchIndex": 0,
        "instanceType": instance.type,
        "launchTime": instance.launched_at,
        "placement": {
            "availabilityZone": instance.zone,
            "availabilityZoneId": zone_id(instance.zone),
            "tenancy": "default",
        },
        "monitoring": {"state": "disabled"},
        "subnetId": instance.subnet_id if alive else None,
        "vpcId": instance.vpc_id if alive else None,
        "privateIpAddress": instance.private_ip if alive else None,
        "sourceDestCheck": True if alive else None,
        "groupSet": group_set(account, instance.group_ids),
        "architecture": "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": "/dev/xvda",
        "blockDeviceMapping": [
            {
                "deviceName": f"/dev/xvd{chr(ord('a') + number)}",
                "ebs": {"volumeId": volume, "status": "attached", "deleteOnTermination": not number},
            }
            for number, volume in enumerate(instance.volumes if alive else ())
        ],
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "tagSet": tag_set(instance.tags),
        "networkInterfaceSet": [
            _instance_interface(account, interface) for interface in account.seen_interfaces_of(instance.id)
        ],
        "secondaryInterfaceSet": [
            {
                "secondaryInterfaceId": each,
                "status": "in-use",
                "attachment": {"deviceIndex": index, "networkCardIndex": card, "status": "attached"},
            }
            for each, index, card in instance.secondary
        ],
        "cpuOptions": {"coreCount": instance_type(instance.type).vcpus, "threadsPerCore": 1},
        "operator": {
            "managed": bool(instance.managed_by),
            "principal": instance.managed_by or None,
        },
        "enaSupport": True,
        "ebsOptimized": False,
    }


def _instance_interface(account: Account, interface: Interface) -> Mapping[str, object]:
    return {
        "networkInterfaceId": interface.id,
        "subnetId": interface.subnet_id,
        "vpcId": interface.vpc_id,
        "description": interface.description,
        "ownerId": account.id,
        "status": interface.status,
        "macAddress": interface.mac,
        **primary_address(account, interface),
        "sourceDestCheck": interface.source_dest_check,
        "groupSet": group_set(account, interface.group_ids),
        "attachment": attachment_xml(account, interface.attachment),
        "privateIpAddressesSet": private_addresses(account, interface.private_ips),
        "interfaceType": interface.interface_type,
    }
