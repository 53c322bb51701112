"""`nodeeni doctor` where something does not go: attached orphans, deletions that wait, missing CRDs."""

import datetime

import pytest
from tests.cli.looking import NAME, Seen, Site, until

from nodeeni.api.names import FINALIZER, GROUP
from nodeeni.flags import UsageError
from nodeeni.plan.brake import hold_id

CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")
DEFINITION = "nodeenis.networking.k8s.aws"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def told(seen: Seen, check: str) -> list[tuple[str, str]]:
    return [(entry["result"], entry["message"]) for entry in seen.json if entry["check"] == check]


async def test_an_attached_orphan_of_a_cluster_without_nodeenis_is_for_cleanup(site: Site) -> None:
    node = await site.node("n1")
    attached = site.plant(node, owner="gone", uid="a-uid-that-is-gone", attached=True)
    ((result, message),) = told(await site.run("doctor", "-o", "json"), "ENIs without a NodeENI")
    assert result == "wrong"
    assert message == (
        f"{attached.id} (gone, in-use): a running controller removes them after its grace period, unless it "
        f"holds them; without one `nodeeni cleanup --cluster-id {site.cluster_id}` detaches and deletes them"
    )
    cleaned = await site.run("cleanup", "--cluster-id", site.cluster_id, "--yes", "--interval", "50ms")
    assert cleaned.status == 0
    assert site.world.ec2.interfaces(NodeENI="gone") == []


async def test_an_attached_orphan_beside_enis_in_use_is_for_cleanup_by_its_id(site: Site) -> None:
    """Without the id, cleanup takes all or nothing of a cluster."""
    node = await site.node("n1")
    site.apply()
    orphan = site.plant(node, owner="gone", uid="a-uid-that-is-gone", attached=True)
    site.plant(node, owner=NAME, uid=(site.world.nodeeni(NAME) or {})["metadata"]["uid"])
    ((_, message),) = told(await site.run("doctor", "-o", "json"), "ENIs without a NodeENI")
    assert f"`nodeeni cleanup --release-hold {hold_id([orphan.id])}` detaches and deletes" in message
    with pytest.raises(UsageError, match=NAME):
        await site.run("cleanup", "--cluster-id", site.cluster_id, "--yes")
    by_id = ("--release-hold", hold_id([orphan.id]), "--yes", "--interval", "50ms")
    assert (await site.run("cleanup", *by_id)).status == 0
    assert [i.tags["NodeENI"] for i in site.world.ec2.interfaces(Node=node.name)] == [NAME]


def _reasons(site: Site) -> list[str]:
    status = (site.world.nodeeni(NAME) or {}).get("status") or {}
    return [condition["reason"] for condition in status.get("conditions", [])]


async def test_enis_that_the_controller_takes_for_another_clusters_are_told_whatever_id_doctor_has(
    site: Site,
) -> None:
    """Asked without the --cluster-id of the controller, all would look well."""
    await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    async with site.controller("--cluster-id=another"):
        await until(lambda: "OtherClusterID" in _reasons(site))
    ((result, message),) = told(await site.run("doctor", "-o", "json"), f"NodeENI {NAME}")
    assert result == "wrong"
    assert f"carries cluster id {site.cluster_id}, not another" in message


async def test_a_free_orphan_can_be_deleted_at_once(site: Site) -> None:
    node = await site.node("n1")
    site.plant(node, owner="gone", uid="a-uid-that-is-gone")
    ((_, message),) = told(await site.run("doctor", "-o", "json"), "ENIs without a NodeENI")
    assert message.endswith("without one delete them with `aws ec2 delete-network-interface`")


async def test_without_the_custom_resources_ec2_is_looked_at_all_the_same(site: Site) -> None:
    node = await site.node("n1")
    orphan = site.plant(node, owner=NAME, uid="a-uid-that-is-gone", attached=True)
    for name in (DEFINITION, "eninodes.networking.k8s.aws"):
        await site.remove_definition(name)
    seen = await site.run("doctor", "-o", "json")
    assert seen.status == 1
    assert told(seen, DEFINITION) == [("wrong", "is not installed: kubectl apply -f deploy/crds")]
    assert told(seen, "AWS credentials")[0][0] == "right"
    assert told(seen, "ENIs of this cluster") == [("right", "1 ENI by cluster tag")]
    ((result, message),) = told(seen, "ENIs without a NodeENI")
    assert (result, message.partition(":")[0]) == ("wrong", f"{orphan.id} ({NAME}, in-use)")


def in_deletion(site: Site, minutes: int, *finalizers: str) -> None:
    """The NodeENI is being deleted for so long, held by these finalizers."""
    site.world.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": list(finalizers)}})
    site.world.kube.delete(GROUP, "nodeenis", NAME)
    stored = site.world.kube.get(GROUP, "nodeenis", NAME)
    assert stored is not None
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    aged = {**stored["metadata"], "deletionTimestamp": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
    site.world.kube.store.put(DEFINITION, ("", NAME), {**stored, "metadata": aged})


async def test_a_nodeeni_that_does_not_go_tells_what_it_waits_for(site: Site) -> None:
    site.apply()
    site.report(attachments=[{"nodeID": "n1", "eniID": "eni-1", "status": "detaching"}])
    in_deletion(site, 12, FINALIZER)
    message = (
        f"has been in deletion for 12m: its finalizer {FINALIZER} waits until the controller has removed "
        f"eni-1: is it running, and what does `nodeeni status {NAME}` tell?"
    )
    assert told(await site.run("doctor", "-o", "json"), f"NodeENI {NAME}") == [("wrong", message)]


@pytest.mark.parametrize(
    ("finalizers", "waits"),
    [
        ((FINALIZER,), "has seen that EC2 has no ENI of it: is it running"),
        (("a/finalizer",), "12m: a/finalizer is not ours: whoever set it has to take it off"),
        ((FINALIZER, "a/finalizer"), "tell?; a/finalizer is not ours"),
    ],
)
async def test_each_finalizer_has_its_own_words(site: Site, finalizers: tuple[str, ...], waits: str) -> None:
    site.apply()
    in_deletion(site, 12, *finalizers)
    ((_, message),) = told(await site.run("doctor", "-o", "json"), f"NodeENI {NAME}")
    assert waits in message


async def test_a_nodeeni_that_has_just_been_deleted_is_not_worth_a_line(site: Site) -> None:
    site.apply()
    in_deletion(site, 2, FINALIZER)
    assert told(await site.run("doctor", "-o", "json"), f"NodeENI {NAME}") == []


async def test_a_definition_that_is_being_deleted(site: Site) -> None:
    site.apply()
    site.world.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": [FINALIZER]}})
    site.world.kube.delete(*CRDS, DEFINITION)
    await until(lambda: (site.world.nodeeni(NAME) or {})["metadata"].get("deletionTimestamp") is not None)
    seen = await site.run("doctor", "-o", "json")
    message = (
        f"is being deleted: its finalizer {CLEANUP} waits until no NodeENI is left; once it is gone: "
        "kubectl apply -f deploy/crds"
    )
    assert told(seen, DEFINITION) == [("wrong", message)]
    assert told(seen, "ENIs of this cluster"), "the rest is looked at all the same"


async def test_links_whose_names_came_out_wrong_are_noted_in_one_line(site: Site) -> None:
    for name in ("n1", "n2"):
        site.report_links(name, {"macAddress": "02:01", "linkName": "eth1", "state": "Up", "note": "why"})
    site.report_links("n3", {"macAddress": "02:03", "linkName": "ens6", "state": "Up"})
    seen = await site.run("doctor", "-o", "json")
    assert told(seen, "links") == [("note", "eth1 on n1, eth1 on n2: why")]
