"""`nodeeni plan`: what the controller would do, told and not done."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.looking import NAME, Site, until
from tests.cli.reported import condition

from nodeeni.api.names import GROUP, RELEASE_HOLD
from nodeeni.plan.brake import hold_id
from nodeeni.sandbox.ec2.settings import Delay
from nodeeni.sandbox.world import SECURITY_GROUP, SUBNET


async def test_an_interface_is_to_be_made_and_another_cannot_be(site: Site) -> None:
    near = await site.node("n1")
    far = await site.node("n2", zone="b")
    site.apply()
    seen = await site.run("plan")
    assert (seen.status, seen.err) == (0, "")
    assert seen.lines[:2] == [
        f"n1  {near.instance_id}",
        f"+ {NAME}: create an ENI in {SUBNET} with {SECURITY_GROUP} for index 2",
    ]
    assert seen.lines[3] == f"n2  {far.instance_id}"
    assert seen.lines[4].startswith(f"✗ {NAME}: NoSubnetInZone: instance {far.instance_id} is in us-west-2b")
    assert seen.lines[-1] == "1 action now, 0 later, 1 refused, 0 in progress; 0 of 2 nodes need nothing"
    assert site.changing_calls() == 0


async def test_nothing_is_changed_in_the_cluster_either(site: Site) -> None:
    await site.node("n1")
    site.apply()
    before = site.world.nodeeni(NAME)
    site.world.kube.requests.clear()
    await site.run("plan")
    assert site.world.nodeeni(NAME) == before
    assert {verb for verb, _ in site.world.kube.requests} == {"list", "get"}


async def test_the_plan_is_what_the_controller_then_does(site: Site) -> None:
    """Made, told to be at rest, edited, told to be replaced one after another, unmatched."""
    one, two = await site.node("n1"), await site.node("n2")
    site.apply()
    async with site.controller():
        await site.until_attached(2)
    calls = site.changing_calls()
    assert (await site.run("plan")).lines == [
        "0 actions now, 0 later, 0 refused, 0 in progress; 2 of 2 nodes need nothing"
    ]

    (eni_of_one,) = (i.id for i in site.world.ec2.interfaces(Node=one.name))
    (eni_of_two,) = (i.id for i in site.world.ec2.interfaces(Node=two.name))
    site.apply(deviceIndex=3)
    first, second = (await site.run("plan", "-o", "json")).json["nodes"]
    (now,), (later,) = first["now"], second["later"]
    assert now["text"].startswith(f"detach {eni_of_one}: ")
    assert second["now"] == []
    assert later["text"].startswith(f"detach {eni_of_two}: ")
    assert later["reason"] == "node n1 comes first"

    site.world.label("n2", ng=None)
    seen = await site.run("plan", "n2")
    assert seen.lines[1] == (
        f"… {NAME}: not now: detach {eni_of_two}: the node no longer matches the NodeENI; its Node no longer "
        "has the label: removed after --label-grace, unless the label comes back (looked at again within 5 s)"
    )
    assert seen.lines[-1] == "0 actions now, 1 later, 0 refused, 0 in progress; 0 of 1 node need nothing"
    assert site.changing_calls() == calls


async def test_an_orphan_is_told_as_something_for_later(site: Site) -> None:
    node = await site.node("n1")
    orphan = site.plant(node, owner="forgotten", uid="a-uid-that-is-gone")
    (only,) = (await site.run("plan", "-o", "json")).json["nodes"]
    assert only["now"] == []
    assert only["later"] == [
        {
            "action": "Delete",
            "nodeENI": "forgotten",
            "text": f"delete {orphan.id}: no NodeENI owns it",
            "reason": "not yet confirmed to be an orphan",
            "after": 60.0,
        }
    ]


@pytest.mark.parametrize("applied", [False, True])
async def test_a_file_is_planned_as_if_it_were_applied(site: Site, tmp_path: Path, applied: bool) -> None:
    await site.node("n1")
    if applied:
        site.apply()
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(site.manifest(deviceIndex=3)))
    (only,) = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    assert [step["text"] for step in only["now"]] == [
        f"create an ENI in {SUBNET} with {SECURITY_GROUP} for index 3"
    ]
    spec = (site.world.nodeeni(NAME) or {}).get("spec", {})
    assert spec.get("deviceIndex") == (2 if applied else None)


async def test_an_eni_on_its_way_is_in_progress(site: Site) -> None:
    """n1's attach and n2's detach have been asked for and do not end; n3 is at rest."""
    one, two, _ = [await site.node(name) for name in ("n1", "n2", "n3")]
    site.world.ec2.faults.stick("AttachNetworkInterface", times=None, InstanceId=one.instance_id)
    site.world.ec2.faults.stick("DetachNetworkInterface", times=None)
    site.apply()
    async with site.controller():
        await site.until_attached(2)
        site.world.label("n2", ng=None)
        await until(lambda: statuses(site, "n2") == ["detaching"])
        await until(lambda: statuses(site, "n1") == ["attaching"])
    (eni_of_one,) = (i.id for i in site.world.ec2.interfaces(Node="n1"))
    (eni_of_two,) = (i.id for i in site.world.ec2.interfaces(Node="n2"))
    assert (await site.run("plan")).lines == [
        f"n1  {one.instance_id}",
        f"… {NAME}: in progress: {eni_of_one} is attaching",
        "",
        f"n2  {two.instance_id}",
        f"… {NAME}: in progress: {eni_of_two} is detaching",
        "",
        "0 actions now, 0 later, 0 refused, 2 in progress; 1 of 3 nodes needs nothing",
    ]
    first, second = (await site.run("plan", "-o", "json")).json["nodes"]
    text = f"{eni_of_one} is attaching"
    assert first["inProgress"] == [{"nodeENI": NAME, "eniID": eni_of_one, "state": "attaching", "text": text}]
    assert [entry["state"] for entry in second["inProgress"]] == ["detaching"]


async def test_an_eni_that_goes_with_its_instance_is_in_progress(site: Site) -> None:
    node = await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    (eni,) = (i.id for i in site.world.ec2.interfaces(Node="n1"))
    account = site.world.ec2.account
    account.settings = replace(account.settings, terminating=Delay(60.0))
    site.world.ec2.terminate(node.instance_id)
    (only,) = (await site.run("plan", "-o", "json")).json["nodes"]
    assert [entry["text"] for entry in only["inProgress"]] == [f"{eni} is detaching, as its instance ends"]


def statuses(site: Site, node: str) -> list[str]:
    """Of the attachments of our interfaces of this node."""
    attachments = (interface.attachment for interface in site.world.ec2.interfaces(Node=node))
    return [attachment.status for attachment in attachments if attachment is not None]


async def test_a_link_is_to_be_changed_in_place(site: Site, tmp_path: Path) -> None:
    node = await site.node("n1")
    site.apply(mtu=1500)
    async with site.controller():
        await site.until_attached(1)
        await until(lambda: site.world.eninode("n1") is not None)
    (eni,) = (i.id for i in site.world.ec2.interfaces(Node="n1"))
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(site.manifest(mtu=9001, interfaceName="fast")))
    change = f"link of {eni}: mtu 1500 → 9001, interfaceName {NAME} → fast, set by the node's ENI manager"
    assert (await site.run("plan", "-f", str(file))).lines == [
        f"n1  {node.instance_id}",
        f"~ {NAME}: {change}",
        "",
        "1 action now, 0 later, 0 refused, 0 in progress; 0 of 1 node need nothing",
    ]
    (only,) = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    assert only["now"] == [{"action": "SetLink", "nodeENI": NAME, "text": change}]

    file.write_text(json.dumps(site.manifest(mtu=1500, description="other", sourceDestCheck=False)))
    (only,) = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    assert {step["action"] for step in only["now"]} == {"SetDescription", "SetSourceDestCheck"}

    file.write_text(json.dumps(site.manifest(mtu=9001, deviceIndex=3)))
    (only,) = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    assert [step["action"] for step in only["now"]] == ["Detach"], "the link goes with its ENI"


async def test_pods_on_an_eni_are_named_before_it_goes_and_its_file_goes_first(
    site: Site, tmp_path: Path
) -> None:
    node = await site.node("n1")
    site.apply(podNetwork={"name": "pods"})
    async with site.controller():
        await site.until_attached(1)
        await until(lambda: bool(entries(site)) and "prefixes" in entries(site)[0].get("podNetwork", {}))
    (entry,) = entries(site)
    (prefix,) = entry["podNetwork"]["prefixes"]
    network = {"name": "pods", "state": "Ready", "prefixes": [prefix], "used": 1, "inUse": ["10.11.0.17"]}
    link = {"macAddress": entry["macAddress"], "state": "Up", "podNetwork": network}
    status = {"status": {"observedGeneration": 9, "interfaces": [link]}}
    site.world.kube.patch(GROUP, "eninodes", "n1", status, subresource="status")
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(site.manifest(podNetwork={"name": "pods"}, deviceIndex=3)))
    lines = (await site.run("plan", "-f", str(file))).lines
    eni = entry["eniID"]
    file_goes = f"podNetwork pods (L2, {prefix}) → none, set by the node's ENI manager"
    detach = f"detach {eni}: it moves to index 3 (pods lose their addresses on it, 10.11.0.17)"
    why = "the node's ENI manager takes the CNI file of its pods' network away first"
    assert lines[:3] == [
        f"n1  {node.instance_id}",
        f"~ {NAME}: link of {eni}: {file_goes}",
        f"… {NAME}: not now: {detach}; {why} (looked at again within 30 s)",
    ]


def entries(site: Site) -> list[dict[str, Any]]:
    """Of the ENINode of n1."""
    eninode = site.world.eninode("n1") or {"spec": {}}
    return list(eninode["spec"].get("interfaces", ()))


async def test_a_link_of_an_eni_that_waits_to_be_replaced_is_changed_before(
    site: Site, tmp_path: Path
) -> None:
    for name in ("n1", "n2"):
        await site.node(name)
    site.apply()
    async with site.controller():
        await site.until_attached(2)
        await until(lambda: all(site.world.eninode(name) is not None for name in ("n1", "n2")))
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(site.manifest(mtu=9001, deviceIndex=3)))
    _, second = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    (eni,) = (i.id for i in site.world.ec2.interfaces(Node="n2"))
    text = f"link of {eni}: mtu none → 9001, set by the node's ENI manager"
    assert [step["text"] for step in second["now"]] == [text]
    assert [step["action"] for step in second["later"]] == ["Detach"]


async def test_what_ec2_refused_the_controller_is_said_beside_the_step(site: Site) -> None:
    await site.node("n1")
    site.world.ec2.faults.error("CreateNetworkInterface", "TagPolicyViolation", times=None, message="no")
    site.apply()
    async with site.controller():
        await until(lambda: site.condition("Degraded").get("status") == "True")
    seen = await site.run("plan")
    (line,) = [line for line in seen.lines if line.lstrip().startswith("+")]
    assert line.partition("; ")[2].startswith("the controller's last word: RejectedByEC2: ")
    (step,) = (await site.run("plan", "-o", "json")).json["nodes"][0]["now"]
    assert step["action"] == "Create"
    assert "TagPolicyViolation" in step["reason"]
    site.world.ec2.faults.clear()
    async with site.controller():
        await site.until_attached(1)
    assert (await site.run("plan")).lines[-1].startswith("0 actions now")


async def test_no_such_node(site: Site) -> None:
    assert await site.run("plan", "n9") == (1, "", "nodeeni plan: there is no node n9\n")


async def test_without_permission_doctor_is_named(site: Site) -> None:
    await site.node("n1")
    site.world.ec2.faults.error(
        "DescribeNetworkInterfaces", "UnauthorizedOperation", message="no", times=None
    )
    seen = await site.run("plan")
    assert (seen.status, seen.out) == (1, "")
    assert seen.err == (
        "nodeeni plan: DescribeNetworkInterfaces: UnauthorizedOperation: no; `nodeeni doctor` tells what is "
        "missing\n"
    )


async def test_a_removal_that_the_brake_holds_is_told_with_its_id(site: Site) -> None:
    nodes = [await site.node(name) for name in ("n1", "n2", "n3")]
    site.apply()
    async with site.controller():
        await site.until_attached(3)
    held = sorted(i.id for node in nodes[:2] for i in site.world.ec2.interfaces(Node=node.name))
    for node in nodes[:2]:
        site.world.kube.delete("", "nodes", node.name)
    seen = await site.run("plan")
    told = (
        "2 of 3 Nodes with an ENI of it (n1, n2) are gone while their instances run: nothing is "
        "removed until the Nodes are back or the instances end; to remove their ENIs all the same: "
        f"kubectl annotate --overwrite nodeeni {NAME} {RELEASE_HOLD}={hold_id(held)}"
    )
    assert f"n1  {nodes[0].instance_id}" in seen.lines  # which runs, though its Node is gone
    assert seen.lines[-3:] == [
        f"! {NAME}: RemovalHeld {hold_id(held)}: {told}",
        "",
        "0 actions now, 2 later, 0 refused, 0 in progress; 1 of 3 nodes needs nothing",
    ]
    assert (await site.run("plan", "-o", "json")).json["holds"] == [
        {
            "id": hold_id(held),
            "nodeENI": NAME,
            "reason": "RemovalHeld",
            "message": told,
            "nodes": ["n1", "n2"],
            "eniIDs": held,
        }
    ]


async def test_some_of_many_that_came_back_leave_the_others_held(site: Site) -> None:
    """Which the controller remembers, and `plan` takes from its status."""
    for number in range(5):
        await site.node(f"n{number}")
    site.apply()
    async with site.controller("--label-grace=1h", "--mass-removal-delay=1h"):
        await site.until_attached(5)
        for number in range(5):
            site.world.label(f"n{number}", ng=None)
        await until(lambda: "5 of 5" in site.condition("Degraded").get("message", ""))
        for number in range(4):
            site.world.label(f"n{number}", ng="multi-eni")
        await until(lambda: "1 of 5" in site.condition("Degraded").get("message", ""))
    (hold,) = (await site.run("plan", "-o", "json")).json["holds"]
    assert (hold["reason"], hold["nodes"]) == ("RemovalDelayed", ["n4"])
    assert "their ENIs stay for --mass-removal-delay, unless" in hold["message"]


async def test_an_edit_of_the_selector_in_a_file_is_a_persons_word(site: Site, tmp_path: Path) -> None:
    await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(site.manifest(nodeSelector={"ng": "nobody"})))
    (only,) = (await site.run("plan", "-f", str(file), "-o", "json")).json["nodes"]
    assert [step["action"] for step in only["now"]] == ["Detach"]


async def test_a_controller_with_another_id_than_the_plan_is_told(site: Site) -> None:
    node = await site.node("n1")
    site.apply()
    degraded = condition("Degraded", "True", "OtherClusterID", "n1: eni-1 carries cluster id old")
    site.report(observedGeneration=1, conditions=[degraded])
    last = (await site.run("plan", node.name)).lines[-1]
    assert last == (
        f"! NodeENI {NAME}: the controller tells OtherClusterID, which nothing here is for cluster id "
        f"{site.cluster_id}: name its own by --cluster-id"
    )


async def test_a_type_that_forgets_idle_connections_soon_is_told(site: Site) -> None:
    await site.node("n1", type="m8i.xlarge")
    await site.node("n2", type="m8i.xlarge")
    await site.node("n3")
    site.apply()
    told = (
        "on 2 nodes of m8i.xlarge its security groups forget a TCP connection that is idle for 350 s, the "
        "type's default (432000 s on older types): set spec.connectionTracking.tcpEstablishedTimeout, to "
        "that value if it is right"
    )
    assert f"! {NAME}: {told}" in (await site.run("plan")).lines
    assert (await site.run("plan", "-o", "json")).json["notes"] == [{"nodeENI": NAME, "message": told}]
    (note,) = [each for each in (await site.run("doctor", "-o", "json")).json if told == each["message"]]
    assert (note["check"], note["result"]) == (f"NodeENI {NAME}", "note")
    site.apply(connectionTracking={"tcpEstablishedTimeout": 350})
    assert (await site.run("plan", "-o", "json")).json["notes"] == []
    assert told not in (await site.run("doctor")).out
