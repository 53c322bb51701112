"""What the commands that look tell of ENIs whose tags are off: left alone, or tagged anew."""

import msgspec

from nodeeni.api.names import TAG_CLUSTER, TAG_NODE, TAG_UID
from nodeeni.sandbox.ec2 import Interface

from .looking import NAME, Site


def tag(site: Site, interface: Interface, **tags: str) -> None:
    site.world.ec2.account.put(msgspec.structs.replace(interface, tags={**interface.tags, **tags}))


async def _attached(site: Site) -> Interface:
    await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    (interface,) = site.world.ec2.interfaces(NodeENI=NAME)
    return interface


def _told(seen: list[dict[str, str]], check: str) -> list[tuple[str, str]]:
    return [(each["result"], each["message"]) for each in seen if each["check"] == check]


async def test_another_clusters_id_is_told_with_the_way_out(site: Site) -> None:
    interface = await _attached(site)
    tag(site, interface, **{TAG_CLUSTER: "prod-1"})
    text = (
        f"carries cluster id prod-1, not {site.cluster_id}, and is left alone: if that was this "
        "cluster's, set --former-cluster-ids=prod-1"
    )
    (node,) = (await site.run("plan", "-o", "json")).json["nodes"]
    (refused,) = node["refused"]
    assert (node["now"], node["later"], refused["reason"]) == ([], [], "OtherClusterID")
    assert refused["message"] == f"{interface.id} {text}; {interface.id} stays attached as it was"
    seen = await site.run("doctor", "-o", "json")
    assert seen.status == 1
    ((result, message),) = _told(seen.json, "ENIs with another cluster's id")
    assert result == "wrong"
    assert message == f"{interface.id} ({NAME}, in-use): of NodeENIs of this cluster; each {text}"


async def test_a_former_id_that_is_named_is_told_as_a_tagging(site: Site) -> None:
    interface = await _attached(site)
    tag(site, interface, **{TAG_CLUSTER: "prod-1"})
    flag = "--former-cluster-ids=prod-1"
    (node,) = (await site.run("plan", flag, "-o", "json")).json["nodes"]
    assert [step["text"] for step in node["now"]] == [
        f"tag {interface.id} with {TAG_CLUSTER}={site.cluster_id}"
    ]
    assert (node["later"], node["refused"]) == ([], [])
    seen = await site.run("doctor", flag, "-o", "json")
    assert _told(seen.json, "ENIs with another cluster's id") == []
    ((result, message),) = _told(seen.json, "ENIs to be tagged anew")
    assert (result, message.partition(":")[0]) == ("note", f"{interface.id} ({NAME}, in-use)")


async def test_an_eni_of_a_nodeeni_made_anew_is_told_as_taken_over(site: Site) -> None:
    interface = await _attached(site)
    uid = interface.tags[TAG_UID]
    tag(site, interface, **{TAG_UID: "uid-of-the-one-before", TAG_NODE: "n1-before"})
    (node,) = (await site.run("plan", "-o", "json")).json["nodes"]
    assert [step["text"] for step in node["now"]] == [f"tag {interface.id} with Node=n1, {TAG_UID}={uid}"]
    seen = await site.run("doctor", "-o", "json")
    ((result, message),) = _told(seen.json, "ENIs to be tagged anew")
    assert (result, message.partition(":")[0]) == ("note", f"{interface.id} ({NAME}, in-use)")
    assert _told(seen.json, "ENIs without a NodeENI") == []


async def test_one_of_nobody_is_left_alone_and_told(site: Site) -> None:
    node = await site.node("n1")
    site.apply()
    lost = site.plant(node, owner="gone", uid="")
    seen = await site.run("doctor", "-o", "json")
    ((result, message),) = _told(seen.json, "ENIs of no known NodeENI")
    assert (result, message.partition(":")[0]) == ("note", f"{lost.id} (gone, available)")
    assert _told(seen.json, "ENIs without a NodeENI") == []
