"""kubectl as a person uses it, without special flags: the commands of our README and the everyday ones."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.sandbox.kube.clients import WIDGETS, Kubectl, widget

from nodeeni.sandbox.kube import KubeServer

CRD = "widgets.example.com"


async def test_apply_both_ways_and_again(server: KubeServer, kubectl: Kubectl, definition: Any) -> None:
    crd, one = kubectl.file("crd.yaml", definition), kubectl.file("one.yaml", widget(part="part-1"))
    assert (
        await kubectl("apply", "-f", crd) == f"customresourcedefinition.apiextensions.k8s.io/{CRD} created\n"
    )
    await kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=5s")
    assert await kubectl("apply", "-f", one) == "widget.example.com/one created\n"
    assert await kubectl("apply", "-f", one) == "widget.example.com/one unchanged\n"
    two = kubectl.file("two.yaml", widget(part="part-1", size=7))
    assert await kubectl("diff", "-f", one) == ""
    code, out, _ = await kubectl.run("diff", "-f", two)
    assert code == 1
    assert "-  size: 5\n+  size: 7\n" in out
    assert await kubectl("apply", "-f", two) == "widget.example.com/one configured\n"
    assert await kubectl("apply", "--server-side", "-f", one) == "widget.example.com/one serverside-applied\n"
    assert await kubectl("get", "wd", "one", "-o", "jsonpath={.spec.size}") == "5"
    assert await kubectl("replace", "-f", two) == "widget.example.com/one replaced\n"
    assert await kubectl("apply", "--dry-run=server", "-f", one) == (
        "widget.example.com/one configured (server dry run)\n"
    )


async def test_refusals_name_the_field(widgets: KubeServer, kubectl: Kubectl) -> None:
    async def complaint(**spec: Any) -> str:
        code, _, err = await kubectl.run("apply", "-f", kubectl.file("bad.yaml", widget(**spec)))
        assert code == 1
        return err

    assert (await complaint()).endswith(
        'The Widget "one" is invalid: spec: Invalid value: "object": at least one of part, parts is needed\n'
    )
    assert "spec.size: Invalid value: 99" in await complaint(part="part-1", size=99)
    assert 'strict decoding error: unknown field "spec.colour"' in await complaint(
        part="part-1", colour="red"
    )


async def test_get_in_all_forms(widgets: KubeServer, kubectl: Kubectl) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "count": 3}
    widgets.create({**widget(part="part-1"), "status": ready})
    table = [line.split() for line in (await kubectl("get", "widgets", "-o", "wide")).splitlines()]
    assert table[0] == ["NAME", "SIZE", "READY", "MODE", "AGE"]
    assert table[1][:4] == ["one", "5", "True", "Fast"]
    shown = msgspec.yaml.decode(await kubectl("get", "widget", "one", "-o", "yaml"))
    stored = widgets.objects("example.com", "widgets")[0]
    assert (shown["spec"], shown["status"]) == (stored["spec"], stored["status"])
    listed = msgspec.json.decode(await kubectl("get", "widgets", "-o", "json"))
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    raw = msgspec.json.decode(await kubectl("get", "--raw", f"{WIDGETS}/one"))
    assert raw == stored
    await kubectl("wait", "--for=condition=Ready", "widget/one", "--timeout=5s")
    await kubectl("wait", "--for=jsonpath={.status.count}=3", "widget/one", "--timeout=5s")


async def test_a_table_follows_changes(widgets: KubeServer, kubectl: Kubectl) -> None:
    widgets.create(widget(part="part-1"))
    process = await kubectl.start("get", "widgets", "-w", "--no-headers")
    assert process.stdout is not None

    async def line() -> list[str]:
        assert process.stdout is not None
        return (await asyncio.wait_for(process.stdout.readline(), 10)).decode().split()

    assert (await line())[:2] == ["one", "5"]
    widgets.patch("example.com", "widgets", "one", {"spec": {"size": 6}})
    assert (await line())[:2] == ["one", "6"]
    process.terminate()
    await process.communicate()


async def test_changes_by_hand(widgets: KubeServer, kubectl: Kubectl) -> None:
    widgets.create(widget(part="part-1"))
    await kubectl("label", "widget", "one", "ng=multi")
    await kubectl("annotate", "widget", "one", "why=because")
    await kubectl("patch", "widget", "one", "--type=merge", "-p", '{"spec":{"size":6}}')
    await kubectl(
        "patch", "widget", "one", "--type=json", "-p", '[{"op":"add","path":"/spec/note","value":"hi"}]'
    )
    await kubectl(
        "patch", "widget", "one", "--type=merge", "--subresource=status", "-p", '{"status":{"count":2}}'
    )
    edited = await kubectl("edit", "widget", "one", EDITOR="sed -i s/mode:.Fast/mode:\\ Slow/")
    assert edited == "widget.example.com/one edited\n"
    stored = widgets.objects("example.com", "widgets")[0]
    assert stored["metadata"]["labels"] == {"ng": "multi"}
    assert stored["metadata"]["annotations"] == {"why": "because"}
    assert stored["spec"] == {
        "selector": {"a": "b"},
        "size": 6,
        "part": "part-1",
        "mode": "Slow",
        "note": "hi",
    }
    assert stored["status"] == {"count": 2}
    await kubectl("label", "widget", "one", "ng-")
    assert "labels" not in widgets.objects("example.com", "widgets")[0]["metadata"]


async def test_deleting_waits_for_finalizers(widgets: KubeServer, kubectl: Kubectl) -> None:
    held = widget(part="part-1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    widgets.create(held)
    await kubectl("delete", "widget", "one", "--wait=false")
    waiting = asyncio.create_task(kubectl("wait", "--for=delete", "widget/one", "--timeout=10s"))
    widgets.patch("example.com", "widgets", "one", {"metadata": {"finalizers": None}})
    await waiting
    assert (await kubectl.run("get", "widget", "one"))[2] == (
        'Error from server (NotFound): widgets.example.com "one" not found\n'
    )


async def test_describe_shows_the_events_of_an_object(widgets: KubeServer, kubectl: Kubectl) -> None:
    made = widgets.create(widget(part="part-1"))
    about = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "one", "uid": made["metadata"]["uid"]}
    widgets.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": about,
            "reason": "Turned",
            "message": "it turned",
            "type": "Normal",
            "count": 1,
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "source": {"component": "turner"},
        }
    )
    described = await kubectl("describe", "widget", "one")
    last = described.splitlines()[-1].split()
    assert (last[0], last[1], last[-3:]) == ("Normal", "Turned", ["turner", "it", "turned"])
    assert "Turned" in await kubectl("events", "--for", "widget/one")
    assert "widget/one" in await kubectl("get", "events")


async def test_explain_tells_what_a_field_is(widgets: KubeServer, kubectl: Kubectl) -> None:
    async with asyncio.timeout(30):  # a real API server describes a kind a moment after it serves it
        while (answer := await kubectl.run("explain", "widget.spec"))[0]:
            assert "couldn't find resource" in answer[2]
    told = answer[1]
    assert "What is wanted." in told
    assert "selector\t<map[string]string> -required-\n    Whom it concerns." in told
    assert "mode\t<string>\n  enum: Fast, Slow" in told


async def test_discovery_lists_what_is_served(widgets: KubeServer, kubectl: Kubectl) -> None:
    rows = [line.split() for line in (await kubectl("api-resources", "--no-headers")).splitlines()]
    assert ["widgets", "wd", "example.com/v1", "false", "Widget"] in rows
    assert ["nodes", "no", "v1", "false", "Node"] in rows
    assert "example.com/v1" in await kubectl("api-versions")


@pytest.mark.usefixtures("sandbox_only")  # a real one reads all kinds in protobuf
async def test_what_kubectl_makes_itself_arrives_whole(server: KubeServer, kubectl: Kubectl) -> None:
    """These are sent in protobuf, which the server reads for the kinds that kubectl makes."""
    await kubectl("create", "namespace", "n")
    await kubectl("create", "configmap", "c", "-n", "n", "--from-literal=a=b")
    await kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    await kubectl("create", "deployment", "d", "--image=img", "--replicas=2", "--", "run", "it")
    await kubectl("create", "clusterrole", "r", "--verb=get,list", "--resource=nodes")
    assert server.objects("", "configmaps")[0]["data"] == {"a": "b"}
    assert server.objects("", "secrets")[0]["data"] == {"a": "Yg=="}
    made = server.objects("apps", "deployments")[0]
    assert made["spec"]["replicas"] == 2
    assert made["spec"]["template"]["spec"]["containers"] == [
        {"name": "img", "image": "img", "command": ["run", "it"]}
    ]
    assert server.objects("rbac.authorization.k8s.io", "clusterroles")[0]["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    ]
    assert await kubectl("auth", "can-i", "create", "pods") == "yes\n"
    refused = await kubectl.run("create", "service", "clusterip", "x", "--tcp=80")
    assert refused[0] == 1
    assert "the body of the request was in an unknown format" in refused[2]


async def test_nodes_are_labelled_tainted_and_cordoned(server: KubeServer, kubectl: Kubectl) -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}]
    server.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/edge": ""}},
            "status": {"conditions": conditions, "addresses": addresses},
        }
    )
    await kubectl("label", "node", "n", "ng=multi-eni")
    await kubectl("taint", "node", "n", "k=v:NoSchedule")
    await kubectl("cordon", "n")
    assert (await kubectl("get", "nodes", "--no-headers")).split()[:3] == [
        "n",
        "Ready,SchedulingDisabled",
        "edge",
    ]
    assert await kubectl("get", "node", "-l", "ng=multi-eni", "-o", "name") == "node/n\n"
    assert "k=v:NoSchedule" in await kubectl("describe", "node", "n")


async def test_a_kind_that_is_not_served_is_refused_in_plain_words(kubectl: Kubectl) -> None:
    """kubectl looks for its schema in OpenAPI v2, which it takes as Protobuf alone."""
    wrong = kubectl.file("wrong.yaml", widget() | {"kind": "Wodget"})
    code, _, said = await kubectl.run("apply", "-f", wrong)
    assert code == 1
    assert 'no matches for kind "Wodget" in version "example.com/v1"' in said
    assert "wire-format" not in said
