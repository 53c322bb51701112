"""Attachments in progress are noticed together, soon, and with few describes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from nodeeni.ec2.buckets import BucketSize
from nodeeni.ec2.errors import RetryRule
from nodeeni.ec2.inventory import LAG, Inventory
from nodeeni.ec2.types import Attachment, Interface
from nodeeni.ec2.waiter import Pace, Waiter
from nodeeni.sandbox.ec2 import Delay

from .conftest import CLUSTER, OpenSite, Site, eventually

DESCRIBE = "DescribeNetworkInterfaces"
BRISK = Pace(first_attaching=0.05, first_detaching=0.05, quick=0.02, stream=0.05, stream_gap=0.1)


class Attacher:
    """Attaches interfaces as the executor does, and notes when the inventory says `attached`."""

    def __init__(self, site: Site, inventory: Inventory) -> None:
        self.site = site
        self.inventory = inventory
        self.begun: dict[str, float] = {}
        self.attached: dict[str, float] = {}
        inventory.add_listener(self._note)

    def _note(self, before: Interface | None, after: Interface | None) -> None:
        if after is not None and after.attachment is not None and after.attachment.status == "attached":
            self.attached.setdefault(after.id, time.monotonic())

    async def attach(self, number: int) -> str:
        instance = self.site.ec2.add_instance(self.site.subnet, "m5.large")
        request = self.site.request(f"token-{number}", node=f"node-{number}")
        made = await self.site.client.create_interface(request)
        self.inventory.note_created(made)
        attachment_id = await self.site.client.attach(made.id, instance.id, 1)
        self.begun[made.id] = time.monotonic()
        self.inventory.note_attaching(made.id, Attachment(attachment_id, instance.id, 1, 0, "attaching"))
        return made.id


@asynccontextmanager
async def waiting(
    site: Site, pace: Pace, gap: float = 0.01, lag: float = LAG
) -> AsyncIterator[tuple[Attacher, Waiter]]:
    inventory = Inventory(site.client, CLUSTER, lag=lag, gap=gap)
    waiter = Waiter(inventory, pace=pace)
    inventory.add_listener(waiter.interface_changed)
    task = asyncio.create_task(waiter.run())
    yield Attacher(site, inventory), waiter
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_fifty_attached_at_once_cost_a_few_describes(open_site: OpenSite) -> None:
    site = await open_site(attaching=Delay(1.0))
    async with waiting(site, Pace()) as (attacher, waiter):
        await asyncio.gather(*(attacher.attach(number) for number in range(50)))
        await eventually(lambda: len(attacher.attached) == 50)
        assert waiter.watching() == 0
        assert site.count(DESCRIBE) <= 20
        described = site.count(DESCRIBE)
        await asyncio.sleep(0.1)
        assert site.count(DESCRIBE) == described  # nothing is polled when nothing is in transition


async def test_evidence_from_the_node_ends_the_wait_without_a_describe(open_site: OpenSite) -> None:
    site = await open_site(attaching=Delay(5))
    async with waiting(site, Pace(first_attaching=1)) as (attacher, waiter):
        eni_id = await attacher.attach(1)
        attacher.inventory.note_attached(eni_id)
        assert waiter.watching() == 0
    assert site.count(DESCRIBE) == 0


async def test_a_detach_is_noticed(site: Site) -> None:
    async with waiting(site, BRISK) as (attacher, waiter):
        eni_id = await attacher.attach(1)
        await eventually(lambda: eni_id in attacher.attached)
        attached = attacher.inventory.get(eni_id)
        assert attached is not None
        assert attached.attachment is not None
        await site.client.detach(attached.attachment.id)
        attacher.inventory.note_detaching(eni_id)
        assert waiter.watching() == 1
        await eventually(lambda: waiter.watching() == 0)
        detached = attacher.inventory.get(eni_id)
        assert detached is not None
        assert (detached.status, detached.attachment) == ("available", None)


async def test_what_was_in_transition_before_the_start_is_watched(open_site: OpenSite) -> None:
    site = await open_site(attaching=Delay(0.3))
    async with waiting(site, BRISK) as (attacher, _):
        eni_id = await attacher.attach(1)
    async with waiting(site, BRISK) as (successor, waiter):
        await successor.inventory.refresh()
        assert waiter.watching() == 1
        await eventually(lambda: eni_id in successor.attached)


async def test_an_interface_deleted_by_hand_is_proved_gone_soon_after_the_first_read_without_it(
    site: Site,
) -> None:
    instance = site.ec2.add_instance(site.subnet, "m5.large")
    tags = site.request("unused").tags
    kept, gone = (
        site.ec2.plant_interface(site.subnet, tags=tags, instance=instance, device_index=index)
        for index in (1, 2)
    )
    async with waiting(site, BRISK, gap=0.2, lag=0) as (attacher, waiter):
        await attacher.inventory.refresh()
        assert waiter.watching() == 0
        site.ec2.remove_interface(gone.id)
        await attacher.inventory.refresh()
        assert (waiter.watching(), attacher.inventory.absent(gone.id)) == (1, True)
        await eventually(lambda: waiter.watching() == 0)
        assert [interface.id for interface in attacher.inventory.all()] == [kept.id]
        assert site.count(DESCRIBE) == 3


async def test_a_straggler_is_looked_at_less_often_and_never_given_up(site: Site) -> None:
    pace = Pace(
        first_attaching=0.02,
        quick=0.02,
        stream=0.02,
        stream_gap=0,
        slower=((0.2, 0.1), (0.4, 0.3)),
        allowance=BucketSize(100, 100),
    )
    site.ec2.faults.stick("AttachNetworkInterface")
    looks: list[float] = []  # by age
    async with waiting(site, pace) as (attacher, waiter):
        eni_id = await attacher.attach(1)
        begun = attacher.begun[eni_id]

        def age_of_last_look() -> float:
            looks[:] = [call.time - begun for call in site.ec2.calls.of(DESCRIBE)]
            return looks[-1] if looks else 0

        await eventually(lambda: age_of_last_look() >= 1.2)
        assert waiter.watching() == 1
        attacher.inventory.note_deleted(eni_id)
        assert waiter.watching() == 0
    # Looks at most: a busy machine delays some of them, and none is sooner for it.
    assert sum(0.21 < age <= 0.41 for age in looks) <= 3
    assert sum(0.41 < age <= 1.2 for age in looks) <= 4
    assert len(looks) >= 3


async def test_describes_stay_within_the_allowance(site: Site) -> None:
    pace = Pace(first_attaching=0, quick=0.001, stream=0.001, slower=(), allowance=BucketSize(10, 20))
    site.ec2.faults.stick("AttachNetworkInterface")
    async with waiting(site, pace) as (attacher, _):
        started = time.monotonic()
        await attacher.attach(1)
        await eventually(lambda: site.count(DESCRIBE) >= 16)
        seconds = time.monotonic() - started
    assert site.count(DESCRIBE) <= 10 + 20 * seconds + 1
    assert seconds >= 0.2


async def test_a_refused_describe_delays_and_loses_nobody(site: Site) -> None:
    site.ec2.faults.error(DESCRIBE, "IncorrectState")
    refused_after = Pace(first_attaching=0.05, quick=0.02, refused=RetryRule(first=0.2, factor=1, most=0.2))
    async with waiting(site, refused_after) as (attacher, waiter):
        eni_id = await attacher.attach(1)
        await eventually(lambda: eni_id in attacher.attached)
        assert waiter.watching() == 0
        assert attacher.attached[eni_id] - attacher.begun[eni_id] >= 0.2
    assert [error.code if error else None for action, error in site.reported if action == DESCRIBE] == [
        "IncorrectState",
        None,
    ]


async def test_more_than_one_filter_of_stragglers_are_all_seen(open_site: OpenSite) -> None:
    site = await open_site(attaching=Delay(0.2))
    async with waiting(site, BRISK) as (attacher, waiter):
        await asyncio.gather(*(attacher.attach(number) for number in range(230)))
        await eventually(lambda: len(attacher.attached) == 230)
        assert waiter.watching() == 0


async def test_one_that_is_doubted_is_looked_at_twice_and_no_more(open_site: OpenSite) -> None:
    site = await open_site()
    async with waiting(site, msgspec.structs.replace(BRISK, again_doubted=0.3)) as (attacher, waiter):
        eni_id = await attacher.attach(1)
        await eventually(lambda: eni_id in attacher.attached)
        await eventually(lambda: waiter.watching() == 0)
        looked = site.count(DESCRIBE)
        waiter.doubt(eni_id)
        waiter.doubt(eni_id)
        await eventually(lambda: site.count(DESCRIBE) == looked + 1)
        assert waiter.watching() == 1
        await eventually(lambda: waiter.watching() == 0)
        await asyncio.sleep(0.4)  # longer than a third look would take
        assert site.count(DESCRIBE) == looked + 2
