"""Setting the scene and looking at it directly: what tests and the demo do beside the protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .account import Account
from .actions.instances import launch
from .imds import Imds
from .lifecycle import Lifecycle
from .model import Attachment, Instance, Interface, LaunchInterface, SecurityGroup, Subnet, Vpc
from .pools import AddressPool, IPv6Pool


class Scene:
    """Mixed into the server. Every `add_...` gives the object made; an id of your own may be given."""

    lifecycle: Lifecycle

    def __init__(self, account: Account) -> None:
        self.account = account

    def add_vpc(self, *, id: str = "", cidr: str = "10.0.0.0/8", name: str = "") -> Vpc:
        """A VPC and its group `default`."""
        vpc = Vpc(id=id or self.account.new_id("vpc"), cidr=cidr, tags=_named(name))
        self.account.put(vpc)
        self.add_security_group(vpc, group_name="default", description="default VPC security group")
        return vpc

    def add_subnet(
        self,
        vpc: Vpc,
        zone: str,
        cidr: str,
        *,
        id: str = "",
        name: str = "",
        ipv6_cidr: str = "",
        gives_ipv6: bool = False,
        owner_id: str = "",
        owners_zone: str = "",
    ) -> Subnet:
        """`zone` is a letter (`a`) or a whole name (`us-west-2a`). Without `cidr` it is IPv6-only.
        `gives_ipv6`: an address to each new interface, unasked, as an IPv6-only one does. One that the
        account `owner_id` shares with ours is described with that account's name of the zone.
        """
        subnet = Subnet(
            id=id or self.account.new_id("subnet"),
            vpc_id=vpc.id,
            zone=zone if len(zone) > 1 else self.account.region + zone,
            cidr=cidr,
            tags=_named(name),
            ipv6_cidr=ipv6_cidr,
            gives_ipv6=gives_ipv6 or not cidr,
            owner_id=owner_id,
            owners_zone=self.account.region + owners_zone if owners_zone else "",
        )
        self.account.pools[subnet.id] = AddressPool(cidr)
        if ipv6_cidr:
            self.account.ipv6_pools[subnet.id] = IPv6Pool(ipv6_cidr)
        self.account.put(subnet)
        return subnet

    def add_security_group(
        self, vpc: Vpc, *, id: str = "", group_name: str = "", name: str = "", description: str = ""
    ) -> SecurityGroup:
        """`name` is the tag `Name`, `group_name` EC2's own name of the group."""
        group_id = id or self.account.new_id("sg")
        group = SecurityGroup(
            id=group_id,
            vpc_id=vpc.id,
            group_name=group_name or group_id,
            description=description or "sandbox",
            tags=_named(name),
        )
        self.account.put(group)
        return group

    def associate_security_group(self, group: SecurityGroup, vpc: Vpc) -> None:
        """From now on the group can be used in that VPC, too."""
        now = self.account.groups[group.id]
        self.account.put(msgspec.structs.replace(now, associated=(*now.associated, vpc.id)))

    def add_instance(
        self,
        subnet: Subnet,
        type: str = "m5.large",
        *,
        id: str = "",
        node_name: str = "",
        group_ids: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        brought: Sequence[LaunchInterface] = (),
    ) -> Instance:
        """A running instance with its primary interface, and what else its launch template brings;
        `node_name` is by default its private DNS name.
        """
        return launch(
            self.account,
            type,
            subnet,
            state="running",
            group_ids=tuple(group_ids),
            tags=dict(tags or {}),
            node_name=node_name,
            instance_id=id,
            brought=brought,
        )

    def plant_interface(
        self,
        subnet: Subnet,
        *,
        id: str = "",
        description: str = "",
        tags: Mapping[str, str] | None = None,
        group_ids: Sequence[str] = (),
        instance: Instance | None = None,
        device_index: int = 1,
        network_card_index: int = 0,
        attachment_id: str = "",
        attachment_status: str = "attached",
        delete_on_termination: bool = True,
    ) -> Interface:
        """An interface that somebody else made, attached at once when an instance is given.

        No limit is checked and no kernel told: it was there before.
        """
        attachment: Attachment | None = None
        if instance is not None:
            attachment = self.account.new_attachment(
                instance.id,
                device_index,
                network_card_index,
                status=attachment_status,
                delete_on_termination=delete_on_termination,
            )
            if attachment_id:
                attachment = msgspec.structs.replace(attachment, id=attachment_id)
        interface = Interface(
            id=id or self.account.new_id("eni"),
            subnet_id=subnet.id,
            vpc_id=subnet.vpc_id,
            zone=subnet.zone,
            mac=self.account.new_mac(),
            private_ips=tuple(self.account.pools[subnet.id].take(1)),
            group_ids=tuple(group_ids),
            description=description,
            tags=dict(tags or {}),
            attachment=attachment,
        )
        self.account.put(interface)
        return interface

    def plant_recorded(
        self, recorded: Mapping[str, Any], subnet: Subnet, instance: Instance | None
    ) -> Interface:
        """An interface in the form of the upgrade recordings, with the ids, tags and attachment there."""
        attached = recorded.get("attachment") or {}
        return self.plant_interface(
            subnet,
            id=recorded["networkInterfaceId"],
            description=recorded["description"],
            tags=recorded["tags"],
            group_ids=recorded["groups"],
            instance=instance,
            device_index=attached.get("deviceIndex", 1),
            network_card_index=attached.get("networkCardIndex", 0),
            attachment_id=attached.get("attachmentId", ""),
            delete_on_termination=attached.get("deleteOnTermination", True),
        )

    def vpc_cni_interface(self, instance: Instance, device_index: int) -> Interface:
        """An attached interface such as the Amazon VPC CNI makes for pods at any moment."""
        tags = {
            "node.k8s.amazonaws.com/instance_id": instance.id,
            "node.k8s.amazonaws.com/createdAt": "2026-01-01T00:00:00Z",
        }
        return self.plant_interface(
            self.account.subnets[instance.subnet_id],
            description=f"aws-K8S-{instance.id}",
            tags=tags,
            group_ids=instance.group_ids,
            instance=instance,
            device_index=device_index,
        )

    def set_volumes(self, instance_id: str, count: int) -> None:
        """The instance has so many EBS volumes, as a CSI driver attaches and detaches them."""
        instance = self.account.instance(instance_id)
        more = [self.account.new_id("vol") for _ in range(count - len(instance.volumes))]
        volumes = (*instance.volumes[:count], *more)
        self.account.put(msgspec.structs.replace(instance, volumes=volumes))

    def add_secondary_interface(
        self, instance_id: str, device_index: int, network_card_index: int = 0
    ) -> str:
        """One of RDMA, as an instance has it from its launch on; its id."""
        instance = self.account.instance(instance_id)
        made = self.account.new_id("si")
        secondary = (*instance.secondary, (made, device_index, network_card_index))
        self.account.put(msgspec.structs.replace(instance, secondary=secondary))
        return made

    def set_managed(self, instance_id: str, by: str = "eks.amazonaws.com") -> None:
        """From now on the AWS service `by` alone may attach to the instance and detach from it."""
        instance = self.account.instance(instance_id)
        self.account.put(msgspec.structs.replace(instance, managed_by=by))

    def imds(self, instance_id: str) -> Imds:
        """The metadata service of the instance, to be started by the caller."""
        return Imds(self.account, instance_id)

    def reserve_for_prefixes(self, subnet: Subnet, cidr: str) -> None:
        """As CreateSubnetCidrReservation of type prefix does."""
        self.account.pools[subnet.id].reserve(cidr)

    # Looking

    def interfaces(self, **tags: str) -> list[Interface]:
        """All interfaces now, or those with these tags, as they are (never stale)."""
        return [
            interface
            for interface in self.account.interfaces.values()
            if all(interface.tags.get(key) == value for key, value in tags.items())
        ]

    def secondary_interfaces(self) -> list[Interface]:
        """All but the instances' primary ones."""
        return [
            interface
            for interface in self.account.interfaces.values()
            if interface.attachment is None or interface.attachment.device_index != 0
        ]

    def interface(self, interface_id: str) -> Interface:
        found = self.account.interfaces.get(interface_id)
        if found is None:
            raise KeyError(interface_id)
        return found

    def instance(self, instance_id: str) -> Instance:
        """As it is now; a terminated one is found until it is forgotten."""
        return self.account.instance(instance_id)

    def instances(self) -> list[Instance]:
        return list(self.account.instances.values())

    def interfaces_of(self, instance_id: str) -> list[Interface]:
        return self.account.interfaces_of(instance_id)

    # Acting as somebody else

    def terminate(self, instance_id: str) -> None:
        self.lifecycle.terminate(self.account.instance(instance_id))

    def stop_instance(self, instance_id: str) -> None:
        self.lifecycle.stop_instance(self.account.instance(instance_id))

    def start_instance(self, instance_id: str) -> None:
        self.lifecycle.start(self.account.instance(instance_id))

    def remove_interface(self, interface_id: str) -> None:
        """Gone without a trace, as if a person had deleted it, attached or not."""
        self.account.drop_interface(self.interface(interface_id))


def _named(name: str) -> dict[str, str]:
    return {"Name": name} if name else {}
