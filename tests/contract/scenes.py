"""What clients ask of an API server, scene by scene: our controller, our agents, kubectl and other clients.

Each scene begins with our two CRDs installed and no objects. Scenes are grouped by what they are about;
those of the custom resources' rules are in `custom_scenes.py`.
"""

from typing import Any

from tests.contract.transcript import JSON_PATCH, MERGE, METADATA, STRATEGIC, TABLE, Transcript

from nodeeni.api.names import API_VERSION

Object = dict[str, Any]

NODES = "/api/v1/nodes"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
EVENTS = "/api/v1/namespaces/default/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = f"/apis/{API_VERSION}"
NODEENIS = f"{GROUP}/nodeenis"
ENINODES = f"{GROUP}/eninodes"


def node(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def lease(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def nodeeni(name: str = "multus", **changes: Any) -> Object:
    """As v1.1.0's README has it, with changes; None takes a field out."""
    spec = {
        "nodeSelector": {"ng": "multi-eni"},
        "subnetID": "subnet-0f59b4f14737be9ad",
        "securityGroupIDs": ["sg-05da196f3314d4af8"],
        **changes,
    }
    spec = {key: value for key, value in spec.items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": {"name": name}, "spec": spec}


def interface(number: int, **more: Any) -> Object:
    return {
        "nodeENI": "multus",
        "eniID": f"eni-{number}",
        "macAddress": f"02:00:00:00:00:{number:02x}",
        "deviceIndex": number,
        "networkCardIndex": 0,
        **more,
    }


def eninode(name: str, *interfaces: Object) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "ENINode",
        "metadata": {"name": name},
        "spec": {"instanceID": "i-1", "interfaces": list(interfaces)},
    }


# Objects: their life.


async def create(t: Transcript) -> None:
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.get(f"{CONFIGMAPS}/a")
    await t.post(CONFIGMAPS, configmap("a", x="2"))
    await t.post(NODEENIS, nodeeni())
    await t.post(NODEENIS, nodeeni())
    await t.get(f"{NODEENIS}/multus")


async def create_refused(t: Transcript) -> None:
    await t.post(CONFIGMAPS, configmap("A_b"))
    await t.post(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
    await t.ask("POST", CONFIGMAPS, {**configmap("a"), "kind": "Secret"}, only="reason")
    await t.ask("POST", CONFIGMAPS, {**configmap("a"), "apiVersion": "v2"}, only="reason")
    await t.post(CONFIGMAPS, {"metadata": {"name": "bare"}})
    await t.post(CONFIGMAPS, {**configmap("a"), "metadata": {"name": "a", "namespace": "kube-system"}})
    await t.post("/api/v1/namespaces/nope/configmaps", configmap("a"))
    await t.post(NODES, node("a", x="not ok"))
    await t.post(NODES, node("a", **{"not/a/key": "x"}))
    await t.post(NODEENIS, {**nodeeni(), "kind": "NodeEni"})
    other_version = {**nodeeni(), "apiVersion": "networking.k8s.aws/v1"}
    await t.post(f"{NODEENIS}?fieldValidation=Ignore", other_version)
    await t.post(NODEENIS, nodeeni("Not-A-Name"))
    held = nodeeni()
    held["metadata"]["finalizers"] = ["not a finalizer"]
    await t.post(NODEENIS, held)
    versioned = nodeeni()
    versioned["metadata"]["resourceVersion"] = "1"
    await t.post(NODEENIS, versioned)


async def bodies_refused(t: Transcript) -> None:
    await t.ask("POST", NODEENIS, b"{not json", only="reason")
    await t.ask("POST", NODEENIS, b"[]", only="reason")
    await t.ask("POST", NODEENIS, b"", only="reason")
    await t.ask("POST", NODEENIS, nodeeni(), "text/plain", only="reason")
    await t.ask("PATCH", f"{NODEENIS}/multus", {}, "text/plain")
    await t.ask("PATCH", f"{NODEENIS}/multus", {}, STRATEGIC)
    await t.ask("POST", CONFIGMAPS, configmap("a", x="1"), "application/yaml")


async def not_found(t: Transcript) -> None:
    await t.get(f"{NODEENIS}/nope")
    await t.get(f"{CONFIGMAPS}/nope")
    await t.delete(f"{NODEENIS}/nope")
    await t.merge(f"{NODEENIS}/nope", {})
    await t.merge(f"{NODEENIS}/nope/status", {"status": {}})
    await t.put(f"{NODEENIS}/nope", nodeeni("nope"))
    await t.put(f"{CONFIGMAPS}/nope", configmap("nope"))
    await t.get(f"{GROUP}/gadgets")
    await t.get("/apis/nope.example.com/v1/things")


async def methods_refused(t: Transcript) -> None:
    await t.ask("PUT", CONFIGMAPS, configmap("a"))
    await t.ask("PATCH", CONFIGMAPS, {}, JSON_PATCH)
    await t.ask("POST", f"{CONFIGMAPS}/a", configmap("a"))
    await t.ask("POST", "/api/v1/configmaps", configmap("a"))


async def update(t: Transcript) -> None:
    made = await t.post(NODEENIS, nodeeni())
    await t.put(f"{NODEENIS}/multus", {**made, "spec": {**made["spec"], "mtu": 9001}})
    await t.put(f"{NODEENIS}/multus", {**made, "spec": {**made["spec"], "mtu": 1500}})
    await t.put(f"{NODEENIS}/multus", nodeeni())
    await t.put(f"{NODEENIS}/other", made)
    uid = {**made["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}
    del uid["resourceVersion"]
    await t.ask("PUT", f"{NODEENIS}/multus", {**made, "metadata": uid}, only="reason")
    now = await t.get(f"{NODEENIS}/multus")
    await t.put(f"{NODEENIS}/multus", now)
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.put(f"{CONFIGMAPS}/a", configmap("a", x="2"))


async def merge_patches(t: Transcript) -> None:
    made = await t.post(NODEENIS, nodeeni())
    version = made["metadata"]["resourceVersion"]
    await t.merge(f"{NODEENIS}/multus", {"spec": {"mtu": 9001, "tags": {"a": "b"}}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"mtu": 9001}})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"mtu": None, "tags": {"a": None, "c": "d"}}})
    await t.merge(f"{NODEENIS}/multus", {"metadata": {"resourceVersion": version, "labels": {"a": "b"}}})
    await t.merge(f"{NODEENIS}/multus", {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    await t.merge(f"{NODEENIS}/multus", {"metadata": {"name": "other"}})
    # The causes of these stand there twice and three times; the message does not.
    other = {"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}}
    await t.ask("PATCH", f"{NODEENIS}/multus", other, MERGE, only="message")
    await t.ask(
        "PATCH", f"{NODEENIS}/multus", {"metadata": {"labels": {"a": "not ok"}}}, MERGE, only="message"
    )
    await t.merge(f"{NODEENIS}/multus", {"spec": None})
    await t.merge(f"{NODEENIS}/multus", {"spec": {"deleteOnTermination": None}})


async def json_patches(t: Transcript) -> None:
    await t.post(CONFIGMAPS, configmap("a", x="1"))

    async def patch(*operations: Object) -> None:
        await t.ask("PATCH", f"{CONFIGMAPS}/a", list(operations), JSON_PATCH)

    await patch(
        {"op": "test", "path": "/data/x", "value": "1"}, {"op": "replace", "path": "/data/x", "value": "2"}
    )
    await patch({"op": "test", "path": "/data/x", "value": "1"})
    await patch({"op": "remove", "path": "/data/nope"})
    await patch({"op": "replace", "path": "/data/nope", "value": "1"})
    await patch(
        {"op": "copy", "from": "/data/x", "path": "/data/y"},
        {"op": "move", "from": "/data/x", "path": "/data/z"},
    )
    await patch({"op": "add", "path": "/metadata/labels", "value": {"a/b": "1"}})
    await patch({"op": "replace", "path": "/metadata/labels/a~1b", "value": "2"})
    await t.ask("PATCH", f"{CONFIGMAPS}/a", {"op": "add"}, JSON_PATCH, only="reason")


async def strategic_patches(t: Transcript) -> None:
    await t.post(CONFIGMAPS, configmap("a", x="1", y="2"))
    await t.ask("PATCH", f"{CONFIGMAPS}/a", {"data": {"y": None, "z": "3"}}, STRATEGIC)
    await t.ask("PATCH", f"{CONFIGMAPS}/a", {"data": {"$patch": "replace", "only": "1"}}, STRATEGIC)
    await t.ask("POST", NODES, node("a"), only="metadata.name")
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Disk", "status": "False"}]
    changed = [{"type": "Ready", "status": "False"}, {"$patch": "delete", "type": "Disk"}]
    for patch in (conditions, changed):
        body = {"status": {"conditions": patch}}
        await t.ask("PATCH", f"{NODES}/a/status", body, STRATEGIC, only="status.conditions")
        for condition in t.answers[-1]["body"]:  # times that nobody set are null with a typed server
            for name in ("lastHeartbeatTime", "lastTransitionTime"):
                condition.pop(name, None)
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}]
    body = {"status": {"addresses": addresses}}
    await t.ask("PATCH", f"{NODES}/a/status", body, STRATEGIC, only="status.addresses")


async def status_and_spec(t: Transcript) -> None:
    await t.post(NODEENIS, {**nodeeni(), "status": {"desired": 9}})
    await t.merge(f"{NODEENIS}/multus", {"status": {"desired": 1}})
    body: Object = {"spec": {"mtu": 9001}, "status": {"desired": 2}}
    await t.merge(f"{NODEENIS}/multus/status", body)
    body = {"metadata": {"labels": {"no": "no"}}, "status": {"desired": 3}}
    await t.ask("PATCH", f"{NODEENIS}/other/status", body, MERGE, only="reason")
    await t.merge(f"{NODEENIS}/multus/status", {"status": {"desired": 2}})
    await t.get(f"{NODEENIS}/multus/status")
    await t.merge(f"{NODEENIS}/multus/status", {"status": None})
    await t.ask("PATCH", f"{NODEENIS}/multus/status", {"status": {"desired": "two"}}, MERGE, only="reason")
    await t.merge(f"{NODEENIS}/multus/status", {"status": {"unknown": 1}})


async def generation(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni())
    for path, body in (
        (f"{NODEENIS}/multus", {"metadata": {"labels": {"x": "y"}}}),
        (f"{NODEENIS}/multus/status", {"status": {"desired": 1}}),
        (f"{NODEENIS}/multus", {"spec": {"mtu": 1500}}),
        (f"{NODEENIS}/multus", {"spec": {"mtu": 1500}}),
    ):
        await t.ask("PATCH", path, body, "application/merge-patch+json", only="metadata.generation")


async def finalizers(t: Transcript) -> None:
    held = nodeeni()
    held["metadata"]["finalizers"] = ["nodeeni.networking.k8s.aws/finalizer"]
    await t.post(NODEENIS, held)
    await t.delete(f"{NODEENIS}/multus")
    await t.delete(f"{NODEENIS}/multus")
    more = [*held["metadata"]["finalizers"], "example.com/late"]
    await t.ask("PATCH", f"{NODEENIS}/multus", {"metadata": {"finalizers": more}}, MERGE, only="message")
    await t.merge(f"{NODEENIS}/multus", {"spec": {"mtu": 1500}})
    await t.ask("PATCH", f"{NODEENIS}/multus", {"metadata": {"finalizers": None}}, MERGE, only="spec")
    await t.get(f"{NODEENIS}/multus")


async def deletion(t: Transcript) -> None:
    made = await t.post(NODEENIS, nodeeni())
    await t.delete(f"{NODEENIS}/multus", {"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}})
    await t.ask("DELETE", f"{NODEENIS}/multus", {"preconditions": {"resourceVersion": "1"}}, only="reason")
    await t.delete(f"{NODEENIS}/multus", {"preconditions": {"uid": made["metadata"]["uid"]}})
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.delete(f"{CONFIGMAPS}/a", {"kind": "DeleteOptions", "apiVersion": "v1"})
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.delete(f"{CONFIGMAPS}/a?propagationPolicy=Background&gracePeriodSeconds=0")
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.delete(f"{CONFIGMAPS}/a", {"propagationPolicy": "Sideways"})


async def deletion_of_a_collection(t: Transcript) -> None:
    for name, role in (("a", "x"), ("b", "y"), ("c", "x")):
        body = nodeeni(name)
        body["metadata"]["labels"] = {"role": role}
        await t.post(NODEENIS, body)
    await t.delete(f"{NODEENIS}?labelSelector=role%3Dx")
    await t.get(NODEENIS)
    await t.delete(NODEENIS)
    await t.get(NODEENIS)


async def dry_runs(t: Transcript) -> None:
    await t.post(f"{NODEENIS}?dryRun=All", nodeeni())
    await t.get(f"{NODEENIS}/multus")
    await t.post(NODEENIS, nodeeni())
    await t.merge(f"{NODEENIS}/multus?dryRun=All", {"spec": {"mtu": 1500}})
    await t.delete(f"{NODEENIS}/multus?dryRun=All")
    await t.delete(f"{NODEENIS}/multus", {"dryRun": ["All"]})
    await t.get(f"{NODEENIS}/multus")
    await t.merge(f"{NODEENIS}/multus?dryRun=Some", {"spec": {"mtu": 1500}})


async def field_validation(t: Transcript) -> None:
    body = nodeeni(colour="red")
    for mode in ("Strict", "Warn", "Ignore", "Loud"):
        await t.post(f"{NODEENIS}?fieldValidation={mode}&dryRun=All", body)
    await t.post(f"{CONFIGMAPS}?fieldValidation=Strict", {**configmap("a"), "colour": "red"})
    await t.post(NODEENIS, nodeeni())
    patch = {"spec": {"colour": "red"}}
    await t.ask("PATCH", f"{NODEENIS}/multus?fieldValidation=Strict", patch, MERGE, only="reason")
    await t.merge(f"{NODEENIS}/multus", patch)


# Reading.


async def lists(t: Transcript) -> None:
    await t.get(NODEENIS)
    for name in "abcde":
        body = configmap(name, x="1")
        body["metadata"]["labels"] = {"rank": name, "half": "first" if name < "c" else "second"}
        await t.post(CONFIGMAPS, body)
    await t.get(f"{CONFIGMAPS}?labelSelector=half")
    await t.get(f"{CONFIGMAPS}?labelSelector=half%3Dfirst&limit=1")
    for selector in (
        "half!=first",
        "half in (second,third),rank notin (c)",
        "!half",
        "half,rank in (a,e)",
        "nope",
        "half==second",
    ):
        listed = await t.ask("GET", f"{CONFIGMAPS}?labelSelector={selector}", only="kind")
        t.answers[-1]["body"] = [item["metadata"]["name"] for item in listed["items"]]
    for selector in ("metadata.name=c", "metadata.name!=c,metadata.namespace=default", "metadata.name=nope"):
        listed = await t.ask("GET", f"{CONFIGMAPS}?labelSelector=half&fieldSelector={selector}", only="kind")
        t.answers[-1]["body"] = [item["metadata"]["name"] for item in listed["items"]]


async def lists_refused(t: Transcript) -> None:
    for query in (
        "labelSelector=a%3D%3D%3Db",
        "labelSelector=a%20in%20x",
        "fieldSelector=data.x%3D1",
        "fieldSelector=nonsense",
        "limit=x",
        "resourceVersion=abc",
        "continue=abc",
    ):
        await t.ask("GET", f"{CONFIGMAPS}?{query}", only="reason")
    await t.get(f"{NODEENIS}?fieldSelector=spec.mtu%3D1500")
    await t.get(f"{CONFIGMAPS}?resourceVersionMatch=Exact")


async def pages(t: Transcript) -> None:
    for name in "abcde":
        await t.post(NODEENIS, nodeeni(name))
    page = await t.get(f"{NODEENIS}?limit=2")
    token = page["metadata"]["continue"]
    await t.delete(f"{NODEENIS}/d")
    await t.post(NODEENIS, nodeeni("cc"))
    rest = await t.get(f"{NODEENIS}?limit=2&continue={token}")
    await t.get(f"{NODEENIS}?limit=2&continue={rest['metadata']['continue']}")
    await t.get(f"{NODEENIS}?limit=5&fieldSelector=metadata.name%3Dc")
    await t.get(f"{NODEENIS}?resourceVersion=0&limit=3")


async def tables(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni())
    conditions = [
        {
            "type": "Ready",
            "status": "True",
            "reason": "AllAttached",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
    status = {"desired": 2, "attached": 1, "linksUp": 1, "conditions": conditions}
    await t.merge(f"{NODEENIS}/multus/status", {"status": status})
    for path in (NODEENIS, f"{NODEENIS}/multus", f"{NODEENIS}?includeObject=None"):
        await t.get(path, Accept=TABLE)
        _hide_ages(t)
    await t.post(ENINODES, eninode("n", interface(1), interface(2)))
    links = [{"macAddress": f"02:00:00:00:00:0{n}", "state": s} for n, s in ((1, "Up"), (2, "Down"))]
    await t.merge(f"{ENINODES}/n/status", {"status": {"interfaces": links}})
    await t.get(ENINODES, Accept=TABLE)
    _hide_ages(t)
    await t.post(CONFIGMAPS, configmap("a", x="1"))
    await t.ask("GET", f"{CONFIGMAPS}/a", only="rows", Accept=TABLE)
    t.answers[-1]["body"] = [row["cells"][:2] for row in t.answers[-1]["body"]]


def _hide_ages(t: Transcript) -> None:
    """An age is whole seconds of the clock."""
    table = t.answers[-1]["body"]
    ages = [n for n, column in enumerate(table["columnDefinitions"]) if column["name"] == "Age"]
    for row in table["rows"]:
        for number in ages:
            row["cells"][number] = "AGE"


async def metadata_alone(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni())
    await t.get(f"{NODEENIS}/multus", Accept=METADATA)
    await t.get(NODEENIS, Accept=METADATA.replace("PartialObjectMetadata", "PartialObjectMetadataList"))


# Watching.


async def watch_follows_list(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni("a"))
    version = (await t.get(NODEENIS))["metadata"]["resourceVersion"]
    await t.post(NODEENIS, nodeeni("b"))
    await t.merge(f"{NODEENIS}/a", {"spec": {"mtu": 1500}})
    await t.merge(f"{NODEENIS}/a/status", {"status": {"desired": 1}})
    await t.delete(f"{NODEENIS}/b")
    await t.watch(NODEENIS, 4, resourceVersion=version, allowWatchBookmarks="true")


async def watch_begins(t: Transcript) -> None:
    await t.post(NODEENIS, nodeeni("a"))
    await t.post(NODEENIS, nodeeni("b"))
    await t.watch(NODEENIS, 2)
    await t.watch(NODEENIS, 2, resourceVersion="0")


async def watch_selects(t: Transcript) -> None:
    made = await t.post(ENINODES, eninode("n"))
    version = made["metadata"]["resourceVersion"]
    await t.post(ENINODES, eninode("other"))
    await t.merge(f"{ENINODES}/n", {"metadata": {"labels": {"ng": "x"}}})
    await t.merge(f"{ENINODES}/n", {"metadata": {"labels": {"ng": None}}})
    await t.delete(f"{ENINODES}/n")
    await t.watch(ENINODES, 3, resourceVersion=version, fieldSelector="metadata.name=n")
    await t.watch(ENINODES, 2, resourceVersion=version, labelSelector="ng=x")


async def watch_ends(t: Transcript) -> None:
    version = (await t.get(NODEENIS))["metadata"]["resourceVersion"]
    await t.watch(NODEENIS, 0, timeoutSeconds="1", resourceVersion=version)
    made = await t.post(NODEENIS, nodeeni("a"))
    await t.watch(NODEENIS, 0, timeoutSeconds="1", resourceVersion=made["metadata"]["resourceVersion"])


async def watch_refused(t: Transcript) -> None:
    for query in ("resourceVersion=abc", "fieldSelector=spec.mtu%3D1", "sendInitialEvents=true"):
        await t.get(f"{NODEENIS}?watch=true&{query}")
    await t.ask("GET", f"{NODEENIS}?watch=true&labelSelector=a%3D%3D%3Db", only="reason")


# Who owns a field.


async def server_side_apply(t: Transcript) -> None:
    one = f"{NODEENIS}/multus"
    await t.apply(one, nodeeni(), "me")
    await t.apply(one, nodeeni(), "me")
    await t.apply(one, nodeeni(mtu=1500), "you")
    await t.apply(one, {**nodeeni(mtu=9001)}, "me")
    await t.apply(one, nodeeni(mtu=9001), "me", force=True)
    await t.apply(one, nodeeni(), "me")
    await t.ask("PATCH", one, nodeeni(), "application/apply-patch+yaml")
    await t.apply(one, nodeeni(colour="red"), "me")
    await t.apply(one, {**nodeeni(), "metadata": {"name": "other"}}, "me")
    await t.apply(one, nodeeni(deviceIndex=99), "me")


async def owners_of_a_status(t: Transcript) -> None:
    await t.post(f"{ENINODES}?fieldManager=maker", eninode("n", interface(1)))
    link = {"macAddress": "02:00:00:00:00:01", "state": "Up"}
    patch = {"status": {"observedGeneration": 1, "interfaces": [link]}}
    await t.merge(f"{ENINODES}/n/status?fieldManager=agent", patch)
    await t.merge(f"{ENINODES}/n?fieldManager=maker", {"spec": {"interfaces": [interface(1, mtu=9001)]}})


# Leases and events, as our client writes them.


async def leases(t: Transcript) -> None:
    spec = {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 0,
        "acquireTime": "2026-01-01T00:00:00.123456Z",
        "renewTime": "2026-01-01T00:00:00.123456Z",
    }
    made = await t.post(LEASES, lease("l", **spec))
    version = made["metadata"]["resourceVersion"]
    renewed = {"metadata": {"resourceVersion": version}, "spec": {"renewTime": "2026-01-01T00:00:02.000000Z"}}
    await t.merge(f"{LEASES}/l", renewed)
    await t.merge(f"{LEASES}/l", renewed)
    await t.merge(f"{LEASES}/l", {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
    await t.merge(f"{LEASES}/l", {"spec": {"leaseDurationSeconds": -1}})
    await t.put(f"{LEASES}/new", lease("new", holderIdentity="b"))
    await t.put(f"{LEASES}/new", lease("new", holderIdentity="c"))
    await t.delete(f"{LEASES}/l")


async def events(t: Transcript) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"apiVersion": API_VERSION, "kind": "NodeENI", "name": "multus", "uid": "u"},
        "type": "Normal",
        "reason": "ENIAttached",
        "message": "words",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "nodeeni-controller", "host": "h"},
        "reportingComponent": "nodeeni-controller",
        "reportingInstance": "h",
    }
    await t.post(EVENTS, event)
    await t.post(EVENTS, event)
    await t.merge(f"{EVENTS}/e", {"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z"})
    await t.merge(f"{EVENTS}/nope", {"count": 2})
    await t.get(f"{EVENTS}?fieldSelector=involvedObject.name%3Dmultus,reason%3DENIAttached,type%3DNormal")
    await t.get("/apis/events.k8s.io/v1/namespaces/default/events/e")
    await t.post(EVENTS, {**event, "metadata": {"name": "f", "namespace": "kube-system"}})
    await t.post("/api/v1/namespaces/nope/events", {**event, "metadata": {"name": "g"}})


# What is served.


async def discovery(t: Transcript) -> None:
    for path in (GROUP, "/apis/coordination.k8s.io/v1"):
        await t.get(path)
        listed = t.answers[-1]["body"]["resources"]
        listed.sort(key=lambda entry: entry["name"])  # a real one's order is that of a map of Go's
        for entry in listed:
            entry.pop("storageVersionHash", None)
    await t.get("/apis/networking.k8s.aws")
    await t.get("/apis/nope.example.com")
    await t.get("/nope")
    core = await t.ask("GET", "/api/v1", only="kind")
    ours = ("nodes", "nodes/status", "configmaps", "events", "namespaces", "namespaces/status", "secrets")
    picked = [entry for entry in core["resources"] if entry["name"] in ours]
    t.answers[-1]["body"] = [
        {k: v for k, v in entry.items() if k != "storageVersionHash"}
        for entry in sorted(picked, key=lambda entry: str(entry["name"]))
    ]


async def reviews(t: Transcript) -> None:
    attributes = {"verb": "create", "resource": "nodeenis", "group": "networking.k8s.aws"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    await t.ask("POST", path, body, only="status.allowed")


async def definitions(t: Transcript) -> None:
    there = await t.ask("GET", f"{CRDS}/nodeenis.networking.k8s.aws", only="spec")
    conditions = {c["type"]: c["status"] for c in there["status"]["conditions"]}
    t.answers.append({"request": "conditions", "body": [conditions, there["status"]["acceptedNames"]]})
    await t.ask("GET", f"{CRDS}/eninodes.networking.k8s.aws", only="status.storedVersions")


SCENES = (
    create,
    create_refused,
    bodies_refused,
    not_found,
    methods_refused,
    update,
    merge_patches,
    json_patches,
    strategic_patches,
    status_and_spec,
    generation,
    finalizers,
    deletion,
    deletion_of_a_collection,
    dry_runs,
    field_validation,
    lists,
    lists_refused,
    pages,
    tables,
    metadata_alone,
    watch_follows_list,
    watch_begins,
    watch_selects,
    watch_ends,
    watch_refused,
    server_side_apply,
    owners_of_a_status,
    leases,
    events,
    discovery,
    reviews,
    definitions,
)
