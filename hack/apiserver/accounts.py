"""The service accounts of the shipped manifests in a real API server, and the rights that they were given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hack.apiserver.server import ApiServer

from nodeeni.api.names import NAMESPACE

Object = dict[str, Any]

DEPLOY = Path(__file__).parents[2] / "deploy"
INSTALL = DEPLOY / "install.yaml"
READINESS = DEPLOY / "readiness.yaml"  # what --node-condition and --startup-taint need besides
CONTROLLER, MANAGER = "eni-controller", "eni-manager"
_ANYBODYS = "selfsubjectaccessreviews"  # what may I do: no role of ours grants that
_ROLES = ("ClusterRole", "Role")
_KINDS = (
    "Namespace",
    "ServiceAccount",
    *_ROLES,
    "ClusterRoleBinding",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "CustomResourceDefinition",
)


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, in one namespace ("": the cluster), on one name ("": any)."""

    account: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.account}: {self.verb} {resource}" + (f" in {self.namespace}" if self.namespace else "")


def shipped() -> list[Object]:
    """The objects of the shipped manifests that say who may do what, and what that needs."""
    documents = [each for path in (INSTALL, READINESS) for each in yaml.safe_load_all(path.read_text())]
    return [document for document in documents if document and document["kind"] in _KINDS]


def workloads() -> list[Object]:
    """The Deployment and the DaemonSet."""
    documents = yaml.safe_load_all(INSTALL.read_text())
    return [document for document in documents if document["kind"] in ("Deployment", "DaemonSet")]


def install(kube: ApiServer) -> None:
    for obj in shipped():
        if obj["kind"] == "CustomResourceDefinition":
            kube.create(obj)
        else:
            kube.apply(obj)


def token(kube: ApiServer, account: str, node: str = "") -> str:
    """A token of the account, as the kubelet asks for one; with `node`, bound to a pod that runs there."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
    spec: Object = {"audiences": [], "expirationSeconds": 3600}
    if node:
        pod = kube.create(_pod(account, node))
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    code, answer = kube.call("POST", path, body)
    assert code == 201, answer
    return str(answer["status"]["token"])


def _pod(account: str, node: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{account}-{node}", "namespace": NAMESPACE},
        "spec": {
            "nodeName": node,
            "serviceAccountName": account,
            "containers": [{"name": "c", "image": "i"}],
        },
    }


def rights(account: str) -> set[Right]:
    """Every verb of every rule that the manifests give the account."""
    objects = shipped()
    roles = {(o["kind"], o["metadata"]["name"]): o for o in objects if o["kind"] in _ROLES}
    found: set[Right] = set()
    for binding in objects:
        if account in [subject["name"] for subject in binding.get("subjects", ())]:
            role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
            found |= _rights_of(account, role)
    return found


def _rights_of(account: str, role: Object) -> set[Right]:
    namespace = role["metadata"].get("namespace", "")
    return {
        Right(account, verb, group, resource, namespace, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def take_away(kube: ApiServer, right: Right) -> None:
    """Removes one verb of one rule from the roles as they stand in the API server."""
    for role in shipped():
        if role["kind"] in _ROLES and right in _rights_of(right.account, role):
            rules = [_without(rule, right) for rule in role["rules"]]
            kube.patch(
                "rbac.authorization.k8s.io",
                f"{role['kind'].lower()}s",
                role["metadata"]["name"],
                {"rules": [rule for rule in rules if rule["verbs"]]},
                namespace=role["metadata"].get("namespace", ""),
            )


def _without(rule: Object, right: Right) -> Object:
    concerned = right.group in rule["apiGroups"] and right.resource in rule["resources"]
    verbs = [verb for verb in rule["verbs"] if not (concerned and verb == right.verb)]
    return {**rule, "verbs": verbs}


def used(entries: list[Object], account: str) -> set[Right]:
    """The rights that requests of the audit log needed."""
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    found: set[Right] = set()
    granted = rights(account)
    for entry in entries:
        ref = entry.get("objectRef")
        if entry["user"]["username"] != user or ref is None or ref["resource"] == _ANYBODYS:
            continue
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource", ""))))
        group, namespace, name = ref.get("apiGroup", ""), ref.get("namespace", ""), ref.get("name", "")
        right = Right(account, entry["verb"], group, resource, namespace)
        for candidate in (
            Right(account, entry["verb"], group, resource, "", name),
            Right(account, entry["verb"], group, resource, ""),
            Right(account, entry["verb"], group, resource, namespace, name),
        ):
            right = candidate if candidate in granted else right
        found.add(right)
    return found
