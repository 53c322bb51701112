"""Secondary addresses and prefixes: made with the ENI, changed in place, and refused before any call."""

from typing import Any

import msgspec
import pytest
from tests.faults.right import addresses

from nodeeni.sandbox.ec2 import Fault
from nodeeni.sandbox.ec2.instance_types import INSTANCE_TYPES
from nodeeni.sandbox.ec2.model import Interface

from .conftest import NAME, Stage

IPV6 = "2001:db8:0:1::/64"
# By field: what of an interface it counts, and in what EC2's answers, our status and the ENINode list it.
KINDS = {
    "secondaryPrivateIPCount": "secondaryPrivateIPAddresses",
    "ipv4PrefixCount": "ipv4Prefixes",
    "ipv6AddressCount": "ipv6Addresses",
    "ipv6PrefixCount": "ipv6Prefixes",
}


def counted(interface: Interface, field: str) -> tuple[str, ...]:
    return addresses(interface)[field]


def asked(field: str, count: int) -> dict[str, Any]:
    return {field: count}


def dual_stack(stage: Stage, cidr: str = "10.20.0.0/16", **more: Any) -> str:
    """The id of a subnet with both families."""
    return stage.ec2.add_subnet(stage.world.vpc, "a", cidr, ipv6_cidr=IPV6, **more).id


def told_of(stage: Stage, entry: dict[str, Any], field: str) -> list[str]:
    if field == "secondaryPrivateIPCount" and "privateIPAddresses" in entry:
        return list(entry["privateIPAddresses"][1:])
    return list(entry.get(KINDS[field], []))


def is_told(stage: Stage, field: str, node: Any) -> bool:
    """Whether status and ENINode list what EC2 has."""
    (interface,) = stage.ours()
    eninode = stage.world.eninode(node.name)
    (entry,) = eninode["spec"]["interfaces"] if eninode else ({},)
    wanted = list(counted(interface, field))
    return told_of(stage, stage.row(node), field) == wanted == told_of(stage, entry, field)


@pytest.mark.parametrize("field", KINDS)
async def test_they_come_with_the_interface_and_cost_no_call_more(stage: Stage, field: str) -> None:
    node = await stage.node()
    stage.apply(subnetID=dual_stack(stage), **asked(field, 3))
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] == 1)
        await stage.until(lambda: is_told(stage, field, node))
        (interface,) = stage.ours()
        assert len(counted(interface, field)) == 3
        await stage.stays(lambda: sum(stage.calls().values()) == 3)
    assert stage.calls() == {
        "CreateNetworkInterface": 1,
        "AttachNetworkInterface": 1,
        "ModifyNetworkInterfaceAttribute": 1,
    }


@pytest.mark.parametrize("field", KINDS)
async def test_a_count_is_edited_in_place(stage: Stage, field: str) -> None:
    """More are assigned; of fewer the last ones go; and a field that is taken out leaves what there is."""
    node = await stage.node()
    stage.apply(subnetID=dual_stack(stage))
    async with stage.controller("--read-lag=300ms"):
        await stage.until_attached(node)
        (made,) = stage.ours()
        held: tuple[str, ...] = ()
        for count in (2, 5, 3, 0, 1):
            stage.apply(subnetID=made.subnet_id, **asked(field, count))
            await stage.until(lambda: len(counted(stage.ours()[0], field)) == count)  # noqa: B023
            await stage.until(lambda: is_told(stage, field, node))
            now = counted(stage.ours()[0], field)
            assert now[: len(held)] == held[: len(now)], "the last ones go, and the first ones stay"
            held = now
        stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"spec": {field: None}})
        await stage.until(lambda: stage.status().get("observedGeneration") == 7)
        await stage.stays(lambda: counted(stage.ours()[0], field) == held)
    (after,) = stage.ours()
    assert (after.id, after.private_ips[0]) == (made.id, made.private_ips[0])
    family = "PrivateIp" if "rivateIP" in field or "ipv4" in field else "Ipv6"
    assert stage.calls()[f"Assign{family}Addresses"] == 3
    assert stage.calls()[f"Unassign{family}Addresses"] == 2
    assert "DetachNetworkInterface" not in stage.calls()


async def test_one_form_takes_the_place_of_the_other_in_one_edit(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(secondaryPrivateIPCount=3)
    async with stage.controller():
        await stage.until_attached(node)
        stage.apply(secondaryPrivateIPCount=0, ipv4PrefixCount=2)
        await stage.until(lambda: len(stage.ours()[0].ipv4_prefixes) == 2)
        await stage.until(lambda: len(stage.ours()[0].private_ips) == 1)
        await stage.until(lambda: is_told(stage, "ipv4PrefixCount", node))


async def test_what_a_person_assigned_stays_where_nothing_is_counted_and_goes_where_it_is(
    stage: Stage,
) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms"):
        await stage.until_attached(node)
        (made,) = stage.ours()
        by_hand = tuple(stage.ec2.account.pools[made.subnet_id].take(2))
        now = msgspec.structs.replace(stage.ours()[0], private_ips=(*made.private_ips, *by_hand))
        stage.ec2.account.put(now)
        await stage.until(lambda: stage.row(node).get("secondaryPrivateIPAddresses") == list(by_hand))
        await stage.stays(lambda: stage.ours()[0].private_ips[1:] == by_hand)
        stage.apply(secondaryPrivateIPCount=1)
        await stage.until(lambda: stage.ours()[0].private_ips[1:] == by_hand[:1])
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"secondaryPrivateIPCount": 15},
            "15 secondary IPv4 addresses beside the primary one are asked for: lower spec.sec",
        ),
        ({"ipv4PrefixCount": 15}, "15 IPv4 prefixes beside the primary one are asked for: lower"),
        (
            {"ipv6AddressCount": 16},
            "16 IPv6 addresses are asked for: lower spec.ipv6AddressCount (15 at most)",
        ),
        ({"ipv6PrefixCount": 16}, "16 IPv6 prefixes are asked for: lower spec.ipv6PrefixCount (15 at most)"),
    ],
    ids=KINDS,
)
async def test_more_than_the_type_holds_is_refused_before_any_call(
    stage: Stage, spec: dict[str, Any], told: str
) -> None:
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet, **spec)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "TooManyAddresses")
        row = stage.row(node)
        assert (row["status"], told in row["message"]) == ("failed", True), row["message"]
        await stage.stays(lambda: not stage.calls())
        assert stage.condition("Degraded")["reason"] == "TooManyAddresses"
        (field,) = spec
        stage.apply(subnetID=subnet, **asked(field, 2))
        await stage.until_attached(node)
        # What works stays as it is, and what else is edited is applied all the same.
        before = dict(stage.calls())
        stage.apply(subnetID=subnet, **spec)
        await stage.until(lambda: "stays attached as it was" in stage.row(node).get("message", ""))
        await stage.stays(lambda: dict(stage.calls()) == before)
        stage.apply(subnetID=subnet, description="edited", **spec)
        await stage.until(lambda: stage.ours()[0].description == "edited")
        assert len(counted(stage.ours()[0], field)) == 2


async def test_a_subnet_without_a_block_is_left_for_the_next(stage: Stage) -> None:
    """The one with most free addresses has none in one piece; the other one has."""
    broken = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/24")
    whole = stage.ec2.add_subnet(stage.world.vpc, "a", "10.21.0.0/25")
    for block in range(0, 256, 16):
        stage.ec2.account.pools[broken.id].take_this(f"10.20.0.{block + 8}")
    node = await stage.node()
    stage.apply(subnetID=None, subnetIDs=[broken.id, whole.id], ipv4PrefixCount=1)
    async with stage.controller():
        await stage.until_attached(node)
    (interface,) = stage.ours()
    assert (interface.subnet_id, len(interface.ipv4_prefixes)) == (whole.id, 1)


async def test_without_a_block_anywhere_the_way_out_is_a_reservation(stage: Stage) -> None:
    subnet = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/26")
    for address in (24, 40, 56):
        stage.ec2.account.pools[subnet.id].take_this(f"10.20.0.{address}")
    node = await stage.node()
    stage.apply(subnetID=subnet.id, ipv4PrefixCount=1)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NoFreePrefix")
        message = stage.row(node)["message"]
        assert "aws ec2 create-subnet-cidr-reservation --reservation-type prefix" in message
        assert stage.ours() == []
        stage.ec2.account.pools[subnet.id].give_back("10.20.0.40")
        stage.ec2.reserve_for_prefixes(subnet, "10.20.0.32/28")
        stage.apply(subnetID=subnet.id, ipv4PrefixCount=1, mtu=9001)
        await stage.until_attached(node)
    assert stage.ours()[0].ipv4_prefixes == ("10.20.0.32/28",)


@pytest.mark.parametrize(
    ("spec", "reason", "way_out"),
    [
        ({"ipv4PrefixCount": 2}, "NoFreePrefix", "lower the count, or keep blocks there: aws ec2 create-sub"),
        ({"secondaryPrivateIPCount": 11}, "SubnetFull", "free some, or lower the count"),
    ],
    ids=["prefixes", "addresses"],
)
async def test_a_standing_interface_is_not_told_to_look_for_another_subnet(
    stage: Stage, spec: dict[str, Any], reason: str, way_out: str
) -> None:
    """It stays where it is: a further candidate would not help it."""
    node = await stage.node()
    subnet = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/28")  # 11 to be had
    stage.apply(subnetID=subnet.id)
    async with stage.controller():
        await stage.until_attached(node)
        stage.apply(subnetID=subnet.id, **spec)
        await stage.until(lambda: stage.row(node).get("reason") == reason)
        message = stage.row(node)["message"]
        assert way_out in message
        assert "spec.subnetIDs" not in message


async def test_a_subnet_with_too_few_free_addresses_is_not_asked(stage: Stage) -> None:
    subnet = stage.ec2.add_subnet(stage.world.vpc, "a", "10.20.0.0/28")  # 11 to be had
    node = await stage.node()
    stage.apply(subnetID=subnet.id, secondaryPrivateIPCount=11)
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "SubnetFull")
        assert "12 free addresses are needed" in stage.row(node)["message"]
        await stage.stays(lambda: not stage.calls())


@pytest.mark.parametrize("field", KINDS)
async def test_an_answer_that_is_lost_assigns_nothing_twice(stage: Stage, field: str) -> None:
    """EC2 has done it, and nobody was told; its reads show it late."""
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet)
    async with stage.controller("--read-lag=2s"):
        await stage.until_attached(node)
        stage.ec2.account.interfaces.lag = 1.0
        family = "Ipv6" if "ipv6" in field else "PrivateIp"
        stage.ec2.faults.add(Fault(action=f"Assign{family}Addresses", drop=True, phase="after"))
        stage.apply(subnetID=subnet, **asked(field, 4))
        await stage.until(lambda: len(counted(stage.ours()[0], field)) == 4)
        held = counted(stage.ours()[0], field)
        await stage.until(lambda: stage.row(node).get(KINDS[field]) == list(held))
        await stage.until(lambda: stage.status().get("observedGeneration") == 2)
    assert counted(stage.ours()[0], field) == held
    assert stage.calls()[f"Assign{family}Addresses"] == 1
    assert f"Unassign{family}Addresses" not in stage.calls()


@pytest.mark.parametrize("field", KINDS)
async def test_a_successor_assigns_nothing_twice(stage: Stage, field: str) -> None:
    """The controller ended as EC2 had done it, and the next one's first reads do not show it yet."""
    node = await stage.node()
    subnet = dual_stack(stage)
    stage.apply(subnetID=subnet)
    family = "Ipv6" if "ipv6" in field else "PrivateIp"
    async with stage.controller("--read-lag=2s"):
        await stage.until_attached(node)
        stage.ec2.account.interfaces.lag = 1.5
        stage.ec2.faults.add(Fault(action=f"Assign{family}Addresses", hang=True, phase="after"))
        stage.apply(subnetID=subnet, **asked(field, 4))
        await stage.until(lambda: len(counted(stage.ours()[0], field)) == 4)
    held = counted(stage.ours()[0], field)
    async with stage.controller("--read-lag=2s"):
        await stage.until(lambda: stage.row(node).get(KINDS[field]) == list(held))
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
        await stage.stays(lambda: counted(stage.ours()[0], field) == held)
    assert stage.calls()[f"Assign{family}Addresses"] == 1


async def test_as_many_as_the_type_holds_can_be_had(stage: Stage) -> None:
    node = await stage.node()
    stage.apply(secondaryPrivateIPCount=14)
    async with stage.controller():
        await stage.until_attached(node)
    assert len(stage.ours()[0].private_ips) == INSTANCE_TYPES["m5.xlarge"].addresses_per_interface == 15


@pytest.mark.parametrize(
    ("fault", "reason", "told"),
    [
        (
            Fault(action="", code="InsufficientCidrBlocks", times=None),
            "NoFreePrefix",
            "--reservation-type prefix",
        ),
        (
            Fault(action="", denied="no identity-based policy", times=None),
            "NotAuthorized",
            "ec2:AssignPrivateIpAddresses",
        ),
        (Fault(action="", code="PrivateIpAddressLimitExceeded", times=None), "InvalidReference", "correct"),
    ],
    ids=["no block", "an older policy", "a limit that EC2 alone knows"],
)
async def test_more_that_cannot_be_had_in_place_is_told_and_what_is_there_stays(
    stage: Stage, fault: Fault, reason: str, told: str
) -> None:
    node = await stage.node()
    stage.apply(ipv4PrefixCount=1)
    async with stage.controller():
        await stage.until_attached(node)
        (made,) = stage.ours()
        stage.ec2.faults.add(msgspec.structs.replace(fault, action="AssignPrivateIpAddresses"))
        stage.apply(ipv4PrefixCount=2, description="edited")
        await stage.until(lambda: stage.row(node).get("reason") == reason)
        assert told in stage.row(node)["message"]
        await stage.until(lambda: stage.ours()[0].description == "edited")
        assert stage.ours()[0].ipv4_prefixes == made.ipv4_prefixes
        stage.ec2.faults.clear()
        stage.apply(ipv4PrefixCount=2, description="edited", mtu=9001)
        await stage.until(lambda: len(stage.row(node).get("ipv4Prefixes", ())) == 2)
        await stage.until(lambda: stage.condition("Ready").get("status") == "True")
    assert stage.ours()[0].id == made.id
