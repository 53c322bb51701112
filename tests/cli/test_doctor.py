"""`nodeeni doctor`: each check one line, with the way out, and exit status 1 if something is wrong."""

import copy
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cli.looking import NAME, Seen, Site
from tests.cli.reported import condition
from tests.contract import permitted

from nodeeni.api.crd import nodeeni_crd
from nodeeni.cli.doctor import kubernetes
from nodeeni.cli.findings import Mark
from nodeeni.ec2.client import REHEARSED
from nodeeni.ec2.types import Action
from nodeeni.kube.client import KubeClient
from nodeeni.sandbox.ec2.denials import Denied
from nodeeni.sandbox.ec2.faults import Fault
from nodeeni.settings import controller_settings

ARN = "arn:aws:iam::123456789012:user/sandbox"
CRDS = "customresourcedefinitions"
NO_LEASE = "not started, or without --enable-leader-election"


def found(seen: Seen) -> dict[str, tuple[str, str]]:
    return {entry["check"]: (entry["result"], entry["message"]) for entry in seen.json}


async def test_nothing_is_wrong(site: Site) -> None:
    await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    calls = site.changing_calls()
    seen = await site.run("doctor")
    assert (seen.status, seen.err) == (0, "")
    assert seen.lines == [
        f"✓ API server: {site.world.kube.url}",
        "✓ nodeenis.networking.k8s.aws: installed and current",
        "✓ eninodes.networking.k8s.aws: installed and current",
        "✓ RBAC: all 22 permissions that the controller needs, for the user of this command",
        f"! controller: no lease nodeeni-controller-leader-election: {NO_LEASE}",
        "✓ VPC CNI: there is no DaemonSet kube-system/aws-node",
        "✓ Multus: there is no DaemonSet kube-system/kube-multus-ds",
        f"✓ cluster id: {site.cluster_id}",
        f"✓ AWS credentials: {ARN} in us-west-2",
        f"✓ IAM, reading: 6 actions that look are permitted to {ARN}",
        f"✓ IAM, changing: permitted to {ARN}: {', '.join(REHEARSED)}",
        "✓ ENIs of this cluster: 1 ENI by cluster tag",
    ]
    assert site.changing_calls() == calls


async def test_a_missing_and_a_stale_custom_resource(site: Site) -> None:
    group = "apiextensions.k8s.io"
    await site.remove_definition("eninodes.networking.k8s.aws")
    stored = site.world.kube.get(group, CRDS, "nodeenis.networking.k8s.aws")
    assert stored is not None
    versions = [{**stored["spec"]["versions"][0], "additionalPrinterColumns": []}]
    site.world.kube.patch(group, CRDS, "nodeenis.networking.k8s.aws", {"spec": {"versions": versions}})
    seen = await site.run("doctor", "-o", "json")
    assert seen.status == 1
    told = found(seen)
    stale = ("wrong", "is not that of this version: kubectl apply -f deploy/crds")
    assert told["nodeenis.networking.k8s.aws"] == stale
    assert told["eninodes.networking.k8s.aws"] == ("wrong", "is not installed: kubectl apply -f deploy/crds")


async def test_what_an_older_custom_resource_drops_is_named(site: Site) -> None:
    older = copy.deepcopy(nodeeni_crd())
    fields = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    for field in ("linksUp", "failed"):
        del fields[field]
    site.world.kube.patch("apiextensions.k8s.io", CRDS, older["metadata"]["name"], {"spec": older["spec"]})
    told = found(await site.run("doctor", "-o", "json"))["nodeenis.networking.k8s.aws"]
    dropped = "and what is told in status.failed, status.linksUp is dropped"
    assert told == ("wrong", f"is not that of this version, {dropped}: kubectl apply -f deploy/crds")


async def test_the_iam_action_to_grant_is_named(site: Site) -> None:
    site.world.ec2.faults.error("AttachNetworkInterface", "UnauthorizedOperation", message="no")
    site.world.ec2.faults.error(
        "CreateNetworkInterface",
        "UnauthorizedOperation",
        message="You are not authorized to perform: ec2:CreateTags because no policy allows it",
    )
    seen = await site.run("doctor")
    assert seen.status == 1
    assert f"✗ IAM, changing: grant ec2:CreateTags, ec2:AttachNetworkInterface to {ARN}" in seen.lines


async def test_a_denial_that_no_grant_mends_is_told_by_its_policy_and_decoded_on_demand(site: Site) -> None:
    denied: Denied = "service control policy, with its ARN"
    await site.node("n1")
    site.world.ec2.faults.add(Fault(action="CreateNetworkInterface", denied=denied, times=None))
    seen = await site.run("doctor", "--denials")
    (told,) = [line for line in seen.lines if line.startswith("✗ IAM, changing: ")]
    assert "IAM refuses ec2:CreateNetworkInterface on arn:aws:ec2:" in told
    assert "an explicit deny in the service control policy arn:aws:organizations::987654321098:" in told
    assert "grant ec2" not in told
    assert seen.status == 1
    decoding = "aws sts decode-authorization-message --query DecodedMessage --output text --encoded-message "
    encoded = seen.lines[-1].partition(decoding)[2]
    assert seen.lines[-1].startswith("! denial of ec2:CreateNetworkInterface: ")
    assert len(encoded) > 300


async def test_the_policy_that_we_ship_lacks_nothing_and_what_is_taken_from_it_is_named(site: Site) -> None:
    await site.node("n1")
    site.apply()
    async with site.controller():
        await site.until_attached(1)
    policy = permitted.limit(site.world.ec2, os.environ)
    assert f"✓ IAM, changing: permitted to {ARN}: {', '.join(REHEARSED)}" in (await site.run("doctor")).lines
    policy.statement = [each for each in policy.statement if each.sid != "ChangeOnlyOurs"]
    seen = await site.run("doctor")
    lost = [f"ec2:{action}" for action in REHEARSED if action is not Action.CREATE]
    assert f"✗ IAM, changing: grant {', '.join(lost)} to {ARN}" in seen.lines


async def test_what_ec2_cannot_rehearse_is_told_where_it_is_going_to_be_asked(site: Site) -> None:
    await site.node("n1")
    site.apply(secondaryPrivateIPCount=2, ipv6PrefixCount=None)
    seen = await site.run("doctor")
    assert (
        "! IAM, addresses: edits of spec.secondaryPrivateIPCount need ec2:AssignPrivateIpAddresses, "
        "ec2:UnassignPrivateIpAddresses, of which EC2 has no dry run: see that they are granted to "
        f"{ARN}"
    ) in seen.lines


async def test_reading_is_not_permitted(site: Site) -> None:
    site.world.ec2.faults.error("DescribeSubnets", "UnauthorizedOperation", message="no", times=None)
    seen = await site.run("doctor")
    assert (seen.status, seen.lines[-1]) == (1, f"✗ IAM, reading: grant ec2:DescribeSubnets to {ARN}")


async def test_a_region_that_ec2_does_not_take_is_no_matter_of_permissions(site: Site) -> None:
    seen = await site.run("doctor", "--aws-region", "nowhere")
    refused = "failed with AuthFailure: Credential should be scoped to a valid region, not 'nowhere'"
    assert seen.status == 1
    assert seen.lines[-1].startswith(f"✗ EC2: DescribeNetworkInterfaces {refused}")
    way_out = "check the controller's AWS credentials, their role and --aws-region"
    assert seen.lines[-1].endswith(way_out)


async def test_a_clock_that_is_off_is_told_before_ec2_refuses_it_and_after(site: Site) -> None:
    site.world.ec2.clock.ahead = 120
    seen = await site.run("doctor")
    (told,) = [line for line in seen.lines if "clock" in line]
    assert re.fullmatch(
        r"! clock: this machine's is 1[12]\d s behind that of AWS, which bears 5 minutes: set it", told
    )
    site.world.ec2.clock.ahead = -600
    seen = await site.run("doctor")
    assert seen.status == 1
    assert seen.lines[-1].startswith("✗ AWS credentials: this machine's clock is 10 min ahead of EC2's")


async def test_what_ec2_cannot_judge_yet_is_no_fault(site: Site) -> None:
    code = "InvalidNetworkInterfaceID.NotFound"
    site.world.ec2.faults.error("DeleteNetworkInterface", code, message="it does not exist")
    seen = await site.run("doctor", "-o", "json")
    notes = [entry["message"] for entry in seen.json if entry["check"] == "IAM, changing"]
    assert seen.status == 0
    assert notes[0].endswith(f"DeleteNetworkInterface ({code})")


async def test_expired_credentials(site: Site) -> None:
    site.world.ec2.faults.error("GetCallerIdentity", "ExpiredToken", message="The token is expired")
    seen = await site.run("doctor")
    assert seen.status == 1
    assert seen.lines[-1].startswith(
        "✗ AWS credentials: ExpiredToken: The token is expired: give the controller"
    )


async def test_leftovers_are_told_of_and_left_alone(site: Site) -> None:
    node = await site.node("n1")
    site.apply()
    owner = (site.world.nodeeni(NAME) or {})["metadata"]["uid"]
    orphan = site.plant(node, owner="gone", uid="a-uid-that-is-gone")
    waiting = site.plant(node, owner=NAME, uid=owner)
    older = site.plant(node, owner=NAME, uid=owner, cluster="")
    unknown = site.plant(node, owner="elsewhere", uid="x", cluster="")
    others = site.plant(node, owner=NAME, uid=owner, cluster="another-cluster")
    site.plant(node, owner=NAME, uid="x", cluster="a-third")
    bereft = site.plant(node, owner=NAME, uid=owner)
    del bereft.tags["nodeeni.networking.k8s.aws/cluster"]
    site.report(attachments=[{"nodeID": "n1", "eniID": older.id, "status": "attached"}])
    seen = await site.run("doctor", "-o", "json")
    told = [(e["check"], e["result"], e["message"].partition(":")[0]) for e in seen.json][-8:]
    assert seen.status == 1
    assert told == [
        ("ENIs of this cluster", "right", "2 ENIs by cluster tag"),
        ("ENIs without a NodeENI", "wrong", f"{orphan.id} (gone, available)"),
        ("ENIs not attached", "note", f"{waiting.id} ({NAME}, available)"),
        ("ENIs with another cluster's id", "wrong", f"{others.id} ({NAME}, available)"),
        ("ENIs without their cluster tag", "note", f"{bereft.id} ({NAME}, available)"),
        ("ENIs of v1.x", "note", f"{older.id} ({NAME}, available)"),
        ("ENIs of v1.x", "note", f"{unknown.id} (elsewhere, available)"),
        ("ENIs of other clusters", "note", "1 ENI of a-third"),
    ]
    left = {interface.id for interface in site.world.ec2.interfaces()}
    assert {orphan.id, waiting.id, older.id, unknown.id, others.id, bereft.id} <= left


async def test_a_lease_that_nobody_renews(site: Site) -> None:
    site.world.kube.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "nodeeni-controller-leader-election", "namespace": "eni-controller-system"},
            "spec": {
                "holderIdentity": "pod-1",
                "renewTime": "2020-01-01T00:00:00.000000Z",
                "leaseDurationSeconds": 15,
            },
        }
    )
    result, message = found(await site.run("doctor", "-o", "json"))["controller"]
    assert (result, message.partition(" for ")[0]) == ("wrong", "pod-1 has not renewed the lease")


async def test_a_lease_that_was_given_back(site: Site) -> None:
    name = {"name": "nodeeni-controller-leader-election", "namespace": "eni-controller-system"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": name}
    site.world.kube.create({**lease, "spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
    told = found(await site.run("doctor", "-o", "json"))["controller"]
    assert told == ("wrong", "nobody holds the lease: see `kubectl -n eni-controller-system get pods`")


async def test_a_removal_that_is_held_is_told_with_the_way_out(site: Site) -> None:
    site.apply()
    site.apply("other")
    held = "the Nodes of 3 of 4 nodes are gone: kubectl annotate nodeeni NAME KEY=ID"
    delayed = "3 of 4 nodes no longer have its label: their ENIs stay until 2026-01-01T00:10:00Z"
    site.report(conditions=[condition("Degraded", "True", "RemovalHeld", held)])
    site.report("other", conditions=[condition("Degraded", "True", "RemovalDelayed", delayed)])
    seen = found(await site.run("doctor", "-o", "json"))
    assert seen[f"NodeENI {NAME}"] == ("wrong", f"RemovalHeld: {held}")
    assert seen["NodeENI other"] == ("note", f"RemovalDelayed: {delayed}")


async def test_nodes_that_keep_the_startup_taint_since_nothing_selects_them_are_listed(site: Site) -> None:
    await site.node("n1")
    for name in ("n2", "n3"):
        await site.world.add_node(name, labels={})
    site.apply()
    taint = {"key": "example.com/no-eni-yet", "effect": "NoSchedule"}
    for name in ("n1", "n3", "n2"):
        site.world.kube.patch("", "nodes", name, {"spec": {"taints": [taint]}})
    assert "startup taint" not in found(await site.run("doctor", "-o", "json"))
    told = found(await site.run("doctor", "-o", "json", "--startup-taint", "example.com/no-eni-yet"))
    assert told["startup taint"] == (
        "note",
        (
            "n2, n3: no NodeENI selects 2 nodes with the taint example.com/no-eni-yet, so it stays: label "
            "the nodes, or take it off: kubectl taint node n2 example.com/no-eni-yet-"
        ),
    )


async def test_no_kubeconfig_and_no_api_server(site: Site, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    seen = await site.run("doctor", "--kubeconfig", missing)
    assert seen == (
        1,
        f"✗ kubeconfig: kubeconfig {missing} does not exist; give an existing file with --kubeconfig\n",
        "",
    )
    site.world.kube.refuse_connections()
    seen = await site.run("doctor")
    assert (seen.status, len(seen.lines)) == (1, 1)
    assert seen.out.startswith(f"✗ API server: {site.world.kube.url} does not serve us: ")
    await site.world.kube.listen()


@pytest.fixture
async def strict_server(tmp_path: Path) -> AsyncIterator[KubeClient]:
    """An API server that allows reading alone, as far as SelfSubjectAccessReviews go."""

    async def review(request: web.Request) -> web.Response:
        asked: dict[str, Any] = (await request.json())["spec"]["resourceAttributes"]
        return web.json_response({"status": {"allowed": asked["verb"] in ("get", "list", "watch")}})

    application = web.Application()
    application.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    config = tmp_path / "strict"
    config.write_text(
        "{current-context: a, contexts: [{name: a, context: {cluster: a}}], "
        f"clusters: [{{name: a, cluster: {{server: 'http://{host}:{port}'}}}}]}}"
    )
    client = KubeClient.connect(str(config))
    yield client
    await client.close()
    await runner.cleanup()


async def test_missing_permissions_are_told_as_a_role_would_grant_them(strict_server: KubeClient) -> None:
    finding = await kubernetes.permissions(strict_server, controller_settings([], {}))
    prefix, _, missing = finding.message.partition(": ")
    assert (finding.mark, prefix) == (Mark.WRONG, "grant in a ClusterRole")
    assert missing.split(", ") == [
        "patch nodeenis.networking.k8s.aws",
        "patch nodeenis.networking.k8s.aws/status",
        "create eninodes.networking.k8s.aws",
        "patch eninodes.networking.k8s.aws",
        "delete eninodes.networking.k8s.aws",
        "create events",
        "patch events",
        "create leases.coordination.k8s.io",
        "patch leases.coordination.k8s.io",
    ]
