"""NodeENIs out of a file, as `kubectl apply` would take them: for `nodeeni plan -f`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from nodeeni.api.names import API_VERSION
from nodeeni.api.v1alpha1 import NodeENI, NodeENIMeta, NodeENISpec
from nodeeni.cli.strict import faults_of_spec
from nodeeni.flags import UsageError

STANDARD_INPUT = "-"
_LAST = "9999-12-31T23:59:59Z"  # a NodeENI that is not applied yet is younger than all that are
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


def read_nodeenis(filename: str) -> list[NodeENI]:
    """The NodeENIs of a YAML or JSON file, at least one; other kinds are passed over. Raises UsageError."""
    try:
        documents = list(yaml.safe_load_all(_text(filename)))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"-f {filename} cannot be read: {reason}") from error
    found = [_nodeeni(each, filename) for each in _objects(documents) if each.get("kind") == "NodeENI"]
    if not found:
        raise UsageError(f"-f {filename} holds no NodeENI: give a file with an object of kind NodeENI")
    return found


def _text(filename: str) -> str:
    return sys.stdin.read() if filename == STANDARD_INPUT else Path(filename).read_text()


def _objects(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """Also those within a List, as `kubectl get -o yaml` writes it."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        if document.get("kind") == "List" and isinstance(document.get("items"), list):
            yield from _objects(document["items"])
        else:
            yield document


def _nodeeni(document: dict[str, Any], filename: str) -> NodeENI:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    spec = document.get("spec")
    if isinstance(spec, dict):  # null is as if it were not there
        spec = {key: value for key, value in spec.items() if value is not None}
    faults = [f"{field} is no field" for field in document if field not in _FIELDS]
    if document.get("apiVersion") != API_VERSION:
        faults.append(f"apiVersion has to be {API_VERSION}")
    if not isinstance(name, str) or not name:
        faults.append("metadata.name has to be a name")
    faults += ["spec is missing"] if spec is None else faults_of_spec(spec, str(name))
    if faults:
        raise UsageError(f"-f {filename}: NodeENI {name or '?'}: {'; '.join(faults)}")
    return NodeENI(
        metadata=NodeENIMeta(name=str(name), uid=f"not-applied-{name}", creation_timestamp=_LAST),
        spec=msgspec.convert(spec, NodeENISpec),
    )
