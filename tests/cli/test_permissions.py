"""What `nodeeni doctor` asks for is what the deployed roles grant."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeeni.controller.permissions import Permission, kubernetes
from nodeeni.settings import controller_settings

ROOT = Path(__file__).resolve().parents[2]
Grant = tuple[str, str, str, str, str]  # namespace, API group, resource, name, verb


def asked(permission: Permission) -> set[Grant]:
    resource = permission.resource
    plural = f"{resource.plural}/{permission.subresource}" if permission.subresource else resource.plural
    return {
        (permission.namespace, resource.group, plural, permission.name, verb) for verb in permission.verbs
    }


def granted(role: dict[str, Any]) -> set[Grant]:
    namespace = role["metadata"].get("namespace", "")
    return {
        (namespace, group, resource, name, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def roles(*files: str) -> set[Grant]:
    documents = [d for file in files for d in yaml.safe_load_all((ROOT / "deploy" / file).read_text())]
    found = [d for d in documents if d and d["kind"] in ("Role", "ClusterRole")]
    return {grant for role in found for grant in granted(role)}


def lacking(grants: set[Grant], *flags: str) -> set[Grant]:
    """What a controller with these flags needs besides. A ClusterRole grants in every namespace."""
    permissions = kubernetes(controller_settings(flags, {}))
    needed = {grant for permission in permissions for grant in asked(permission)}
    return {grant for grant in needed if not grants & {grant, ("", *grant[1:])}}


def test_the_controllers_roles_grant_all_that_it_needs() -> None:
    assert lacking(roles("deployment.yaml")) == set()


@pytest.mark.parametrize(
    ("flag", "resource"),
    [("--node-condition", "nodes/status"), ("--startup-taint=example.com/no-eni-yet", "nodes")],
)
def test_what_is_told_of_nodes_needs_the_role_that_goes_with_it(flag: str, resource: str) -> None:
    assert lacking(roles("deployment.yaml"), flag) == {("", "", resource, "", "patch")}
    assert lacking(roles("deployment.yaml", "readiness.yaml"), flag) == set()
