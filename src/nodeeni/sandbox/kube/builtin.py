"""The built-in resources: how they are shown, and how their lists are merged. Beyond that they are stored as
they come: what a kubelet or a controller would check or fill in is not this server's business.
"""

from collections.abc import Iterator

from nodeeni.sandbox.kube.resources import ALL_VERBS, Column, Resource
from nodeeni.sandbox.kube.schema import STRUCT
from nodeeni.sandbox.kube.status import Object


# Map lists and sets of the built-in types: what strategic merge and server-side apply merge by.
# From the `+listType`, `+listMapKey` and `patchMergeKey` markers of k8s.io/api. Fields not named here are
# kept as they come, and merged by the general rules: objects by field, lists as a whole.
def _map_list(*keys: str, item: Object | None = None) -> Object:
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "items": item or _open(),
    }


def _set() -> Object:
    return {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}


def _open(**properties: Object) -> Object:
    result: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, STRUCT: True}
    if properties:
        result["properties"] = properties
    return result


_STRINGS: Object = {"type": "object", "additionalProperties": {"type": "string"}}
_STRING: Object = {"type": "string"}
_TIME: Object = {"type": "string", "format": "date-time"}

OBJECT_META: Object = {
    "type": "object",
    "description": "Standard object's metadata.",
    "properties": {
        "annotations": _STRINGS,
        "creationTimestamp": {**_TIME, "nullable": True},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
        "deletionTimestamp": _TIME,
        "finalizers": _set(),
        "generateName": _STRING,
        "generation": {"type": "integer", "format": "int64"},
        "labels": _STRINGS,
        "managedFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": _open()},
        "name": _STRING,
        "namespace": _STRING,
        "ownerReferences": _map_list("uid"),
        "resourceVersion": _STRING,
        "selfLink": _STRING,
        "uid": _STRING,
    },
}

_CONTAINER = _open(
    env=_map_list("name"),
    volumeMounts=_map_list("mountPath"),
    ports=_map_list("containerPort", "protocol"),
)
_POD_SPEC = _open(
    containers=_map_list("name", item=_CONTAINER),
    initContainers=_map_list("name", item=_CONTAINER),
    volumes=_map_list("name"),
    imagePullSecrets=_map_list("name"),
)
_TEMPLATE = _open(metadata=_open(labels=_STRINGS, annotations=_STRINGS), spec=_POD_SPEC)
_CONDITIONS = _open(conditions=_map_list("type"))


def _kind(description: str, **properties: Object) -> Object:
    common: Object = {"apiVersion": _STRING, "kind": _STRING, "metadata": OBJECT_META}
    return {"type": "object", "description": description, "properties": {**common, **properties}}


NAME_COLUMN = Column(
    "Name",
    "string",
    ".metadata.name",
    description="Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically. Name is "
    "primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
    format="name",
)
_AGE = Column("Age", "date", ".metadata.creationTimestamp")


def _event_schema() -> Object:
    """The core form, in which events are stored."""
    about = {**_open(), "x-kubernetes-map-type": "atomic"}
    common = _kind("Event is a report of an event somewhere in the cluster.")
    fields = {**common["properties"], "involvedObject": about, "source": _open()}
    return {**_open(), **common, "properties": fields}


def _core() -> Iterator[Resource]:
    yield Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        "namespace",
        ("ns",),
        namespaced=False,
        status=True,
        schema=_kind(
            "Namespace provides a scope for Names.",
            spec=_open(finalizers={"type": "array", "items": _STRING}),
            status=_open(conditions=_map_list("type")),
        ),
        columns=(NAME_COLUMN, Column("Status", "string", ".status.phase"), _AGE),
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    )
    yield Resource(
        "",
        "v1",
        "nodes",
        "Node",
        "node",
        ("no",),
        namespaced=False,
        status=True,
        schema=_kind(
            "Node is a worker node in Kubernetes.",
            spec=_open(taints={"type": "array", "items": _open()}, podCIDRs=_set()),
            status=_open(
                conditions=_map_list("type"),
                addresses=_map_list("type"),
                capacity={"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}},
            ),
        ),
        columns=(
            NAME_COLUMN,
            Column("Status", "string", "@node-status"),
            Column("Roles", "string", "@node-roles"),
            _AGE,
            Column("Version", "string", ".status.nodeInfo.kubeletVersion"),
            Column("Internal-IP", "string", '.status.addresses[?(@.type=="InternalIP")].address', 1),
            Column("OS-Image", "string", ".status.nodeInfo.osImage", 1),
            Column("Kernel-Version", "string", ".status.nodeInfo.kernelVersion", 1),
        ),
    )
    yield Resource(
        "",
        "v1",
        "pods",
        "Pod",
        "pod",
        ("po",),
        ("all",),
        status=True,
        schema=_kind("Pod is a collection of containers.", spec=_POD_SPEC, status=_CONDITIONS),
        columns=(
            NAME_COLUMN,
            Column("Ready", "string", "@pod-ready"),
            Column("Status", "string", ".status.phase"),
            Column("Restarts", "integer", "@pod-restarts"),
            _AGE,
            Column("IP", "string", ".status.podIP", 1),
            Column("Node", "string", ".spec.nodeName", 1),
        ),
    )
    yield Resource(
        "",
        "v1",
        "configmaps",
        "ConfigMap",
        "configmap",
        ("cm",),
        schema=_kind(
            "ConfigMap holds configuration data for pods to consume.",
            data=_STRINGS,
            binaryData=_STRINGS,
            immutable={"type": "boolean"},
        ),
        columns=(NAME_COLUMN, Column("Data", "string", "@data-count"), _AGE),
    )
    yield Resource(
        "",
        "v1",
        "secrets",
        "Secret",
        "secret",
        schema=_kind(
            "Secret holds secret data of a certain type.",
            data=_STRINGS,
            stringData=_STRINGS,
            type=_STRING,
            immutable={"type": "boolean"},
        ),
        columns=(
            NAME_COLUMN,
            Column("Type", "string", ".type"),
            Column("Data", "string", "@data-count"),
            _AGE,
        ),
    )
    yield Resource(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        "serviceaccount",
        ("sa",),
        schema=_kind(
            "ServiceAccount binds together an identity and a set of secrets.",
            secrets=_map_list("name"),
            imagePullSecrets={"type": "array", "items": _open()},
            automountServiceAccountToken={"type": "boolean"},
        ),
        columns=(NAME_COLUMN, Column("Secrets", "string", "@secrets-count"), _AGE),
    )
    yield Resource(
        "",
        "v1",
        "services",
        "Service",
        "service",
        ("svc",),
        ("all",),
        status=True,
        schema=_kind(
            "Service is a named abstraction of software service.",
            spec=_open(ports=_map_list("port", "protocol")),
            status=_CONDITIONS,
        ),
        columns=(
            NAME_COLUMN,
            Column("Type", "string", ".spec.type"),
            Column("Cluster-IP", "string", ".spec.clusterIP"),
            _AGE,
        ),
    )


def _events() -> Iterator[Resource]:
    columns = (
        Column("Last Seen", "string", "@event-last-seen"),
        Column("Type", "string", ".type"),
        Column("Reason", "string", ".reason"),
        Column("Object", "string", "@event-object"),
        Column("Source", "string", "@event-source", 1),
        Column("Message", "string", ".message"),
        Column("Count", "string", ".count", 1),
        Column("Name", "string", ".metadata.name", 1, format="name"),
    )
    for group in ("", "events.k8s.io"):
        yield Resource(
            group,
            "v1",
            "events",
            "Event",
            "event",
            ("ev",),
            storage="events",
            create_on_update=True,
            schema=_event_schema(),
            columns=columns,
        )


def _workloads() -> Iterator[Resource]:
    for plural, kind, short, ready in (
        ("deployments", "Deployment", "deploy", ".status.readyReplicas"),
        ("daemonsets", "DaemonSet", "ds", ".status.numberReady"),
    ):
        yield Resource(
            "apps",
            "v1",
            plural,
            kind,
            kind.lower(),
            (short,),
            ("all",),
            status=True,
            generation=True,
            schema=_kind(
                f"{kind} enables declarative updates for Pods.",
                spec=_open(template=_TEMPLATE),
                status=_CONDITIONS,
            ),
            columns=(NAME_COLUMN, Column("Ready", "string", ready), _AGE),
        )


def _rbac() -> Iterator[Resource]:
    role: Object = _kind("A set of permissions.", rules={"type": "array", "items": _open()})
    aggregated: Object = {**role, "properties": {**role["properties"], "aggregationRule": _open()}}
    binding: Object = _kind(
        "Who holds a role.", subjects={"type": "array", "items": _open()}, roleRef=_open()
    )
    for plural, kind, namespaced, schema in (
        ("roles", "Role", True, role),
        ("rolebindings", "RoleBinding", True, binding),
        ("clusterroles", "ClusterRole", False, aggregated),
        ("clusterrolebindings", "ClusterRoleBinding", False, binding),
    ):
        yield Resource(
            "rbac.authorization.k8s.io",
            "v1",
            plural,
            kind,
            kind.lower(),
            namespaced=namespaced,
            schema=schema,
            columns=(NAME_COLUMN, Column("Created At", "date", ".metadata.creationTimestamp")),
        )


def _others() -> Iterator[Resource]:
    yield Resource(
        "coordination.k8s.io",
        "v1",
        "leases",
        "Lease",
        "lease",
        unconditional_update=False,
        create_on_update=True,
        schema=_kind("Lease defines a lease concept.", spec=_open()),
        columns=(NAME_COLUMN, Column("Holder", "string", ".spec.holderIdentity"), _AGE),
    )
    yield Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "customresourcedefinition",
        ("crd", "crds"),
        ("api-extensions",),
        namespaced=False,
        status=True,
        generation=True,
        unconditional_update=False,
        schema=_kind(
            "CustomResourceDefinition represents a resource that should be exposed on the API server.",
            spec=_open(versions=_map_list("name")),
            status=_CONDITIONS,
        ),
        columns=(NAME_COLUMN, Column("Created At", "date", ".metadata.creationTimestamp")),
    )


def resources() -> list[Resource]:
    return [*_core(), *_events(), *_workloads(), *_rbac(), *_others()]
