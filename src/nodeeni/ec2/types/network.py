"""Subnets and security groups, and the wildcards by which they are named."""

import re
from functools import lru_cache

import msgspec

from nodeeni.ec2.types.shape import Answer, Shape, TagShape, tags_of


class SubnetCidrBlockStateShape(Shape):
    state: str = ""


class SubnetIpv6CidrBlockAssociationShape(Shape):
    ipv6_cidr_block: str = ""
    ipv6_cidr_block_state: SubnetCidrBlockStateShape | None = None


class SubnetShape(Shape):
    subnet_id: str
    vpc_id: str
    availability_zone: str
    available_ip_address_count: int
    cidr_block: str = ""
    ipv6_cidr_block_association_set: tuple[SubnetIpv6CidrBlockAssociationShape, ...] = ()
    assign_ipv6_address_on_creation: bool = False
    tags: tuple[TagShape, ...] = ()
    availability_zone_id: str = ""
    owner_id: str = ""
    subnet_arn: str = ""


class Subnet(msgspec.Struct, frozen=True):
    """`cidr` is that of IPv4, `ipv6_cidr` that of IPv6, and one of them may be empty. `free_addresses` are
    those of IPv4: an IPv6-only subnet has none, and is not full. `gives_ipv6`: an address to each new
    interface, unasked. `owner_id` is the account that may share it with ours, where a zone can have another
    name: `zone_id` names it for both.
    """

    id: str
    vpc_id: str
    zone: str
    cidr: str
    free_addresses: int
    name: str = ""  # the tag `Name`
    ipv6_cidr: str = ""
    gives_ipv6: bool = False
    zone_id: str = ""
    owner_id: str = ""
    arn: str = ""

    @property
    def ipv6_only(self) -> bool:
        return bool(self.ipv6_cidr) and not self.cidr


def read_subnet(answer: Answer) -> Subnet:
    """One `Subnet` of DescribeSubnets."""
    shown = msgspec.convert(answer, SubnetShape)
    blocks = (each.ipv6_cidr_block for each in shown.ipv6_cidr_block_association_set if _is_associated(each))
    return Subnet(
        id=shown.subnet_id,
        vpc_id=shown.vpc_id,
        zone=shown.availability_zone,
        cidr=shown.cidr_block,
        free_addresses=shown.available_ip_address_count,
        name=tags_of(shown.tags).get("Name", ""),
        ipv6_cidr=next(blocks, ""),
        gives_ipv6=shown.assign_ipv6_address_on_creation,
        zone_id=shown.availability_zone_id,
        owner_id=shown.owner_id,
        arn=shown.subnet_arn,
    )


def _is_associated(shown: SubnetIpv6CidrBlockAssociationShape) -> bool:
    state = shown.ipv6_cidr_block_state
    return bool(shown.ipv6_cidr_block) and (state is None or state.state in ("", "associated"))


class SecurityGroupShape(Shape):
    group_id: str
    group_name: str
    vpc_id: str = ""
    tags: tuple[TagShape, ...] = ()


class SecurityGroup(msgspec.Struct, frozen=True):
    id: str
    vpc_id: str
    group_name: str
    name: str = ""  # the tag `Name`


def read_security_group(answer: Answer) -> SecurityGroup:
    """One `SecurityGroup` of DescribeSecurityGroups."""
    shown = msgspec.convert(answer, SecurityGroupShape)
    return SecurityGroup(
        id=shown.group_id,
        vpc_id=shown.vpc_id,
        group_name=shown.group_name,
        name=tags_of(shown.tags).get("Name", ""),
    )


class SecurityGroupForVpcShape(Shape):
    group_id: str


def read_usable_group(answer: Answer) -> str:
    """The id of one `SecurityGroupForVpc` of GetSecurityGroupsForVpc."""
    return msgspec.convert(answer, SecurityGroupForVpcShape).group_id


@lru_cache(maxsize=1024)
def _filter_value(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    parts = re.split(r"(\\.|\*|\?)", pattern)
    return re.compile(
        "".join(wild.get(part, re.escape(part.removeprefix("\\"))) for part in parts), re.DOTALL
    )


def fits(pattern: str, value: str) -> bool:
    """As the value of a filter of EC2 does: `*` is any characters, `?` is one, a backslash takes them as they
    are.
    """
    return _filter_value(pattern).fullmatch(value) is not None
