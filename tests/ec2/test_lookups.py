"""Subnets, groups, instances and types: asked for one by one, described together, kept for a while."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from nodeeni.ec2.errors import EC2Error, ErrorClass, RetryRule
from nodeeni.ec2.lookups import Ages, Lookups
from nodeeni.sandbox.ec2 import Fault

from .conftest import Site, eventually


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def lookups(site: Site, clock: Clock) -> AsyncIterator[Lookups]:
    lookups = Lookups(site.client, ages=Ages(instances=300, subnets=60, negative=30), clock=clock)
    yield lookups
    await lookups.close()


async def test_those_who_ask_together_share_describes_of_at_most_200(site: Site, lookups: Lookups) -> None:
    instances = [site.ec2.add_instance(site.subnet) for _ in range(250)]
    found = await asyncio.gather(*(lookups.instance(instance.id) for instance in instances * 2))
    assert [instance and instance.id for instance in found] == [instance.id for instance in instances * 2]
    assert site.count("DescribeInstances") == 2
    await asyncio.gather(*(lookups.instance(instance.id) for instance in instances))
    assert site.count("DescribeInstances") == 2


def _work() -> None:
    """In which nothing else is heard."""
    time.sleep(0.0025)


async def test_those_who_come_to_ask_one_after_another_share_a_describe_too(site: Site) -> None:
    """As nodes do that are planned by and by: each turn of the loop takes longer than one gathers for."""
    patient = Lookups(site.client, ages=Ages(gathering=60))
    instances = [site.ec2.add_instance(site.subnet) for _ in range(150)]
    asked = []
    for instance in instances:
        asked.append(asyncio.create_task(patient.instance(instance.id)))
        _work()
        await asyncio.sleep(0)
    found = await asyncio.gather(*asked)
    assert [instance and instance.id for instance in found] == [instance.id for instance in instances]
    assert site.count("DescribeInstances") == 1
    await patient.close()


async def test_what_is_expected_together_is_asked_in_full_describes_and_who_comes_late_has_the_answer(
    site: Site, lookups: Lookups
) -> None:
    instances = [site.ec2.add_instance(site.subnet).id for _ in range(450)]
    lookups.expect_instances(instances)
    await eventually(lambda: lookups.known_instance(instances[-1]) is not None)
    found = [await lookups.instance(instance_id) for instance_id in instances]
    assert [instance and instance.id for instance in found] == instances
    assert site.count("DescribeInstances") == 3


async def test_subnets_and_groups_that_are_expected_are_asked_for_without_waiting_for_others_who_ask(
    site: Site,
) -> None:
    """Before nodes are planned that need them, which takes longer than one gathers for."""
    lookups = Lookups(site.client, ages=Ages(window=60, gathering=60))
    async with asyncio.timeout(20):
        lookups.expect_subnets([site.subnet.id], [], at_once=True)
        lookups.expect_groups([site.group.id], ["multus-sg"], at_once=True)
        assert [each.id for each in await lookups.subnets([site.subnet.id], [])] == [site.subnet.id]
        assert [each.id for each in await lookups.groups([site.group.id], ["multus-sg"])] == [site.group.id]
    await lookups.close()


async def test_those_who_ask_for_subnets_and_groups_by_and_by_share_a_describe(
    site: Site, lookups: Lookups
) -> None:
    """As nodes do that are planned anew, a few in each turn of the loop, where the answers have expired."""
    asked = list[asyncio.Task[object]]()
    for number in range(40):
        asked.append(asyncio.create_task(lookups.subnets([f"subnet-{number:017x}"], [])))
        asked.append(asyncio.create_task(lookups.groups([f"sg-{number:017x}"], [])))
        await asyncio.sleep(0)
    assert await asyncio.gather(*asked) == [[]] * 80
    assert (site.count("DescribeSubnets"), site.count("DescribeSecurityGroups")) == (1, 1)


async def test_where_the_first_part_of_what_is_expected_is_refused_the_others_are_not_asked_for(
    site: Site, lookups: Lookups
) -> None:
    instances = [site.ec2.add_instance(site.subnet).id for _ in range(450)]
    site.ec2.faults.error("DescribeInstances", "UnauthorizedOperation")
    lookups.expect_instances(instances)
    asked = [asyncio.create_task(lookups.instance(instance_id)) for instance_id in instances]
    refused = await asyncio.gather(*asked, return_exceptions=True)
    assert {getattr(error, "code", "") for error in refused} == {"UnauthorizedOperation"}
    assert site.count("DescribeInstances") == 1


async def test_an_answer_ages_and_is_asked_for_again(site: Site, lookups: Lookups, clock: Clock) -> None:
    async def free() -> int:
        [subnet] = await lookups.subnets([site.subnet.id], [])
        return subnet.free_addresses

    before = await free()
    site.ec2.plant_interface(site.subnet)
    clock.now = 59
    assert await free() == before
    clock.now = 61
    assert await free() == before - 1
    site.ec2.plant_interface(site.subnet)
    lookups.invalidate_subnet(site.subnet.id)
    assert await free() == before - 2


async def test_names_lead_to_subnets_of_every_vpc_and_an_id_listed_twice_counts_once(
    site: Site, lookups: Lookups
) -> None:
    other_vpc = site.ec2.add_vpc(cidr="172.16.0.0/12")
    other = site.ec2.add_subnet(other_vpc, "b", "172.16.0.0/24", name="multus")
    found = await lookups.subnets([site.subnet.id], ["multus", "no-such-name"])
    assert {(subnet.id, subnet.vpc_id, subnet.zone) for subnet in found} == {
        (site.subnet.id, site.vpc.id, "us-west-2a"),
        (other.id, other_vpc.id, "us-west-2b"),
    }
    assert len(found) == 2
    lookups.invalidate_subnet(other.id)
    await lookups.subnets([], ["multus"])
    assert site.count("DescribeSubnets") == 3


async def test_groups_are_found_by_id_by_group_name_and_by_tag(site: Site, lookups: Lookups) -> None:
    tagged = site.ec2.add_security_group(site.vpc, group_name="sg-made-by-terraform", name="multus-sg")
    by_id = site.ec2.add_security_group(site.vpc, group_name="by-id")
    found = await lookups.groups([by_id.id, "sg-0123456789abcdef0"], ["multus-sg"])
    assert {group.id for group in found} == {site.group.id, tagged.id, by_id.id}
    assert len(found) == 3


async def test_what_does_not_exist_is_asked_for_again_soon(
    site: Site, lookups: Lookups, clock: Clock
) -> None:
    missing = "i-0123456789abcdef0"
    assert await lookups.instance(missing) is None
    site.ec2.add_instance(site.subnet, id=missing)
    clock.now = 29
    assert await lookups.instance(missing) is None
    clock.now = 31
    found = await lookups.instance(missing)
    assert found is not None
    assert found.state == "running"


async def test_instances_that_came_and_went_leave_nothing_behind(
    site: Site, lookups: Lookups, clock: Clock
) -> None:
    """A cluster that scales makes a thousand instances a day, for months."""
    for _ in range(5):
        ended = [site.ec2.add_instance(site.subnet).id for _ in range(20)]
        for instance_id in ended:
            site.ec2.terminate(instance_id)
        await asyncio.gather(*(lookups.instance(instance_id) for instance_id in ended))
        clock.now += 301
    last = site.ec2.add_instance(site.subnet).id
    await lookups.instance(last)
    assert list(lookups._instances._kept) == [last]


async def test_an_instance_type_is_asked_for_once(site: Site, lookups: Lookups, clock: Clock) -> None:
    for _ in range(3):
        found = await lookups.instance_type("m5.large")
        assert found is not None
        assert found.max_interfaces == 3
        clock.now += 100_000
    assert await lookups.instance_type("x9.nonsense") is None
    assert site.count("DescribeInstanceTypes") == 2


async def test_an_answer_under_way_when_it_is_invalidated_is_not_kept(site: Site, lookups: Lookups) -> None:
    instance = site.ec2.add_instance(site.subnet)
    # The work is done, then the answer is held: it tells the past when it comes.
    site.ec2.faults.add(Fault("DescribeInstances", phase="after", delay=0.3))
    first = asyncio.create_task(lookups.instance(instance.id))
    await eventually(lambda: not site.ec2.faults.pending())
    site.ec2.vpc_cni_interface(instance, 1)
    lookups.invalidate_instance(instance.id)
    fresh = await lookups.instance(instance.id)
    assert fresh is not None
    assert len(fresh.slots) == 2
    stale = await first
    assert stale is not None
    assert len(stale.slots) == 1
    assert await lookups.instance(instance.id) == fresh
    assert site.count("DescribeInstances") == 2


async def test_an_error_reaches_all_who_ask_and_one_question_ends_it_for_all(
    site: Site, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it lasts nobody who asks costs a call."""
    monkeypatch.setattr(ErrorClass.DENIED, "retry", RetryRule(first=0.2, factor=1, most=0.2))
    instance, answered = site.ec2.add_instance(site.subnet), asyncio.Event()
    lookups.answered = answered.set
    site.ec2.faults.error("DescribeInstances", "UnauthorizedOperation")
    answers = await asyncio.gather(*(lookups.instance(instance.id) for _ in range(3)), return_exceptions=True)
    assert [answer.error_class for answer in answers if isinstance(answer, EC2Error)] == [
        ErrorClass.DENIED
    ] * 3
    for _ in range(10):
        with pytest.raises(EC2Error, match="UnauthorizedOperation"):
            await lookups.instance(instance.id)
    assert site.count("DescribeInstances") == 1
    await asyncio.wait_for(answered.wait(), 30)
    assert await lookups.instance(instance.id) is not None
    assert site.count("DescribeInstances") == 2


async def test_who_gives_up_does_not_take_the_answer_from_the_others(site: Site, lookups: Lookups) -> None:
    instance = site.ec2.add_instance(site.subnet)
    impatient = asyncio.create_task(lookups.instance(instance.id))
    patient = asyncio.create_task(lookups.instance(instance.id))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is not None
    assert site.count("DescribeInstances") == 1
