"""Bodies in protobuf form, as client-go writes them for Multus."""

import json
from typing import Any

import pytest

from nodeeni.sandbox.kube.protobuf import decode
from nodeeni.sandbox.kube.status import ApiError


def message(*fields: tuple[int, Any]) -> bytes:
    """A message of strings, bytes and whole numbers below 128."""
    encoded = b""
    for number, value in fields:
        if isinstance(value, int):
            encoded += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            encoded += _varint(number << 3 | 2) + _varint(len(data)) + data
    return encoded


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def body(kind: str, *fields: tuple[int, Any]) -> bytes:
    envelope = message((1, message((1, "v1"), (2, kind))), (2, message(*fields)))
    return b"k8s\x00" + envelope


def test_a_pod_whose_annotation_was_changed() -> None:
    managed: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}}}}
    fields = message((1, json.dumps(managed)))
    manager = message((1, "kubelet"), (2, "Update"), (3, "v1"), (6, "FieldsV1"), (7, fields), (8, ""))
    annotation = message((1, "k8s.v1.cni.cncf.io/network-status"), (2, "[]"))
    metadata = message((1, "web"), (3, "default"), (5, "uid"), (6, "15"), (12, annotation), (17, manager))
    spec = message((2, message((1, "main"), (2, "pause"))), (10, "node-a"))
    status = message((1, "Pending"), (9, "BestEffort"))
    assert decode(body("Pod", (1, metadata), (2, spec), (3, status))) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": "uid",
            "resourceVersion": "15",
            "annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"},
            "managedFields": [
                {
                    "manager": "kubelet",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": managed,
                }
            ],
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "main", "image": "pause"}]},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def test_an_event() -> None:
    pod = message((1, "Pod"), (2, "default"), (3, "web"), (4, "uid"), (5, "v1"), (6, "15"), (7, ""))
    source = message((1, "multus"), (2, ""))
    when = message((1, 100))
    event = [(2, pod), (3, "AddedInterface"), (4, "Add net1"), (5, source), (6, when), (7, when), (8, 1)]
    found = decode(body("Event", (1, message((1, "web.1"))), *event, (9, "Normal"), (14, "multus")))
    assert found["involvedObject"]["name"] == "web"
    assert found["source"] == {"component": "multus"}
    assert (found["reason"], found["count"], found["firstTimestamp"]) == (
        "AddedInterface",
        1,
        "1970-01-01T00:01:40Z",
    )


def test_what_is_not_known_is_refused_and_not_left_out() -> None:
    unknown = (2, message((2, message((1, "main"))), (77, "something")))
    with pytest.raises(ApiError) as refusal:
        decode(body("Pod", (1, message((1, "web"))), unknown))
    assert refusal.value.code == 415
