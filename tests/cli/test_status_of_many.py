"""`nodeeni status` where one cause meets many nodes, nothing moves, or nothing owns what is there."""

import datetime
from typing import Any

import pytest
from tests.cli.looking import LABELS, NAME, Site
from tests.cli.reported import LONG_AGO, a_lease, a_node, attached, condition

from nodeeni.api.names import API_VERSION

NODES = [f"n{number}" for number in range(1, 5)]
FULL = {"status": "failed", "reason": "SubnetFull", "message": "no free address is left in subnet-1"}


def eni(node: str, **other: Any) -> dict[str, Any]:
    return {**attached(node, f"eni-{node}", f"02:{node}"), **other}


def a_cluster(site: Site, *entries: dict[str, Any]) -> None:
    """Its Nodes, and one NodeENI with these attachments."""
    site.apply()
    for entry in entries:
        a_node(site, entry["nodeID"])
    ready = condition("Ready", "False", "Attaching", "attached on some")
    site.report(observedGeneration=1, desired=len(entries), conditions=[ready], attachments=list(entries))


def minutes_ago(minutes: int) -> str:
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_one_cause_is_one_line_and_in_json_one_entry_a_node(site: Site) -> None:
    other = {"status": "failed", "reason": "InstanceFull", "message": "instance i-n4 has no free index"}
    a_cluster(site, *(eni(node, **FULL) for node in NODES[:3]), eni("n4", **other))
    lines = (await site.run("status")).lines
    assert lines[:3] == [
        f"✗ n1 {NAME}: SubnetFull: no free address is left in subnet-1 (and 2 nodes more)",
        f"✗ n4 {NAME}: InstanceFull: instance i-n4 has no free index",
        "",
    ]
    told = (await site.run("status", "-o", "json")).json["findings"]
    assert [(entry["subject"], entry["message"]) for entry in told] == [
        *((f"{node} {NAME}", "SubnetFull: no free address is left in subnet-1") for node in NODES[:3]),
        (f"n4 {NAME}", "InstanceFull: instance i-n4 has no free index"),
    ]


async def test_what_every_nodeeni_waits_for_is_one_line_beside_what_failed_before(site: Site) -> None:
    a_cluster(site, eni("n1", **FULL))
    site.apply("other")
    waiting = condition("Degraded", "True", "ClockWrong", "set the clock")
    ready = condition("Ready", "Unknown", "EC2NotRead", "EC2 cannot be read: how things stand is not known")
    for name in (NAME, "other"):
        site.report(name, observedGeneration=1, desired=1, conditions=[ready, waiting])
    lines = (await site.run("status")).lines
    assert lines[:3] == [
        f"✗ n1 {NAME}: SubnetFull: no free address is left in subnet-1",
        f"✗ {NAME}: ClockWrong: set the clock (and 1 NodeENI more)",
        "",
    ]
    assert [line.split()[5:7] for line in lines[-2:]] == [["not", "known"]] * 2


async def test_the_same_of_another_nodeeni_is_another_line(site: Site) -> None:
    a_cluster(site, eni("n1", **FULL), eni("n2", **FULL))
    site.apply("other")
    ready = condition("Ready", "False", "Failing", "attached on none")
    site.report("other", observedGeneration=1, conditions=[ready], attachments=[eni("n1", **FULL)])
    message = "SubnetFull: no free address is left in subnet-1"
    assert (await site.run("status")).lines[:3] == [
        f"✗ n1 {NAME}: {message} (and 1 node more)",
        f"✗ n1 other: {message}",
        "",
    ]


async def test_ids_of_the_node_itself_are_no_other_cause(site: Site) -> None:
    def lacking(instance: str, zone: str) -> dict[str, str]:
        message = f"instance {instance} is in {zone}, where no subnet is"
        return {"status": "failed", "reason": "NoSubnetInZone", "message": message}

    a_cluster(
        site,
        eni("n1", **lacking("i-07ce42c8218072e8c", "us-west-2b")),
        eni("n2", **lacking("i-09755d4c13a902931", "us-west-2b")),
        eni("n3", **lacking("i-0f8130c4237730edf", "us-west-2c")),
    )
    told = f"{NAME}: NoSubnetInZone: instance"
    assert (await site.run("status")).lines[:3] == [
        f"✗ n1 {told} i-07ce42c8218072e8c is in us-west-2b, where no subnet is (and 1 node more)",
        f"✗ n3 {told} i-0f8130c4237730edf is in us-west-2c, where no subnet is",
        "",
    ]


async def test_links_that_lack_the_same_are_one_line(site: Site) -> None:
    a_cluster(site, *map(eni, NODES))
    for node in NODES:
        link = {"macAddress": f"02:{node}", "linkName": "ens6", "state": "Down", "message": "no carrier"}
        site.report_links(node, {**link, "state": "Up", "message": ""} if node == "n2" else link)
    assert (await site.run("status")).lines[:2] == [
        f"✗ n1 {NAME}: link ens6 of eni-n1 is down: no carrier (and 2 nodes more)",
        "",
    ]


async def test_nodes_that_left_together_are_one_line(site: Site) -> None:
    a_cluster(site, *map(eni, NODES[:3]))
    for node in ("n2", "n3"):
        site.world.kube.delete("", "nodes", node)
    assert (await site.run("status")).lines[:2] == [
        f"! n2 {NAME}: eni-n2 is still attached, and its Node is gone (and 1 node more)",
        "",
    ]


@pytest.mark.parametrize("state", ["creating", "attaching", "detaching", "deleting"])
async def test_a_step_that_never_ends_is_wrong(site: Site, state: str) -> None:
    long, just_now = {"lastUpdated": minutes_ago(12)}, {"lastUpdated": minutes_ago(8)}
    a_cluster(site, eni("n1", status=state, **just_now), eni("n2", status=state, **long), eni("n3"))
    assert (await site.run("status")).lines[:2] == [
        f"✗ n2 {NAME}: has been {state} for 12m: is the controller running?",
        "",
    ]


async def test_a_step_that_never_ends_with_a_controller_that_leads(site: Site) -> None:
    a_cluster(site, *(eni(node, status="detaching", lastUpdated=minutes_ago(12)) for node in NODES))
    a_lease(site, "pod-1", "2999-01-01T00:00:00.000000Z")
    asked = "`nodeeni plan n1` tells what comes next"
    assert (await site.run("status")).lines[:2] == [
        f"✗ n1 {NAME}: has been detaching for 12m: {asked} (and 3 nodes more)",
        "",
    ]


async def test_the_tree_tells_what_stands_and_the_json_what_failed(site: Site) -> None:
    """n1 waits for its turn, n2 cannot have an edit, n3 and n4 have nothing."""
    a_cluster(
        site,
        eni("n1", reason="ToBeReplaced", attachmentID="eni-attach-1"),
        eni("n2", **FULL, attachmentID="eni-attach-2"),
        eni("n3", **FULL),
        eni("n4", status="failed", reason="AttachHangs", message="it hangs", attachmentID="eni-attach-4"),
    )
    seen = (await site.run("status")).lines
    rows = [line.partition("── ")[2].split("  ") for line in seen if "── n" in line]
    assert {row[0]: row[1] for row in rows} == {
        "n1": "attached, to be replaced",
        "n2": "attached, not as asked: SubnetFull",
        "n3": "failed: SubnetFull",
        "n4": "failed: AttachHangs",
    }
    rows = (await site.run("status", "-o", "json")).json["attachments"]
    assert {row["node"]: row["state"] for row in rows} == {
        "n1": "attached", "n2": "failed", "n3": "failed", "n4": "failed",
    }  # fmt: skip


def an_eninode(site: Site, node: str, *owners: str) -> None:
    interfaces = [
        {"nodeENI": owner, "eniID": f"eni-{owner}", "macAddress": "02:01", "deviceIndex": 1}
        | {"networkCardIndex": 0}
        for owner in owners
    ]
    site.world.kube.create(
        {
            "apiVersion": API_VERSION,
            "kind": "ENINode",
            "metadata": {"name": node, "labels": LABELS},
            "spec": {"interfaces": interfaces},
        }
    )


async def test_enis_that_no_nodeeni_is_left_of(site: Site) -> None:
    for node in NODES[:2]:
        an_eninode(site, node, "gone")
    an_eninode(site, "n3")
    assert (await site.run("status")).lines == [
        "✗ ENIs without a NodeENI: 2 ENINodes still list some: `nodeeni doctor`",
        "",
        "there is no NodeENI",
    ]
    (told,) = (await site.run("status", "n1", "-o", "json")).json["findings"]
    assert (told["result"], told["message"].partition(":")[0]) == ("wrong", "1 ENINode still lists some")


async def test_a_dead_controller_comes_before_what_it_left(site: Site) -> None:
    an_eninode(site, "n1", NAME, "gone")
    a_cluster(site, eni("n1"))
    a_lease(site, "pod-1", LONG_AGO)
    first, second, *_ = (await site.run("status")).lines
    assert first.startswith("✗ controller: ")
    assert second.startswith("✗ ENIs without a NodeENI: 1 ENINode still lists some: ")


async def test_a_node_that_ends_is_told_as_such_and_its_link_is_nobodys_trouble(site: Site) -> None:
    why = {"reason": "NodeEnding", "message": "its instance i-2 is shutting-down"}
    a_cluster(site, eni("n1"), eni("n2", **why))
    site.report_links("n2", {"macAddress": "02:n2", "linkName": "ens7", "state": "Missing"})
    lines = (await site.run("status")).lines
    assert lines[0] == f"! n2 {NAME}: its instance i-2 is shutting-down"
    (row,) = [line for line in lines if "── n2 " in line]
    assert "attached, node ending" in row
