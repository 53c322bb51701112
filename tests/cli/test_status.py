"""`nodeeni status`: what is wrong first, a tree of the nodes, the NodeENIs last, and only reads."""

import pytest
from tests.cli.looking import NAME, Site
from tests.cli.reported import LONG_AGO, a_lease, a_node, attached, condition

from nodeeni.api.names import GROUP


def a_mixed_cluster(site: Site) -> None:
    """n1 well, n2 with its link down, n3 failed."""
    site.apply()
    for name, zone in (("n1", "a"), ("n2", "a"), ("n3", "b")):
        a_node(site, name, f"us-west-2{zone}")
    failed = {
        "nodeID": "n3",
        "status": "failed",
        "reason": "SubnetFull",
        "message": "no free address is left in subnet-1",
        "lastUpdated": LONG_AGO,
    }
    site.report(
        observedGeneration=1,
        desired=3,
        attached=2,
        failed=1,
        linksUp=1,
        conditions=[
            condition("Ready", "False", "Failing", "attached on 2 of 3 nodes"),
            condition("Degraded", "True", "SubnetFull", "n3: no free address is left in subnet-1"),
        ],
        attachments=[failed, attached("n1", "eni-1", "02:01"), attached("n2", "eni-2", "02:02")],
    )
    site.report_links("n1", {"macAddress": "02:01", "linkName": "ens6", "state": "Up"})
    site.report_links(
        "n2", {"macAddress": "02:02", "linkName": "ens7", "state": "Down", "message": "MTU 9001 refused"}
    )


async def test_what_is_wrong_comes_first_and_every_row_is_one_line(site: Site) -> None:
    a_mixed_cluster(site)
    seen = await site.run("status")
    assert (seen.status, seen.err) == (0, "")
    age = seen.lines[-1].split()[6]
    assert age.endswith("d"), "since years"
    assert seen.lines == [
        f"✗ n3 {NAME}: SubnetFull: no free address is left in subnet-1",
        f"✗ n2 {NAME}: link ens7 of eni-2 is down: MTU 9001 refused",
        "",
        NAME,
        "├── us-west-2b",
        f"│   └── n3  failed: SubnetFull  {age}",
        "└── us-west-2a",
        f"    ├── n2  attached            {age}  eni-2  index 2  10.11.0.4  ens7 Down",
        f"    └── n1  attached            {age}  eni-1  index 2  10.11.0.4  ens6 Up",
        "",
        "NODEENI             NODES   ATTACHED   UP   FAILED   READY   SINCE   MESSAGE",
        f"{NAME}   3       2          1    1        no      {age}   attached on 2 of 3 nodes",
    ]


async def test_one_node_or_one_nodeeni_alone(site: Site) -> None:
    a_mixed_cluster(site)
    site.apply("other")
    site.report("other", observedGeneration=1, conditions=[condition("Ready", "True", "AllAttached", "ok")])
    of_node = (await site.run("status", "n1", "-o", "json")).json
    assert [line["node"] for line in of_node["attachments"]] == ["n1"]
    assert [nodeeni["name"] for nodeeni in of_node["nodeENIs"]] == [NAME]
    of_nodeeni = (await site.run("status", "other", "-o", "json")).json
    assert of_nodeeni["attachments"] == []
    assert [nodeeni["name"] for nodeeni in of_nodeeni["nodeENIs"]] == ["other"]


async def test_json_has_everything_of_a_row(site: Site) -> None:
    a_mixed_cluster(site)
    rows = (await site.run("status", "-o", "json")).json["attachments"]
    assert rows[1] == {
        "node": "n2",
        "zone": "us-west-2a",
        "nodeENI": NAME,
        "eniID": "eni-2",
        "deviceIndex": 2,
        "address": "10.11.0.4",
        "state": "attached",
        "nodeState": "",
        "linkState": "Down",
        "linkName": "ens7",
        "linkMessage": "MTU 9001 refused",
        "linkNote": "",
        "since": LONG_AGO,
        "reason": "",
        "message": "",
        "moreAddresses": 0,
        "prefixes": 0,
        "podNetwork": None,
        "podNetworkOff": False,
        "inPod": False,
    }


def report_pods(site: Site, **network: object) -> None:
    """As the ENI manager of n1 does."""
    told = {"name": "pods", **network}
    link = {"macAddress": "02:01", "linkName": "eth1", "state": "Up", "podNetwork": told}
    site.world.kube.patch(GROUP, "eninodes", "n1", {"status": {"interfaces": [link]}}, subresource="status")


async def test_a_node_without_a_free_address_for_pods_is_told(site: Site) -> None:
    a_mixed_cluster(site)
    prefix = "10.11.0.16/28"
    report_pods(site, state="Ready", prefixes=[prefix], used=16, free=0, inUse=["10.11.0.16"])
    lines = (await site.run("status")).lines
    way_out = "the next pod finds none: raise spec.ipv4PrefixCount or spec.ipv6PrefixCount"
    assert f"! n1 {NAME}: pods 16 of 16 addresses in use, {way_out}" in lines
    assert any("eth1 Up " in line and line.rstrip().endswith("  pods 16 of 16") for line in lines)
    rows = (await site.run("status", "-o", "json")).json["attachments"]
    assert next(row for row in rows if row["node"] == "n1")["podNetwork"] == {
        "name": "pods",
        "state": "Ready",
        "prefixes": [prefix],
        "used": 16,
        "free": 0,
        "inUse": ["10.11.0.16"],
    }


async def test_nodes_whose_eni_managers_write_no_cni_files_are_told_once(site: Site) -> None:
    """As after a NodeENI with podNetwork, where nobody has set the chart's value: all is attached and up."""
    site.apply(podNetwork={"name": "pods"})
    for name, mac in (("n1", "02:01"), ("n2", "02:02")):
        a_node(site, name, "us-west-2a")
        network = {"type": "ipvlan", "mode": "L2", "name": "pods", "prefixes": ["10.11.0.16/28"]}
        interface = {
            "nodeENI": NAME, "eniID": f"eni-{name}", "macAddress": mac, "deviceIndex": 2,
            "networkCardIndex": 0, "podNetwork": network,
        }  # fmt: skip
        site.world.kube.apply(
            {
                "apiVersion": f"{GROUP}/v1alpha1", "kind": "ENINode", "metadata": {"name": name},
                "spec": {"instanceID": f"i-{name}", "interfaces": [interface]},
            }
        )  # fmt: skip
        site.world.kube.patch(
            GROUP, "eninodes", name,
            {"status": {"observedGeneration": 1, "interfaces": [{"macAddress": mac, "state": "Up"}]}},
            subresource="status",
        )  # fmt: skip
    site.report(
        observedGeneration=1, desired=2, attached=2,
        conditions=[condition("Ready", "True", "AllAttached", "ok")],
        attachments=[attached("n1", "eni-n1", "02:01"), attached("n2", "eni-n2", "02:02")],
    )  # fmt: skip
    told, *_ = (await site.run("status")).lines
    assert told.startswith(f"✗ n1 {NAME}: the ENI manager writes no CNI files: name Multus' folder in the ")
    assert told.endswith("see docs/pods.md (and 1 node more)")
    rows = (await site.run("status", "-o", "json")).json["attachments"]
    assert [(row["podNetwork"], row["podNetworkOff"]) for row in rows] == [(None, True)] * 2


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            {"reason": "ToBeReplaced", "message": "nodes follow one after another"},
            "eni-1 is to leave the node: pods lose their addresses on it, 10.11.0.16, 10.11.0.17",
        ),
        (
            {"reason": "PrefixInUse", "message": "10.11.0.16/28 is given back once no pod"},
            "PrefixInUse: 10.11.0.16/28 is given back once no pod",
        ),
    ],
    ids=["replaced", "given back"],
)
async def test_who_waits_for_pods_and_which_pods_lose_what(
    site: Site, row: dict[str, object], told: str
) -> None:
    a_mixed_cluster(site)
    report_pods(site, state="Ready", used=2, free=14, inUse=["10.11.0.16", "10.11.0.17"])
    site.report(attachments=[attached("n1", "eni-1", "02:01") | row])
    assert f"! n1 {NAME}: {told}" in (await site.run("status")).lines


@pytest.mark.parametrize(
    ("network", "shown", "finding"),
    [
        ({"state": "Ready", "used": 3, "free": 13}, "pods 3 of 16", ""),
        ({"state": "Ready", "used": 3, "free": 2**48 - 3}, "pods 3", ""),
        ({"state": "Withdrawn", "used": 1}, "no CNI file any more, 1 pod", ""),
        (
            {"state": "Refused", "message": "the container runtime reads it"},
            "no CNI file",
            "✗ n1 {}: pods' network pods: no CNI file: the container runtime reads it",
        ),
        (
            {"state": "Absent", "message": "no prefix yet"},
            "no CNI file yet",
            "! n1 {}: pods' network pods: no CNI file yet: no prefix yet",
        ),
    ],
    ids=["ready", "of IPv6 alone", "withdrawn", "refused", "absent"],
)
async def test_each_state_of_a_network_in_words(
    site: Site, network: dict[str, object], shown: str, finding: str
) -> None:
    a_mixed_cluster(site)
    report_pods(site, **network)
    lines = (await site.run("status")).lines
    assert any("eth1 Up " in line and line.rstrip().endswith(f"  {shown}") for line in lines)
    told = [line for line in lines if "pods' network" in line or "addresses in use" in line]
    assert told == ([finding.format(NAME)] if finding else [])


async def test_a_change_in_place_that_takes_long_says_what_it_waits_for(site: Site) -> None:
    """As a prefix does where no ENI manager runs: nothing has failed, and nothing else tells."""
    site.apply()
    waits = {"reason": "Updating", "message": "10.11.0.16/28: given back once the ENI manager has said so"}
    a_node(site, "n1", "us-west-2a")
    a_node(site, "n2", "us-west-2a")
    rows = [attached("n1", "eni-1", "02:01") | waits, attached("n2", "eni-2", "02:02") | waits]
    site.report(observedGeneration=1, desired=2, attached=2, attachments=rows)
    (told,) = [line for line in (await site.run("status")).lines if line.startswith("!")]
    assert told.startswith(f"! n1 {NAME}: being changed for ")
    assert told.endswith(f": {waits['message']} (and 1 node more)")


async def test_a_link_that_works_under_a_wrong_name_is_a_note_and_no_fault(site: Site) -> None:
    a_mixed_cluster(site)
    link = {"macAddress": "02:01", "linkName": "eth1", "state": "Up", "note": "eth1 is the kernel's name"}
    site.world.kube.patch(GROUP, "eninodes", "n1", {"status": {"interfaces": [link]}}, subresource="status")
    told = (await site.run("status")).lines[:3]
    assert told[-1] == f"! n1 {NAME}: link eth1 of eni-1: eth1 is the kernel's name"


async def test_a_nodeeni_that_nobody_reports_on(site: Site) -> None:
    site.apply()
    first, _, _, row = (await site.run("status")).lines
    assert first == f"✗ {NAME}: nothing is reported: is the controller running?"
    assert row.split(maxsplit=5)[-1].startswith("not known")
    assert row.split()[7] in ("0s", "1s", "2s"), "since its creation"
    assert row.endswith("no controller has looked at it yet: is it running?")


async def test_an_edit_that_nobody_reports_on(site: Site) -> None:
    site.apply()
    site.report(observedGeneration=1, conditions=[condition("Ready", "True", "AllAttached", "ok")])
    site.apply(deviceIndex=3)
    told = (await site.run("status")).lines[0]
    assert told == f"✗ {NAME}: its last edit is not reported on: is the controller running?"


async def test_a_condition_that_no_row_explains(site: Site) -> None:
    site.apply()
    degraded = condition("Degraded", "True", "QuotaExceeded", "creating ENIs is paused")
    site.report(observedGeneration=1, conditions=[degraded])
    assert (await site.run("status")).lines[0] == f"✗ {NAME}: QuotaExceeded: creating ENIs is paused"


async def test_one_that_is_being_deleted_says_what_is_left(site: Site) -> None:
    a_mixed_cluster(site)
    site.world.kube.patch(GROUP, "nodeenis", NAME, {"metadata": {"finalizers": ["a/finalizer"]}})
    site.world.kube.delete(GROUP, "nodeenis", NAME)
    told = condition("Ready", "False", "Deleting", "being deleted: removing the ENIs of 3 nodes")
    site.report(removing=3, conditions=[told])
    titles, shown = (await site.run("status")).lines[-2:]
    assert titles.split()[4:7] == ["FAILED", "REMOVING", "READY"]
    assert shown.split()[4:7] == ["1", "3", "deleting"]
    assert shown.endswith("being deleted: removing the ENIs of 3 nodes")
    assert (await site.run("status", "-o", "json")).json["nodeENIs"][0]["deleting"] is True


async def test_nothing_there(site: Site) -> None:
    assert await site.run("status") == (0, "there is no NodeENI\n", "")


async def test_no_such_name(site: Site) -> None:
    line = "nodeeni status: no NodeENI and no node with an ENI has the name nobody\n"
    assert await site.run("status", "nobody") == (1, "", line)


async def test_without_the_custom_resources_the_way_out_is_told(site: Site) -> None:
    await site.remove_definition("nodeenis.networking.k8s.aws")
    seen = await site.run("status")
    assert (seen.status, seen.out, seen.err.count("\n")) == (1, "", 1)
    assert seen.err.startswith("nodeeni status: list nodeenis.networking.k8s.aws: ")
    assert "kubectl apply -f deploy/crds" in seen.err


async def test_without_permission_the_verb_to_grant_is_told(site: Site) -> None:
    site.world.kube.faults.fail(403, verb="list", resource="nodeenis", message="no")
    seen = await site.run("status")
    assert (seen.status, seen.out, seen.err.count("\n")) == (1, "", 1)
    assert 'grant the verb "list" on "nodeenis.networking.k8s.aws"' in seen.err


def all_well(site: Site) -> None:
    """n1 as it should be, as far as a controller once reported."""
    site.apply()
    a_node(site, "n1")
    ready = condition("Ready", "True", "AllAttached", "attached on 1 node")
    site.report(
        observedGeneration=1, desired=1, conditions=[ready], attachments=[attached("n1", "eni-1", "02:01")]
    )


async def test_a_controller_that_is_dead_is_told_of_before_all_else(site: Site) -> None:
    a_mixed_cluster(site)
    a_lease(site, "pod-1", LONG_AGO)
    first, second, *_ = (await site.run("status")).lines
    assert first.startswith("✗ controller: pod-1 has not renewed the lease for ")
    assert second.startswith("✗ n3 ")
    told = (await site.run("status", "-o", "json")).json["findings"]
    assert (told[0]["subject"], told[0]["result"]) == ("controller", "wrong")
    assert (await site.run("doctor")).lines[4].startswith("✗ controller: pod-1 has not renewed the lease")


async def test_a_controller_that_leads_is_not_worth_a_line(site: Site) -> None:
    all_well(site)
    a_lease(site, "pod-1", "2999-01-01T00:00:00.000000Z")
    assert (await site.run("status")).lines[0] == NAME


async def test_what_may_not_be_read_is_left_out(site: Site) -> None:
    all_well(site)
    site.world.kube.delete("", "nodes", "n1")
    site.world.kube.faults.fail(403, verb="list", resource="nodes", message="no")
    site.world.kube.faults.fail(403, verb="get", resource="leases", message="no")
    seen = await site.run("status")
    assert (seen.status, seen.err) == (0, "")
    assert seen.lines[:2] == [NAME, "└── zone not known"]
    assert seen.lines[2].startswith("    └── n1  attached  ")


async def test_a_node_that_is_gone_and_one_that_is_no_longer_selected(site: Site) -> None:
    a_mixed_cluster(site)
    site.world.kube.delete("", "nodes", "n1")
    site.world.label("n2", ng="other")
    lines = (await site.run("status")).lines
    assert lines[1:3] == [
        f"! n1 {NAME}: eni-1 is still attached, and its Node is gone",
        f"! n2 {NAME}: eni-2 is still attached, and its Node no longer matches the selector",
    ]
    assert lines[4:9] == [NAME, "├── us-west-2b", lines[6], "├── zone not known", lines[8]]
    assert "── n1  attached, node gone  " in lines[8]
    assert "── n2  attached, node not selected  " in lines[10]
    rows = (await site.run("status", "-o", "json")).json["attachments"]
    states = {row["node"]: row["nodeState"] for row in rows}
    assert states == {"n1": "gone", "n2": "not selected", "n3": ""}


async def test_a_removal_that_is_held(site: Site) -> None:
    """The NodeENI says why, until when and how it is released; its nodes are one line."""
    site.apply()
    message = "the Nodes of 2 of 3 nodes are gone: kubectl annotate nodeeni NAME KEY=ID"
    why = "its Node is gone and its instance runs, like many others: it stays"
    rows = [
        {**attached(node, f"eni-{node}", node), "reason": "RemovalHeld", "message": why}
        for node in ("n1", "n2")
    ]
    a_node(site, "n3", "us-west-2a")
    degraded = condition("Degraded", "True", "RemovalHeld", message)
    ready = condition("Ready", "True", "AllAttached", "attached on 1 node")
    site.report(
        observedGeneration=1,
        desired=1,
        attached=1,
        conditions=[ready, degraded],
        attachments=[*rows, attached("n3", "eni-n3", "n3")],
    )
    lines = (await site.run("status")).lines
    assert lines[:2] == [
        f"✗ {NAME}: RemovalHeld: {message}",
        f"! n1 {NAME}: eni-n1 is still attached, and {why} (and 1 node more)",
    ]


async def test_a_link_that_is_up_and_not_as_asked(site: Site) -> None:
    all_well(site)
    message = "interfaceName eth0 is a name of link eth0: choose another"
    site.report_links("n1", {"macAddress": "02:01", "linkName": "ens6", "state": "Up", "message": message})
    lines = (await site.run("status")).lines
    assert lines[:2] == [f"✗ n1 {NAME}: link ens6 of eni-1: {message}", ""]
    degraded = condition("Degraded", "True", "LinkNotAsAsked", f"n1: {message}")
    site.report(conditions=[degraded])
    assert (await site.run("status")).lines[:2] == lines[:2], "the same is not told twice"
    site.report(attachmentsTruncated=True)
    assert (await site.run("status")).lines[1] == f"✗ {NAME}: LinkNotAsAsked: n1: {message}"
    assert lines[4].endswith("  ens6 Up")


async def test_a_selector_that_matches_no_node(site: Site) -> None:
    expressions = [
        {"key": "zone", "operator": "In", "values": ["a", "b"]},
        {"key": "type", "operator": "NotIn", "values": ["small"]},
        {"key": "net", "operator": "Exists"},
        {"key": "gpu", "operator": "DoesNotExist"},
    ]
    site.apply(matchExpressions=expressions)
    none = condition("Ready", "True", "NoMatchingNodes", "no node matches the selector")
    site.report(observedGeneration=1, desired=0, conditions=[none])
    command = "kubectl get nodes -l 'ng=multi-eni,zone in (a,b),type notin (small),net,!gpu'"
    assert (await site.run("status")).lines[0] == f"! {NAME}: no node matches its selector: {command}"


async def test_it_only_reads(site: Site) -> None:
    a_mixed_cluster(site)
    site.world.kube.requests.clear()
    await site.run("status")
    listed = {("list", kind) for kind in ("nodeenis", "eninodes", "nodes")}
    assert set(site.world.kube.requests) == {*listed, ("get", "leases")}
