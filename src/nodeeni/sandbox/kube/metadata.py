"""What every object carries: names, labels, and the fields of `metadata` that are the server's to set."""

import re
import secrets
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.status import (
    ApiError,
    Cause,
    Object,
    bad_request,
    forbidden_value,
    invalid_value,
    required,
)

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_OPTIONAL_PREFIX = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
# Suffix of generateName: the API server's alphabet, without vowels and look-alikes.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fresh(resource: Resource, obj: Object, namespace: str) -> Object:
    """The metadata of an object about to be created, from what the client sent."""
    given = obj["metadata"]
    if not given.get("name") and given.get("generateName"):
        suffix = "".join(secrets.choice(_SUFFIX) for _ in range(5))
        given = {**given, "name": given["generateName"] + suffix}
    metadata = {
        k: v
        for k, v in given.items()
        if k not in ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
    }
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp()
    metadata.pop("generation", None)
    if resource.generation:
        metadata["generation"] = 1
    if resource.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    return metadata


def carried(old: Object, new: Object) -> Object:
    """The metadata of an update: what is the server's stays as it was."""
    result = {k: v for k, v in new.items() if k not in _SERVERS}
    result.update({k: v for k, v in old.items() if k in _SERVERS})
    return result


_SERVERS = (
    "name",
    "namespace",
    "generateName",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def check(resource: Resource, metadata: Object, old: Object | None) -> Iterator[Cause]:
    name = metadata.get("name") or ""
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource.group == "rbac.authorization.k8s.io":
        if "/" in name or "%" in name or name in (".", ".."):
            yield invalid_value("metadata.name", name, "may not contain '/' or '%'")
    elif len(name) > 253 or not _SUBDOMAIN.match(name):
        yield invalid_value("metadata.name", name, _SUBDOMAIN_WORDS)
    yield from _check_labels(metadata.get("labels") or {})
    if sum(len(k) + len(v) for k, v in (metadata.get("annotations") or {}).items()) > 256 * 1024:
        yield Cause(
            "FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations"
        )
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid_value(f"metadata.ownerReferences[{index}].{field}", "", "must not be empty")
    for name in metadata.get("finalizers") or ():
        yield from _qualified_faults("metadata.finalizers", name)
    if old is not None and old.get("deletionTimestamp"):
        added = set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ())
        if added:
            listed = ", ".join(f'"{name}"' for name in sorted(added))
            yield forbidden_value(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )


def _check_labels(labels: dict[str, str]) -> Iterator[Cause]:
    for pair in labels.items():
        yield from _label_faults(*pair)


@lru_cache(maxsize=10_000)
def _label_faults(key: str, value: str) -> tuple[Cause, ...]:
    """Cached, since the nodes of a cluster carry much the same labels."""
    faults = list(_qualified_faults("metadata.labels", key))
    if len(value) > 63 or not _VALUE.match(value):
        faults.append(invalid_value("metadata.labels", value, _LABEL_WORDS))
    return tuple(faults)


def _qualified_faults(field: str, key: str) -> Iterator[Cause]:
    """What is wrong with a name that may have a DNS subdomain and a slash before it."""
    prefix, slash, name = key.partition("/")
    if "/" in name:
        yield invalid_value(field, key, f"a qualified name {_NAME_WORDS}{_OPTIONAL_PREFIX}")
        return
    name = name if slash else prefix
    if slash and not _SUBDOMAIN.match(prefix):
        yield invalid_value(field, key, f"prefix part {_SUBDOMAIN_WORDS}")
    if len(name) > 63 or not _QUALIFIED.match(name):
        yield invalid_value(field, key, f"name part {_NAME_WORDS}")


_STRING_FIELDS = ("name", "namespace", "generateName", "uid", "resourceVersion")


def check_shape(obj: object) -> Object:
    """The object, if its metadata can be worked with at all. Raises ApiError 400 otherwise."""
    if not isinstance(obj, dict):
        raise bad_request("the object provided is unrecognized (must be of type object)")
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise bad_request("json: cannot unmarshal metadata into Go value of type v1.ObjectMeta")
    # Empty maps, lists and strings do not survive the API server's own types (omitempty).
    metadata = {k: v for k, v in metadata.items() if k == "managedFields" or v not in (None, {}, [], "")}
    for name in ("labels", "annotations"):
        pairs = metadata.get(name, {})
        if not isinstance(pairs, dict) or not all(isinstance(v, str) for v in pairs.values()):
            raise _not_of_type(name, "map[string]string")
    for name in ("finalizers", "ownerReferences", "managedFields"):
        if not isinstance(metadata.get(name, []), list):
            raise _not_of_type(name, "list")
    for name in _STRING_FIELDS:
        if not isinstance(metadata.get(name, ""), str):
            raise _not_of_type(name, "string")
    return {**obj, "metadata": metadata}


def _not_of_type(name: str, wanted: str) -> ApiError:
    return bad_request(
        f"json: cannot unmarshal value into Go struct field ObjectMeta.metadata.{name} of type {wanted}"
    )
