"""`nodeeni explain`: why a node, a NodeENI or an ENI has, or has not, what it should."""

import msgspec
import pytest
from tests.cli.looking import LABELS, NAME, Seen, Site, until

from nodeeni.api.names import TAG_CLUSTER, TAG_NAME, TAG_NODEENI, TAG_UID
from nodeeni.flags import UsageError
from nodeeni.sandbox.ec2 import Interface


def told(seen: Seen, title: str) -> list[str]:
    """The lines below a title."""
    lines = seen.lines[seen.lines.index(title) + 1 :]
    return lines[: lines.index("")] if "" in lines else lines


async def attached(site: Site, *nodes: str) -> Interface:
    for name in nodes:
        await site.node(name)
    site.apply()
    async with site.controller():
        await site.until_attached(len(nodes))
    return site.world.ec2.interfaces(NodeENI=NAME)[0]


async def test_a_node_with_what_one_asks_that_another_does_not_select(site: Site) -> None:
    eni = await attached(site, "n1")
    site.apply("for-gpus", nodeSelector={**LABELS, "gpu": "yes"})
    site.world.label("n1", gpu="true")
    link = {"macAddress": eni.mac, "linkName": "ens7", "state": "Down", "message": "no"}
    site.report_link("n1", link)
    seen = await site.run("explain", "n1")
    assert (seen.status, seen.err) == (0, "")
    assert seen.lines[0] == "node n1: selected by 1 of 2 NodeENIs, 0 of 1 as asked"
    assert told(seen, "What is there") == [f"! {NAME}: {eni.id} attached; link ens7 is down (no)"]
    assert told(seen, "Labels against selectors") == [
        f"✓ {NAME}: selects it by ng=multi-eni",
        "- for-gpus: does not select it: gpu=yes is asked, and the Node has gpu=true",
    ]
    history = told(seen, "What happened (UTC)")
    (event,) = [line for line in history if "ENIAttached" in line]
    assert event.endswith(
        f"nodeeni-controller: NodeENI {NAME}: ENIAttached: {eni.id} is attached to "
        f"{eni.attachment.instance_id if eni.attachment else ''} at device index 2 (node n1)"
    )
    assert [line[:8] for line in history] == sorted(line[:8] for line in history)


async def test_what_a_node_itself_is_told_of_its_network(site: Site) -> None:
    await site.node("n1")
    site.apply()
    async with site.controller("--node-condition"):
        await site.until_attached(1)
        await until(lambda: "'ENIsReady'" in str(site.world.kube.objects("", "nodes")[0]["status"]))
    seen = await site.run("explain", "n1")
    assert seen.lines[0] == (
        "node n1: selected by 1 of 1 NodeENI, 1 of 1 as asked; NodeENIsReady is True, ENIsReady: attached: "
        f"{NAME}"
    )


async def test_what_it_says_is_in_its_json(site: Site) -> None:
    eni = await attached(site, "n1")
    page = (await site.run("explain", "node/n1", "-o", "json")).json
    assert page["subject"] == {"kind": "node", "name": "n1"}
    ((standing, selection), whose) = (page["standings"][0], page["selections"][0]), page["enis"][0]
    assert (standing["eniID"], standing["state"], standing["reported"]) == (eni.id, "attached", "")
    assert selection["asked"] == [
        {"label": "ng=multi-eni", "met": True, "found": "the Node has ng=multi-eni"}
    ]
    assert (whose["nodeENI"], whose["node"], whose["ours"], whose["agreed"]) == (NAME, "n1", True, True)
    assert page["plans"] == page["holds"] == page["unread"] == []


async def test_a_nodeeni_that_selects_nothing_for_one_wrong_letter(site: Site) -> None:
    for name, labels in {"n1": {"ng": "multi-eni"}, "n2": {"ngg": "multi-enis"}, "n3": {"app": "x"}}.items():
        await site.world.add_node(name, labels=labels)
    site.apply(nodeSelector={"ng": "multi-enis"})
    seen = await site.run("explain", NAME)
    assert seen.lines[0] == f"NodeENI {NAME} selects 0 of 3 Nodes, and 0 of 0 have what it asks"
    assert told(seen, "Nodes that lack one label of the selector") == [
        "- ng=multi-enis is asked, and the Node has ng=multi-eni: n1",
        "- ng=multi-enis is asked, and the Node has no label ng, did you mean ngg?: n2",
    ]


async def test_many_nodes_of_one_cause_are_one_line(site: Site) -> None:
    for number in range(30):
        await site.node(f"n{number}", zone="b")
    site.apply()
    seen = await site.run("explain", NAME)
    (line,) = told(seen, "What is there")
    assert line.startswith("✗ n0: failed: NoSubnetInZone: instance ")
    assert line.endswith(" (and so 29 nodes more)")


async def test_what_ec2_refused_the_controller_before(site: Site) -> None:
    """A plan that is made now does not know of it; the controller's word does."""
    await site.node("n1")
    site.world.ec2.faults.error(
        "CreateNetworkInterface", "UnauthorizedOperation", message="no policy", times=None
    )
    site.apply()
    async with site.controller():
        await until(lambda: site.condition("Degraded").get("status") == "True")
        seen = await site.run("explain", "n1")
    (line,) = told(seen, "What is there")
    assert line.startswith(f"✗ {NAME}: creating; the controller's last word: failed: ")
    assert "ec2:CreateNetworkInterface" in line
    (step,) = told(seen, "What the controller does now, and later")[1:]
    assert step.startswith(f"+ {NAME}: create an ENI in ")
    assert any("ENICreationFailed" in each for each in told(seen, "What happened (UTC)"))


async def test_whose_an_eni_is_though_two_of_its_tags_are_gone(site: Site) -> None:
    eni = await attached(site, "n1")
    tags = {key: value for key, value in eni.tags.items() if key not in (TAG_NODEENI, TAG_NAME)}
    site.world.ec2.account.put(msgspec.structs.replace(eni, tags=tags))
    seen = await site.run("explain", eni.id)
    uid, instance = eni.tags[TAG_UID], eni.attachment.instance_id if eni.attachment else ""
    assert [line for line in seen.out.splitlines() if line != line.rstrip()] == []
    whose = told(seen, "Whose it is")
    assert whose[0].startswith(
        f"✓ {eni.id}: of this cluster; NodeENI {NAME} on node n1; attached to {instance}"
    )
    assert [line.strip() for line in whose[1:]] == [
        f"tag {TAG_CLUSTER}: {site.cluster_id}",
        f"tag {TAG_UID}: {uid}: names NodeENI {NAME}",
        "tag NodeENI: absent",
        "tag Name: absent",
        f"status: NodeENI {NAME} lists it on node n1",
        f"tag nodeeni.networking.k8s.aws/instance: {instance}, the instance of node n1",
    ]
    (step,) = told(seen, "What the controller does now, and later")[1:]
    assert step == f"~ {NAME}: tag {eni.id} with {TAG_NAME}=nodeeni-{NAME}-n1, {TAG_NODEENI}={NAME}"


async def test_an_eni_of_somebody_else_and_one_that_is_not_there(site: Site) -> None:
    node = await site.node("n1")
    primary = next(i for i in site.world.ec2.interfaces() if i.attachment)
    seen = await site.run("explain", primary.id)
    assert seen.lines[0] == (
        f"{primary.id}: not of this cluster: never touched; attached to {node.instance_id} at index 0, in "
        f"{primary.subnet_id}"
    )
    seen = await site.run("explain", "eni-0123456789abcdef0")
    assert seen.out == (
        "eni-0123456789abcdef0: EC2 shows no such ENI in this account and region, or no more\n"
    )


async def test_a_removal_that_is_held_is_told_on_its_node(site: Site) -> None:
    await attached(site, "n1", "n2")
    for name in ("n1", "n2"):
        site.world.kube.delete("", "nodes", name)
    seen = await site.run("explain", "n1")
    assert seen.lines[0] == (
        "node n1: selected by 0 of 1 NodeENI, 0 of 0 as asked, and there is no Node of that name"
    )
    (hold,) = told(seen, "Held until a person says so")
    assert hold.startswith(f"! {NAME}: RemovalHeld ")


async def test_who_wrote_the_label_and_the_spec(site: Site) -> None:
    await attached(site, "n1")
    by = {line.split(": ")[0][9:] for line in told(await site.run("explain", "n1"), "What happened (UTC)")}
    edits = list((await site.run("explain", "n1", "-o", "json")).json["history"])
    assert any(each["text"] == f"wrote the spec of NodeENI {NAME}" for each in edits), by
    assert any(each["text"].endswith("whose label ng is from there") for each in edits), by


async def test_without_ec2_it_tells_what_the_cluster_tells(site: Site) -> None:
    eni = await attached(site, "n1")
    site.world.ec2.faults.error(
        "DescribeNetworkInterfaces", "UnauthorizedOperation", message="no policy", times=None
    )
    seen = await site.run("explain", "n1")
    assert seen.status == 0
    assert seen.lines[1].startswith("! EC2: DescribeNetworkInterfaces: UnauthorizedOperation")
    assert told(seen, "What is there") == [f"✓ {NAME}: {eni.id} attached"]


async def test_it_changes_nothing(site: Site) -> None:
    await site.node("n1")
    site.apply()
    site.world.kube.requests.clear()
    for name in ("n1", NAME, "eni-0123456789abcdef0"):
        assert (await site.run("explain", name)).status == 0
    assert {verb for verb, _ in site.world.kube.requests} == {"list", "get"}
    assert site.changing_calls() == 0


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ("n11", 1, "there is no node, NodeENI or ENI of the name n11, did you mean n1?"),
        ("node/multus", 1, "there is no node of the name multus"),
        ("neni/multus", 1, f"there is no NodeENI of the name multus, did you mean {NAME}?"),
        ("pod/n1", 2, "pod/n1: pod is none of node, nodeeni, eni"),
        ("both", 2, "both is a node and a NodeENI: say node/both or nodeeni/both"),
    ],
)
async def test_a_name_that_is_of_nothing_or_of_two(site: Site, given: str, status: int, message: str) -> None:
    await site.node("n1")
    await site.node("both")
    site.apply()
    site.apply("both")
    if status == 2:  # a line and status 2, by `nodeeni` itself
        with pytest.raises(UsageError) as raised:
            await site.run("explain", given)
        assert str(raised.value) == message
        return
    seen = await site.run("explain", given)
    assert (seen.status, seen.err) == (status, f"nodeeni explain: {message}\n")
