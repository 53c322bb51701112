"""The inventory fed by the real client: what a controller sees after a start, and with reads that lag."""

import asyncio
import time

import pytest

from nodeeni.api.names import TAG_CLUSTER, TAG_UID, interface_tags
from nodeeni.ec2.errors import EC2Error, ErrorClass
from nodeeni.ec2.inventory import Inventory
from nodeeni.ec2.types import Attachment

from .conftest import CLUSTER, OpenSite, Site, eventually


def ours(uid: str, node: str, instance_id: str) -> dict[str, str]:
    return interface_tags(cluster_id=CLUSTER, nodeeni="multus", uid=uid, node=node, instance_id=instance_id)


async def test_a_start_finds_all_of_ours_by_tag_and_none_of_others(site: Site) -> None:
    instance = site.ec2.add_instance(site.subnet, "m5.xlarge")
    attached = site.ec2.plant_interface(
        site.subnet, tags=ours("uid-1", "node-1", instance.id), instance=instance, device_index=2
    )
    loose = site.ec2.plant_interface(site.subnet, tags=ours("uid-2", "node-1", "i-other"))
    site.ec2.vpc_cni_interface(instance, 1)
    site.ec2.plant_interface(site.subnet, tags=ours("uid-1", "node-1", instance.id) | {TAG_CLUSTER: "other"})

    inventory = Inventory(site.client, CLUSTER)
    assert inventory.last_refresh is None
    await inventory.refresh()
    assert {found.id for found in inventory.all()} == {attached.id, loose.id}
    assert {found.id for found in inventory.of_node("node-1")} == {attached.id, loose.id}
    assert [found.id for found in inventory.of_instance(instance.id)] == [attached.id]
    assert [found.id for found in inventory.of_nodeeni("uid-2")] == [loose.id]
    found = inventory.get(attached.id)
    assert found is not None
    assert found.attachment is not None
    assert (found.attachment.instance_id, found.attachment.device_index) == (instance.id, 2)
    assert inventory.last_refresh is not None


async def test_a_read_that_fails_half_way_counts_for_nothing(site: Site) -> None:
    for number in range(550):
        site.ec2.plant_interface(site.subnet, tags=ours("uid-1", f"node-{number}", "i-1"))
    inventory = Inventory(site.client, CLUSTER, gap=0)
    await inventory.refresh()
    site.ec2.faults.error("DescribeNetworkInterfaces", "UnauthorizedOperation", times=None, MaxResults="500")
    refreshed = inventory.last_refresh
    with pytest.raises(EC2Error) as denied:
        await inventory.refresh()
    assert denied.value.error_class is ErrorClass.DENIED
    assert (len(inventory.all()), inventory.last_refresh) == (550, refreshed)
    assert inventory.confirmed_empty("uid-without-any", 0) == 1


async def test_nodeenis_that_came_and_went_leave_nothing_behind(site: Site) -> None:
    inventory = Inventory(site.client, CLUSTER, lag=0, gap=0)
    for number in range(100):
        uid = f"uid-{number}"
        found = site.ec2.plant_interface(site.subnet, tags=ours(uid, "node-1", "i-1"))
        await inventory.refresh()
        site.ec2.remove_interface(found.id)
        await inventory.refresh(uid=uid)
        await inventory.refresh(uid=uid)
        assert inventory.confirmed_empty(uid, 0) > 0
    assert (len(inventory.all()), inventory.confirmed_empty("uid-0", 0)) == (0, 1)
    assert max(len(inventory._proofs._uid_reads), len(inventory._proofs._counts_from)) <= 33


async def test_the_reads_of_one_nodeeni_prove_it_empty(site: Site) -> None:
    kept = site.ec2.plant_interface(site.subnet, tags=ours("uid-1", "node-1", "i-1"))
    gone = site.ec2.plant_interface(site.subnet, tags=ours("uid-2", "node-2", "i-2"))
    inventory = Inventory(site.client, CLUSTER, lag=0, gap=0.05)
    await inventory.refresh()
    site.ec2.remove_interface(gone.id)
    since = time.monotonic()
    await inventory.refresh(uid="uid-2")
    assert inventory.confirmed_empty("uid-2", since) == 0
    await asyncio.sleep(0.06)
    await inventory.refresh(uid="uid-2")
    assert [found.id for found in inventory.all()] == [kept.id]
    assert inventory.confirmed_empty("uid-2", since) == 2
    assert inventory.confirmed_empty("uid-1", since) == 0


async def test_by_uid_it_finds_what_lost_our_tag_and_what_has_another(site: Site) -> None:
    """All that is asked: a describe for every 200 NodeENIs."""
    tagged = ours("uid-1", "node-1", "i-1")
    found = {
        site.ec2.plant_interface(site.subnet, tags={**tagged, TAG_CLUSTER: value}).id
        for value in ("", "another")
    }
    site.ec2.plant_interface(site.subnet, tags={**ours("uid-x", "node-1", "i-1"), TAG_CLUSTER: "another"})
    inventory = Inventory(site.client, CLUSTER, concerns=lambda each, known: each.tags[TAG_UID] == "uid-1")
    await inventory.refresh()
    assert inventory.all() == []
    before = site.count("DescribeNetworkInterfaces")
    await inventory.look_for([f"uid-{number}" for number in range(401)])
    assert site.count("DescribeNetworkInterfaces") - before == 3
    assert {each.id for each in inventory.all()} == found
    assert inventory.confirmed_empty("uid-2", 0) == 1, "it proves nothing of those that it does not show"
    await inventory.refresh()
    await inventory.refresh()
    assert {each.id for each in inventory.all()} == found, "though no read by cluster tag shows them"


async def test_former_ids_are_read_with_the_present_one(site: Site) -> None:
    tagged = ours("uid-1", "node-1", "i-1")
    ids = [site.ec2.plant_interface(site.subnet, tags={**tagged, TAG_CLUSTER: value}).id for value in "abc"]
    inventory = Inventory(site.client, CLUSTER, ("a", "c"))
    await inventory.refresh()
    assert {each.id for each in inventory.all()} == {ids[0], ids[2]}


async def test_an_attach_and_a_detach_hold_while_ec2_shows_the_past(open_site: OpenSite) -> None:
    site = await open_site(stale_reads=0.4)
    instance = site.ec2.add_instance(site.subnet, "m5.xlarge")
    inventory = Inventory(site.client, CLUSTER, lag=2, gap=0.01)
    made = await site.client.create_interface(site.request("token-1"))
    assert inventory.note_created(made)
    await inventory.refresh()
    await inventory.refresh()
    assert inventory.get(made.id) == made

    attachment_id = await site.client.attach(made.id, instance.id, 1)
    inventory.note_attaching(made.id, Attachment(attachment_id, instance.id, 1, 0, "attaching"))
    statuses = await _statuses_until(inventory, made.id, "attached")
    assert set(statuses) <= {"attaching", "attached"}

    await site.client.detach(attachment_id)
    inventory.note_detaching(made.id)
    statuses = await _statuses_until(inventory, made.id, None)
    assert set(statuses) <= {"detaching", None}

    since = time.monotonic()
    await site.client.delete(made.id)
    inventory.note_deleted(made.id)
    while inventory.confirmed_empty("uid-1", since) < 2:
        await inventory.refresh(uid="uid-1")
        assert inventory.all() == []
    assert time.monotonic() - since >= 0.35  # not before EC2 has stopped showing it


async def test_five_thousand_interfaces_are_read_in_pages(open_site: OpenSite) -> None:
    site = await open_site()
    for number in range(5000):
        site.ec2.plant_interface(site.subnet, tags=ours("uid-1", f"node-{number}", f"i-{number}"))
    inventory = Inventory(site.client, CLUSTER)
    heard: list[str] = []
    inventory.add_listener(lambda before, after: heard.append(after.id if after else ""))
    await inventory.refresh()
    assert (len(inventory.all()), len(heard), site.count("DescribeNetworkInterfaces")) == (5000, 5000, 10)
    assert [found.tags["Node"] for found in inventory.of_node("node-4711")] == ["node-4711"]


async def _statuses_until(inventory: Inventory, eni_id: str, last: str | None) -> list[str | None]:
    """The attachment's status after each read, until it is `last`."""
    statuses: list[str | None] = []

    def status() -> str | None:
        found = inventory.get(eni_id)
        assert found is not None
        return found.attachment.status if found.attachment else None

    deadline = time.monotonic() + 30
    while not statuses or statuses[-1] != last:
        await inventory.refresh()
        statuses.append(status())
        assert time.monotonic() < deadline
    await eventually(lambda: status() == last)
    return statuses
