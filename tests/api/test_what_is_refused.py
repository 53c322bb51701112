"""Bad NodeENIs are refused by the API server, in a message that names the field."""

from typing import Any

import pytest

from nodeeni.api.names import API_VERSION
from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import Invalid
from nodeeni.kube.resources import NODEENIS

GOOD: dict[str, Any] = {
    "nodeSelector": {"ng": "multi-eni"},
    "subnetID": "subnet-0f59b4f14737be9ad",
    "securityGroupIDs": ["sg-05da196f3314d4af8"],
}


def nodeeni(**changes: Any) -> dict[str, Any]:
    """A good NodeENI with some fields of its spec changed; None takes a field out."""
    spec = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": {"name": "multus"}, "spec": spec}


def groups(count: int) -> list[str]:
    return [f"sg-{number:017x}" for number in range(count)]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"nodeSelector": {}}, "spec.nodeSelector", "an empty selector would seize every node"),
    ({"nodeSelector": None}, "spec.nodeSelector", "Required value"),
    ({"nodeSelector": {}, "matchExpressions": []}, "spec.nodeSelector", "an empty selector"),
    ({"nodeSelector": {"a": "v" * 64}}, "spec.nodeSelector.a", "Too long"),
    ({"subnetID": None}, "spec.subnetID", "at least one subnet is needed"),
    ({"subnetID": None, "subnetIDs": [], "subnetNames": []}, "spec.subnetID", "at least one subnet"),
    ({"subnetID": "subnet-xyz"}, "spec.subnetID", "should match"),
    ({"subnetID": "subnet-0F59B4F14737BE9AD"}, "spec.subnetID", "should match"),
    ({"subnetIDs": ["subnet-1"]}, "spec.subnetIDs[0]", "should match"),
    ({"subnetName": ""}, "spec.subnetName", "at least 1 chars"),
    ({"subnetNames": ["n" * 256]}, "spec.subnetNames[0]", "Too long"),
    ({"vpcID": "vpc-xyz", "subnetName": "n"}, "spec.vpcID", "should match"),
    ({"vpcID": "vpc-0a1b2c3d4e5f60718"}, "spec.vpcID", "it says where names are looked up"),
    ({"vpcID": "vpc-0a1b2c3d4e5f60718", "subnetNames": []}, "spec.vpcID", "set subnetName, subnetNames or"),
    ({"securityGroupIDs": None}, "spec.securityGroupIDs", "at least one security group is needed"),
    ({"securityGroupIDs": [], "securityGroupNames": []}, "spec.securityGroupIDs", "at least one security"),
    ({"securityGroupIDs": ["sg-zz"]}, "spec.securityGroupIDs[0]", "should match"),
    ({"securityGroupIDs": groups(17)}, "spec.securityGroupIDs", "Too many"),
    ({"securityGroupIDs": groups(16), "securityGroupNames": ["x"]}, "spec.securityGroupIDs", "at most 16"),
    ({"deviceIndex": 0}, "spec.deviceIndex", "greater than or equal to 1"),
    ({"deviceIndex": 64}, "spec.deviceIndex", "less than or equal to 63"),
    ({"deviceIndex": "2"}, "spec.deviceIndex", "integer"),
    ({"deviceIndexPolicy": "Any"}, "spec.deviceIndexPolicy", '"Exact", "NextFree"'),
    ({"networkCardIndex": 32}, "spec.networkCardIndex", "less than or equal to 31"),
    ({"networkCardIndex": -1}, "spec.networkCardIndex", "greater than or equal to 0"),
    *(
        refused
        for field in ("secondaryPrivateIPCount", "ipv4PrefixCount", "ipv6AddressCount", "ipv6PrefixCount")
        for refused in (
            ({field: -1}, f"spec.{field}", "greater than or equal to 0"),
            ({field: 256}, f"spec.{field}", "less than or equal to 255"),
            ({field: "4"}, f"spec.{field}", "integer"),
        )
    ),
    (
        {"secondaryPrivateIPCount": 1, "ipv4PrefixCount": 1},
        "spec.ipv4PrefixCount",
        "at most one of secondaryPrivateIPCount and ipv4PrefixCount can be above 0",
    ),
    (
        {"ipv6AddressCount": 1, "ipv6PrefixCount": 1},
        "spec.ipv6PrefixCount",
        "at most one of ipv6AddressCount and ipv6PrefixCount can be above 0",
    ),
    ({"enablePrimaryIPv6": 1}, "spec.enablePrimaryIPv6", "boolean"),
    (
        {"enablePrimaryIPv6": True, "ipv6AddressCount": 0},
        "spec.ipv6AddressCount",
        "set ipv6AddressCount to 1",
    ),
    ({"mtu": 1279}, "spec.mtu", "greater than or equal to 1280"),
    ({"mtu": 9002}, "spec.mtu", "less than or equal to 9001"),
    ({"description": "d" * 256}, "spec.description", "Too long"),
    ({"interfaceName": "a b"}, "spec.interfaceName", "should match"),
    ({"interfaceName": "a/b"}, "spec.interfaceName", "should match"),
    ({"interfaceName": ""}, "spec.interfaceName", "at least 1 chars"),
    ({"interfaceName": "n" * 128}, "spec.interfaceName", "Too long"),
    ({"tags": {"aws:mine": "x"}}, "spec.tags", "keys that begin with aws:"),
    ({"tags": {"NodeENI": "x"}}, "spec.tags", "the controller's own keys"),
    ({"tags": {"nodeeni.networking.k8s.aws/cluster": "x"}}, "spec.tags", "the controller's own keys"),
    ({"tags": {"a": "v" * 257}}, "spec.tags.a", "Too long"),
    ({"tags": {f"k{number}": "v" for number in range(41)}}, "spec.tags", "Too many"),
    ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "matchExpressions[0].values", "at least one"),
    (
        {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]},
        "spec.matchExpressions[0].values",
        "In and NotIn need at least one value",
    ),
    (
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]},
        "spec.matchExpressions[0].values",
        "Exists and DoesNotExist take none",
    ),
    ({"matchExpressions": [{"key": "a", "operator": "Gt"}]}, "matchExpressions[0].operator", "Unsupported"),
    ({"matchExpressions": [{"operator": "Exists"}]}, "spec.matchExpressions[0].key", "Required value"),
    ({"dpdkPCIAddress": "00:05.0"}, "spec.dpdkPCIAddress", "should match"),
    ({"enaExpress": {"udp": True}}, "spec.enaExpress.udp", "only where enabled is true"),
    ({"enaExpress": {"enabled": False, "udp": True}}, "spec.enaExpress.udp", "only where enabled is true"),
    ({"enaExpress": {"enabled": "yes"}}, "spec.enaExpress.enabled", "boolean"),
    ({"enaQueueCount": 0}, "spec.enaQueueCount", "greater than or equal to 1"),
    ({"enaQueueCount": 1024}, "spec.enaQueueCount", "less than or equal to 512"),
    ({"enaQueueCount": 12}, "spec.enaQueueCount", "powers of 2"),
    (
        {"podNetwork": {"type": "macvlan"}},
        "spec.podNetwork.type",
        "ipvlan alone, not macvlan: a VPC drops frames with another MAC",
    ),
    ({"podNetwork": {"mode": "l2"}}, "spec.podNetwork.mode", '"L2", "L3", "L3S"'),
    *(
        ({"podNetwork": {"name": name}}, "spec.podNetwork.name", told)
        for name, told in (
            ("", "at least 1 chars"),
            ("n" * 64, "Too long"),
            ("Pods", "should match"),
            ("../x", "should match"),
            ("a.b", "should match"),
            ("-a", "should match"),
            ("a\n", "should match"),
        )
    ),
    ({"podNetwork": {"routes": [{}]}}, "spec.podNetwork.routes[0].dst", "Required value"),
    *(
        ({"podNetwork": {"routes": [{"dst": dst}]}}, "spec.podNetwork.routes[0].dst", "of type cidr")
        for dst in (
            "10.1.0.0",
            "10.1.0.0/33",
            "10.1.0.0/255.255.0.0",
            "10.1.0.256/16",
            "fd00::/129",
            "::/0x8",
        )
    ),
    (
        {"podNetwork": {"routes": [{"dst": "10.0.0.0/8", "gw": "next"}]}},
        "spec.podNetwork.routes[0].gw",
        "should match",
    ),
    (
        {"podNetwork": {"routes": [{"dst": "10.0.0.0/8"}, {"dst": "10.0.0.0/8", "gw": "fd00::1"}]}},
        "spec.podNetwork.routes",
        "a gw is of the family",
    ),
    ({"podNetwork": {"routes": [{"dst": "10.0.0.0/8"}] * 33}}, "spec.podNetwork.routes", "Too many"),
    (
        {"podNetwork": {"routes": [{"dst": "10.0.0.0/8"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.1"}]}},
        "spec.podNetwork.routes",
        "a dst stands once",
    ),
    *(
        ({"podNetwork": {}, **counts}, "spec.podNetwork", "pods get their addresses out of prefixes")
        for counts in (
            {"ipv4PrefixCount": 0},
            {"secondaryPrivateIPCount": 1},
            {"ipv4PrefixCount": 0, "ipv6PrefixCount": 0},
        )
    ),
    *(
        ({"podNetwork": {"routes": [{"dst": dst}]}, **counts}, "spec.podNetwork", f"pods have no {family}")
        for family, dst, counts in (
            ("IPv6", "fd00::/8", {}),
            ("IPv6", "fd00::/8", {"ipv4PrefixCount": 1, "ipv6PrefixCount": 0}),
            ("IPv4", "10.0.0.0/8", {"ipv6PrefixCount": 1}),
            ("IPv4", "10.0.0.0/8", {"ipv4PrefixCount": 0, "ipv6PrefixCount": 1}),
        )
    ),
    *(
        ({"connectionTracking": {name: value}}, f"spec.connectionTracking.{name}", told)
        for name, least, most in (
            ("tcpEstablishedTimeout", 60, 432000),
            ("udpStreamTimeout", 60, 180),
            ("udpTimeout", 30, 60),
        )
        for value, told in (
            (least - 1, f"greater than or equal to {least}"),
            (most + 1, f"less than or equal to {most}"),
            (f"{least}s", "integer"),
        )
    ),
]


@pytest.mark.parametrize(
    ("changes", "field", "says"), REFUSED, ids=[f"{number}-{row[1]}" for number, row in enumerate(REFUSED)]
)
async def test_a_bad_nodeeni_is_refused_with_the_field_named(
    cluster: KubeClient, changes: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        await cluster.create(NODEENIS, nodeeni(**changes))
    assert refusal.value.status == 422
    assert field in str(refusal.value)
    assert says in str(refusal.value)
    stored, _ = await cluster.list(NODEENIS, NodeENI)
    assert stored == []


@pytest.mark.parametrize("name", ["pods.example", "n" * 64])
async def test_a_network_is_named_where_the_name_of_its_nodeeni_is_no_dns_label(
    cluster: KubeClient, name: str
) -> None:
    body = nodeeni(podNetwork={})
    body["metadata"]["name"] = name
    with pytest.raises(Invalid) as refusal:
        await cluster.create(NODEENIS, body)
    assert "spec.podNetwork.name" in str(refusal.value)
    assert "set spec.podNetwork.name to a DNS label" in str(refusal.value)
    body["spec"]["podNetwork"]["name"] = "pods"
    await cluster.create(NODEENIS, body)


async def test_an_object_without_a_spec_is_refused(cluster: KubeClient) -> None:
    body = nodeeni()
    del body["spec"]
    with pytest.raises(Invalid, match="spec: Required value"):
        await cluster.create(NODEENIS, body)


async def test_an_edit_is_judged_like_a_new_object(cluster: KubeClient) -> None:
    await cluster.create(NODEENIS, nodeeni())
    with pytest.raises(Invalid, match=r"spec\.mtu"):
        await cluster.patch(NODEENIS, "multus", {"spec": {"mtu": 68}})
    with pytest.raises(Invalid, match="at least one subnet"):
        await cluster.patch(NODEENIS, "multus", {"spec": {"subnetID": None}})
