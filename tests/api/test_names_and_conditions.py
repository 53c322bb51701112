"""Names that EC2 and Kubernetes see, and the times of conditions."""

import string

from hypothesis import given
from hypothesis import strategies as st

from nodeeni.api.conditions import carried_over, condition
from nodeeni.api.core import Node, NodeSpec
from nodeeni.api.meta import ObjectMeta
from nodeeni.api.names import OWN_TAGS, TAG_ADOPTION, TAG_EXTRA, TAG_GENERATION, client_token, interface_tags
from nodeeni.api.v1alpha1 import Condition, camel_case

LONG = "n" * 300


def test_acronyms_are_written_as_kubernetes_and_ec2_write_them() -> None:
    names = {
        "subnet_id": "subnetID",
        "subnet_ids": "subnetIDs",
        "private_ip_address": "privateIPAddress",
        "private_ip_addresses": "privateIPAddresses",
        "subnet_cidr": "subnetCIDR",
        "enable_dpdk": "enableDPDK",
        "dpdk_pci_address": "dpdkPCIAddress",
        "node_eni": "nodeENI",
        "eni_id": "eniID",
        "delete_on_termination": "deleteOnTermination",
        "mtu": "mtu",
    }
    assert {name: camel_case(name) for name in names} == names


def test_the_tags_of_an_interface() -> None:
    tags = interface_tags(cluster_id="c", nodeeni="multus", uid="u", node="n1", instance_id="i-1")
    assert tags == {
        "Name": "nodeeni-multus-n1",
        "NodeENI": "multus",
        "Node": "n1",
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        "node.k8s.amazonaws.com/no_manage": "true",
        "nodeeni.networking.k8s.aws/cluster": "c",
        "nodeeni.networking.k8s.aws/uid": "u",
        "nodeeni.networking.k8s.aws/instance": "i-1",
    }
    assert {*tags, TAG_EXTRA, TAG_GENERATION, TAG_ADOPTION} == set(OWN_TAGS)


def test_tag_values_are_cut_to_what_ec2_takes() -> None:
    tags = interface_tags(cluster_id="c", nodeeni=LONG, uid="u", node=LONG, instance_id="i-1")
    assert {len(tags["Name"]), len(tags["NodeENI"]), len(tags["Node"])} == {256}


@given(
    cluster_id=st.text(max_size=300),
    uid=st.text(max_size=60),
    instance_id=st.text(max_size=30),
    generation=st.integers(0, 10**6),
)
def test_a_client_token_fits_ec2_and_is_always_the_same(
    cluster_id: str, uid: str, instance_id: str, generation: int
) -> None:
    def token(number: int) -> str:
        return client_token(cluster_id=cluster_id, uid=uid, instance_id=instance_id, generation=number)

    assert len(token(generation)) <= 64
    assert set(token(generation)) <= set(string.ascii_letters + string.digits + "-")
    assert token(generation) == token(generation)
    assert token(generation) != token(generation + 1)


def test_each_place_has_a_token_of_its_own() -> None:
    places = [("c", "u", "i-1"), ("c2", "u", "i-1"), ("c", "u2", "i-1"), ("c", "u", "i-2"), ("c", "ui", "-1")]
    tokens = {client_token(cluster_id=c, uid=u, instance_id=i, generation=0) for c, u, i in places}
    assert len(tokens) == len(places)


def test_a_transition_time_changes_with_the_status_alone() -> None:
    before = [
        Condition(type="Ready", status="False", reason="Attaching", last_transition_time="T1"),
        Condition(type="Progressing", status="True", reason="Working", last_transition_time="T1"),
        Condition(type="SomebodyElses", status="True", reason="Theirs", last_transition_time="T0"),
    ]
    now = [
        condition("Ready", False, "Failing", "attached on 0 of 1 node"),
        condition("Progressing", False, "Settled", "nothing is in progress"),
        condition("Degraded", True, "SubnetFull", "n1: no free address"),
    ]
    after = carried_over("T2", 7, now, before)
    assert [(c.type, c.status, c.reason, c.last_transition_time, c.observed_generation) for c in after] == [
        ("Ready", "False", "Failing", "T1", 7),
        ("Progressing", "False", "Settled", "T2", 7),
        ("Degraded", "True", "SubnetFull", "T2", 7),
        ("SomebodyElses", "True", "Theirs", "T0", 0),
    ]


def test_the_instance_of_a_node_comes_from_its_provider_id() -> None:
    known = {
        "aws:///us-west-2a/i-0123456789abcdef0": "i-0123456789abcdef0",
        "aws:///us-west-2a/i-01234567": "i-01234567",
        "aws://us-west-2a/i-0123456789abcdef0": "i-0123456789abcdef0",
        "aws:///us-west-2a/0123456789-abcdef/fargate-ip-10-0-0-1.us-west-2.compute.internal": "",
        "gce://project/zone/i-0123456789abcdef0": "",
        "aws:///us-west-2a/i-0123456789ABCDEF0": "",
        "": "",
    }
    nodes = {text: Node(metadata=ObjectMeta(name="n"), spec=NodeSpec(provider_id=text)) for text in known}
    assert {text: node.instance_id for text, node in nodes.items()} == known
