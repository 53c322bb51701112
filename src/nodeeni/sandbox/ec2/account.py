"""One account in one region: every object there is, and the rules that hold whatever the action.

Actions read and change it, the lifecycle moves its states on, tests and benchmarks look into it directly.
"""

import hashlib
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random

import msgspec

from .errors import EC2Error, invalid_value, malformed, not_found
from .instance_types import INSTANCE_TYPES, InstanceType
from .model import Attachment, Instance, Interface, SecurityGroup, Subnet, Vpc
from .pools import AddressPool, IPv6Pool
from .settings import EC2Settings
from .tables import Table
from .wire import Raw

Resource = Vpc | Subnet | SecurityGroup | Instance | Interface

_ID = re.compile(r"[a-z-]+-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_TOKEN_KEPT = 24 * 3600.0
MAX_TAGS = 50


class Account:
    def __init__(self, region: str, account_id: str, settings: EC2Settings) -> None:
        self.region = region
        self.id = account_id
        self.settings = settings
        self.random = Random(settings.seed)
        self.vpcs: dict[str, Vpc] = {}
        self.subnets: dict[str, Subnet] = {}
        self.groups: dict[str, SecurityGroup] = {}
        self.instances: Table[Instance] = Table(settings.stale_reads)
        self.interfaces: Table[Interface] = Table(settings.stale_reads)
        self.pools: dict[str, AddressPool] = {}
        self.ipv6_pools: dict[str, IPv6Pool] = {}
        self.created: dict[str, Interface] = {}  # as first answered, by id, for repeated tokens
        self.rendered: dict[str, tuple[Interface, Raw]] = {}
        self.burnt: set[tuple[str, int, int]] = set()
        self._by_attachment: dict[str, str] = {}
        self._by_instance: dict[str, dict[str, None]] = {}
        self._macs: set[str] = set()
        self._tokens: dict[tuple[str, str], tuple[str, str, float]] = {}

    # Identity

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-0{self.random.getrandbits(64):016x}"

    def new_mac(self) -> str:
        """A locally administered address, as EC2's are, that no other interface of the account has."""
        while True:
            raw = self.random.getrandbits(40)
            mac = ":".join(f"{byte:02x}" for byte in (0x02, *raw.to_bytes(5)))
            if mac not in self._macs:
                self._macs.add(mac)
                return mac

    def dns_name(self, address: str) -> str:
        """The private DNS name of an address; us-east-1 is the one region with a form of its own."""
        domain = "ec2.internal" if self.region == "us-east-1" else f"{self.region}.compute.internal"
        return f"ip-{address.replace('.', '-')}.{domain}"

    def remembered(self, action: str, token: str, fingerprint: str) -> str | None:
        """The id that `action` gave for this token, None for a new one; other parameters are refused."""
        known = self._tokens.get((action, token))
        if known is None or known[2] < time.monotonic():
            return None
        if known[0] != fingerprint:
            raise EC2Error(
                "IdempotentParameterMismatch",
                f"The client token '{token}' has already been used with different parameters",
            )
        return known[1]

    def remember(self, action: str, token: str, fingerprint: str, resource_id: str) -> None:
        self._tokens[action, token] = (fingerprint, resource_id, time.monotonic() + _TOKEN_KEPT)

    # Looking up, with EC2's refusals

    def interface(self, interface_id: str) -> Interface:
        check_id("InvalidNetworkInterfaceId", interface_id, "eni")
        found = self.interfaces.get(interface_id)
        unseen = self.settings.stale_lookups and self.interfaces.seen(interface_id) is None
        if found is None or unseen:
            raise not_found("InvalidNetworkInterfaceID", interface_id)
        return found

    def instance(self, instance_id: str) -> Instance:
        check_id("InvalidInstanceID", instance_id, "i")
        found = self.instances.get(instance_id)
        if found is None:
            raise not_found("InvalidInstanceID", instance_id)
        return found

    def vpc(self, vpc_id: str) -> Vpc:
        check_id("InvalidVpcID", vpc_id, "vpc")
        found = self.vpcs.get(vpc_id)
        if found is None:
            raise not_found("InvalidVpcID", vpc_id)
        return found

    def subnet(self, subnet_id: str) -> Subnet:
        check_id("InvalidSubnetID", subnet_id, "subnet")
        found = self.subnets.get(subnet_id)
        if found is None:
            raise not_found("InvalidSubnetID", subnet_id)
        return found

    def groups_in(self, vpc_id: str, group_ids: Iterable[str], where: str) -> tuple[str, ...]:
        """The ids checked: they exist, to be used in this VPC (`where` names the other party), at most 16."""
        checked = tuple(dict.fromkeys(group_ids))
        for group_id in checked:
            check_id("InvalidSecurityGroupID", group_id, "sg")
            if group_id not in self.groups:
                raise not_found("InvalidSecurityGroupID", group_id)
            if not self.groups[group_id].usable_in(vpc_id):
                raise EC2Error(
                    "InvalidParameter",
                    f"Security group {group_id} and {where} belong to different networks.",
                )
        if len(checked) > 16:
            raise EC2Error(
                "SecurityGroupsPerInterfaceLimitExceeded",
                "The maximum number of security groups per interface has been reached.",
            )
        return checked

    def attached_by(self, attachment_id: str) -> tuple[Interface, Attachment]:
        check_id("InvalidAttachmentID", attachment_id, "eni-attach")
        interface = self.interfaces.get(self._by_attachment.get(attachment_id, ""))
        if interface is None or interface.attachment is None or interface.attachment.id != attachment_id:
            raise not_found("InvalidAttachmentID", attachment_id)
        return interface, interface.attachment

    def interfaces_of(self, instance_id: str) -> list[Interface]:
        """What is attached to the instance now, by network card and device index."""
        mine = [
            interface
            for interface_id in self._by_instance.get(instance_id, ())
            if (interface := self.interfaces.get(interface_id)) and _is_on(interface, instance_id)
        ]
        return sorted(mine, key=_slot)

    def seen_interfaces_of(self, instance_id: str) -> list[Interface]:
        """The same as a describe shows it."""
        mine = [
            interface
            for interface_id in self._by_instance.get(instance_id, ())
            if (interface := self.interfaces.seen(interface_id)) and _is_on(interface, instance_id)
        ]
        return sorted(mine, key=_slot)

    def resource(self, resource_id: str) -> Resource:
        tables = (self.interfaces, self.instances, self.vpcs, self.subnets, self.groups)
        for table in tables:
            found = table.get(resource_id)
            if found is not None:
                return found
        prefix = resource_id.rpartition("-")[0]
        stem = {
            "eni": "InvalidNetworkInterfaceID",
            "i": "InvalidInstanceID",
            "subnet": "InvalidSubnetID",
            "sg": "InvalidSecurityGroupID",
            "vpc": "InvalidVpcID",
        }
        raise not_found(stem.get(prefix, "InvalidID"), resource_id)

    # Changing

    def put(self, resource: Resource) -> None:
        """Store the resource in place of the one with its id."""
        match resource:
            case Interface():
                self.interfaces.put(resource.id, resource)
                if resource.attachment is not None:
                    self._by_attachment[resource.attachment.id] = resource.id
                    self._by_instance.setdefault(resource.attachment.instance_id, {})[resource.id] = None
            case Instance():
                self.instances.put(resource.id, resource)
            case Vpc():
                self.vpcs[resource.id] = resource
            case Subnet():
                self.subnets[resource.id] = resource
            case SecurityGroup():
                self.groups[resource.id] = resource

    def set_tags(self, resource: Resource, tags: dict[str, str]) -> None:
        check_tags(tags)
        self.put(msgspec.structs.replace(resource, tags=tags))

    def new_interface(self, subnet: Subnet, **fields: object) -> Interface:
        """A new interface in `subnet`, stored; its addresses are taken from the pools already."""
        interface = Interface(
            id=self.new_id("eni"),
            subnet_id=subnet.id,
            vpc_id=subnet.vpc_id,
            zone=subnet.zone,
            mac=self.new_mac(),
            **fields,  # type: ignore[arg-type]  # the struct checks the names
        )
        self.put(interface)
        return interface

    def new_attachment(
        self,
        instance_id: str,
        device_index: int,
        card_index: int,
        *,
        status: str,
        delete_on_termination: bool,
    ) -> Attachment:
        return Attachment(
            id=self.new_id("eni-attach"),
            instance_id=instance_id,
            device_index=device_index,
            network_card_index=card_index,
            status=status,
            delete_on_termination=delete_on_termination,
            attached_at=now_text(),
        )

    def drop_interface(self, interface: Interface) -> None:
        """Take the interface out of the world, its addresses back to the subnet."""
        self._forget_attachment(interface)
        self.interfaces.remove(interface.id)
        self.rendered.pop(interface.id, None)
        for address in (*interface.private_ips, *interface.ipv4_prefixes):
            self.pools[interface.subnet_id].give_back(address)

    def release(self, interface: Interface) -> Interface:
        """The interface without its attachment, `available`, stored."""
        self._forget_attachment(interface)
        released = msgspec.structs.replace(interface, attachment=None)
        self.put(released)
        return released

    def _forget_attachment(self, interface: Interface) -> None:
        if interface.attachment is None:
            return
        self._by_attachment.pop(interface.attachment.id, None)
        if not self.settings.stale_reads:  # stale describes still find it by its instance
            self._by_instance.get(interface.attachment.instance_id, {}).pop(interface.id, None)


def _is_on(interface: Interface, instance_id: str) -> bool:
    return interface.attachment is not None and interface.attachment.instance_id == instance_id


def _slot(interface: Interface) -> tuple[int, int]:
    if interface.attachment is None:
        raise ValueError(f"{interface.id} is not attached")
    return interface.attachment.network_card_index, interface.attachment.device_index


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def fingerprint(parameters: Iterable[tuple[str, str]]) -> str:
    """Of the parameters that a client token stands for."""
    return hashlib.sha256(repr(sorted(parameters)).encode()).hexdigest()


def check_id(stem: str, value: str, prefix: str) -> None:
    if not value.startswith(f"{prefix}-") or not _ID.fullmatch(value):
        raise malformed(stem, value, prefix)


def check_tags(tags: dict[str, str]) -> None:
    """EC2's limits: 50 tags, key 1 to 128 characters, value up to 256, `aws:` reserved."""
    if len(tags) > MAX_TAGS:
        raise EC2Error("TagLimitExceeded", "You have reached the limit for the number of tags on a resource.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise invalid_value(key, "key", "Tag keys starting with 'aws:' are reserved for internal use")
        if not 1 <= len(key) <= 128:
            raise EC2Error("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
        if len(value) > 256:
            raise EC2Error("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")


def instance_type(name: str) -> InstanceType:
    found = INSTANCE_TYPES.get(name)
    if found is None:
        raise EC2Error("InvalidInstanceType", f"The following supplied instance types do not exist: [{name}]")
    return found
