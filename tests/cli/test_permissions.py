"""What `nodeeni doctor` asks for is what the deployed roles grant."""

from pathlib import Path
from typing import Any

import yaml

from nodeeni.controller.permissions import KUBERNETES, Permission

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


def test_the_controllers_roles_grant_all_that_it_needs() -> None:
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "deployment.yaml").read_text()))
    roles = [d for d in documents if d and d["kind"] in ("Role", "ClusterRole")]
    needed = {grant for permission in KUBERNETES for grant in asked(permission)}
    assert needed - {grant for role in roles for grant in granted(role)} == set()
