"""The room as a whole at EC2's documented buckets: the burst at once, then the refill, nothing throttled."""

import asyncio
import time
from contextlib import suppress

from nodeeni.ec2.buckets import Buckets, Urgency
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Action, Attachment, Interface
from nodeeni.ec2.waiter import Waiter
from nodeeni.sandbox.ec2 import EC2Settings

from .conftest import CLUSTER, OpenSite, Site, eventually


class Fleet:
    """Attaches one interface to each of many instances, as the controller's executor would."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.inventory = Inventory(site.client, CLUSTER)
        self.buckets = Buckets()
        self.instances: list[str] = []
        self.attached_at: dict[str, float] = {}
        self.inventory.add_listener(self._note)

    async def attach_all(self, number: int) -> float:
        """Seconds until the inventory shows the last one attached."""
        self.instances = [self.site.ec2.add_instance(self.site.subnet).id for _ in range(number)]
        await self.inventory.refresh()  # as a controller that has started has done
        waiter = asyncio.create_task(Waiter(self.inventory).run())
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for index in range(number):
                group.create_task(self._attach(index))
        await eventually(lambda: len(self.attached_at) == number, within=60)
        waiter.cancel()
        with suppress(asyncio.CancelledError):
            await waiter
        self.buckets.close()
        return max(self.attached_at.values()) - started

    async def _attach(self, index: int) -> None:
        await self.buckets.spend(Action.CREATE, (Urgency.ATTACH, 1))
        made = await self.site.client.create_interface(
            self.site.request(f"token-{index}", node=f"node-{index}")
        )
        self.inventory.note_created(made)
        await self.buckets.spend(Action.ATTACH, (Urgency.ATTACH, 1))
        instance_id = self.instances[index]
        attachment_id = await self.site.client.attach(made.id, instance_id, 1)
        self.inventory.note_attaching(made.id, Attachment(attachment_id, instance_id, 1, 0, "attaching"))

    def _note(self, before: Interface | None, after: Interface | None) -> None:
        if after is not None and after.attachment is not None and after.attachment.status == "attached":
            self.attached_at.setdefault(after.id, time.monotonic())


async def test_a_fleet_is_attached_at_the_pace_of_ec2(open_site: OpenSite) -> None:
    number, limit = 60, 0.6 + 1.0 + 10 / 5
    documented = EC2Settings()
    site = await open_site(
        replies=documented.replies,
        reply=documented.reply,
        attaching=documented.attaching,
        buckets=documented.buckets,
    )
    seconds = await Fleet(site).attach_all(number)
    describes = site.count("DescribeNetworkInterfaces")
    print(f"{number} attached in {seconds:.2f} s, limit {limit:.1f} s, {describes} describes")
    assert site.ec2.calls.throttled == 0
    assert limit <= seconds <= 1.1 * limit + 0.5  # half a second for what else this machine does
    assert describes <= 30
