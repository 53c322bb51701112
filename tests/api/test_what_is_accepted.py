"""Good NodeENIs are stored as they were written, with defaults; older versions' objects apply unchanged."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nodeeni.api.crd import nodeeni_crd
from nodeeni.api.names import API_VERSION
from nodeeni.api.v1alpha1 import PENDING, NodeENI, NodeENISpec
from nodeeni.kube.client import KubeClient
from nodeeni.kube.resources import NODEENIS

DATA = Path(__file__).parent / "data"


def defaults_of_the_crd() -> dict[str, Any]:
    """By field of the spec, as today's CRD states them."""
    (version,) = nodeeni_crd()["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return {name: field["default"] for name, field in fields.items() if "default" in field}


# Those of fields that came later are for their own tests to name.
DEFAULTS = {
    **defaults_of_the_crd(),
    "deviceIndex": 1,
    "deviceIndexPolicy": "Exact",
    "networkCardIndex": 0,
    "deleteOnTermination": True,
    "sourceDestCheck": True,
    "enableDPDK": False,
}
LEAST: dict[str, Any] = {
    "nodeSelector": {"ng": "multi-eni"},
    "subnetName": "my-subnet-name",
    "securityGroupNames": ["my-group"],
}


def nodeeni(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": {"name": "multus"}, "spec": spec}


async def stored_spec(cluster: KubeClient, spec: dict[str, Any]) -> Any:
    return json.loads(await cluster.create(NODEENIS, nodeeni(spec)))["spec"]


async def test_defaults_are_filled_in(cluster: KubeClient) -> None:
    assert await stored_spec(cluster, LEAST) == {**DEFAULTS, **LEAST}


async def test_the_defaults_of_the_crd_are_those_of_the_type(cluster: KubeClient) -> None:
    stored = msgspec.convert(await stored_spec(cluster, LEAST), NodeENISpec)
    assert stored == msgspec.convert(LEAST, NodeENISpec)


async def test_every_field_at_its_limit(cluster: KubeClient) -> None:
    spec = {
        "nodeSelector": {},
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x"]},
            {"key": "b", "operator": "NotIn", "values": ["y", "z"]},
            {"key": "c", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ],
        "subnetIDs": ["subnet-01234567", "subnet-0123456789abcdef0"],
        "subnetNames": ["n" * 255],
        "securityGroupIDs": [f"sg-{number:08x}" for number in range(8)],
        "securityGroupNames": [f"group {number}" for number in range(8)],
        "deviceIndex": 63,
        "deviceIndexPolicy": "NextFree",
        "networkCardIndex": 31,
        "deleteOnTermination": False,
        "description": "d" * 255,
        "mtu": 9001,
        "interfaceName": "n" * 127,
        "tags": {f"key-{number}": "v" * 256 for number in range(40)},
        "sourceDestCheck": False,
        "connectionTracking": {"tcpEstablishedTimeout": 432000, "udpStreamTimeout": 180, "udpTimeout": 60},
        "enaExpress": {"enabled": True, "udp": True},
        "enaQueueCount": 512,
        "enableDPDK": True,
        "dpdkDriver": "vfio-pci",
        "dpdkResourceName": "intel.com/sriov",
        "dpdkPCIAddress": "0000:00:05.0",
    }
    assert await stored_spec(cluster, spec) == {**DEFAULTS, **spec}


TO_IPV4, TO_IPV6 = {"dst": "10.1.0.0/16"}, {"dst": "fd00::1:2/8", "gw": "fd01::1"}


@pytest.mark.parametrize(
    ("counts", "routes"),
    [
        ({}, [TO_IPV4]),
        ({"ipv4PrefixCount": 2}, [TO_IPV4]),
        ({"ipv6PrefixCount": 1}, [TO_IPV6]),
        ({"ipv4PrefixCount": 0, "ipv6PrefixCount": 1}, [TO_IPV6]),
        ({"ipv4PrefixCount": 1, "ipv6PrefixCount": 1}, [TO_IPV4, TO_IPV6]),
        ({"secondaryPrivateIPCount": 0}, [TO_IPV4]),
    ],
    ids=["one by default", "two", "IPv6", "IPv6 alone", "both", "no addresses beside"],
)
async def test_a_network_for_pods_with_prefixes(
    cluster: KubeClient, counts: dict[str, int], routes: list[dict[str, str]]
) -> None:
    network = {"type": "ipvlan", "mode": "L3S", "name": "n" * 63, "routes": routes}
    stored = await stored_spec(cluster, {**LEAST, "podNetwork": network, **counts})
    assert stored["podNetwork"] == network


async def test_a_network_for_pods_is_one_of_ipvlan_in_mode_l2_by_default(cluster: KubeClient) -> None:
    stored = await stored_spec(cluster, {**LEAST, "podNetwork": {}})
    assert stored["podNetwork"] == {"type": "ipvlan", "mode": "L2"}


async def test_an_explicit_false_survives_writes_of_others(cluster: KubeClient) -> None:
    await cluster.create(NODEENIS, nodeeni({**LEAST, "deleteOnTermination": False}))
    await cluster.patch(NODEENIS, "multus", {"metadata": {"finalizers": ["example.org/other"]}})
    await cluster.patch(NODEENIS, "multus", {"status": {"desired": 1}}, subresource="status")
    kept = await cluster.get(NODEENIS, "multus", NodeENI)
    assert kept.spec.delete_on_termination is False


@pytest.mark.parametrize("version", ["v1.1.0", "v1.3.8"])
async def test_an_object_of_an_older_version_applies_unchanged(cluster: KubeClient, version: str) -> None:
    old = json.loads((DATA / f"nodeeni-{version}.json").read_text())
    body = {**old, "metadata": {"name": old["metadata"]["name"], "finalizers": old["metadata"]["finalizers"]}}
    await cluster.create(NODEENIS, {key: value for key, value in body.items() if key != "status"})
    stored = json.loads(
        await cluster.patch(NODEENIS, "multus-eni-config", {"status": old["status"]}, subresource="status")
    )
    assert stored["spec"] == {**DEFAULTS, **old["spec"]}
    assert stored["status"] == {"conditions": [PENDING], **old["status"]}
    read = msgspec.convert(stored, NodeENI, strict=False)
    assert [entry.eni_id for entry in read.status.attachments] == [
        entry["eniID"] for entry in old["status"]["attachments"]
    ]


async def test_nobody_takes_one_that_no_controller_has_seen_for_ready(cluster: KubeClient) -> None:
    made = json.loads(await cluster.create(NODEENIS, nodeeni(LEAST)))
    assert made["status"] == {"conditions": [PENDING]}
    assert [PENDING[key] for key in ("type", "status", "reason")] == ["Ready", "Unknown", "Pending"]
    wiped = json.loads(await cluster.patch(NODEENIS, "multus", {"status": None}, subresource="status"))
    assert wiped["status"] == made["status"]


def test_candidates_are_united_without_duplicates() -> None:
    spec = NodeENISpec(
        node_selector={"a": "b"},
        subnet_id="subnet-1",
        subnet_ids=["subnet-2", "subnet-1", "subnet-2"],
        subnet_name="x",
        subnet_names=["y", "x"],
    )
    assert (spec.all_subnet_ids, spec.all_subnet_names) == (("subnet-1", "subnet-2"), ("x", "y"))
