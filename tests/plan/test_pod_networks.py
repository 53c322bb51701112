"""Networks of pods: which CNI file a node is to have, of which ENI, with which prefixes."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import GROUP, SUBNET, attachment, desire, interface, nodeeni, plan, texts

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import NodePodNetwork, PodNetwork, PodNetworkStatus, PodRoute
from nodeeni.ec2.addresses import IPV4_PREFIXES
from nodeeni.ec2.types import Subnet
from nodeeni.plan.actions import Assign, Create, Unassign
from nodeeni.plan.diff import Diff
from nodeeni.plan.network import Network
from nodeeni.plan.pod_networks import first_of_each_name
from nodeeni.plan.pods import Pods
from nodeeni.plan.policy import Circumstances, decide
from nodeeni.plan.report import eninode_spec
from nodeeni.plan.rows import State

FIRST, SECOND = "10.1.7.0/28", "10.1.7.16/28"
IPVLAN = NodePodNetwork(type="ipvlan", mode="L2", name="multus")


def told(found: Diff) -> dict[str, NodePodNetwork | None]:
    """By ENI, what the ENINode says of its pods' network."""
    return {entry.eni_id: entry.pod_network for entry in eninode_spec("i-1", found.rows).interfaces}


def working(eni_id: str = "eni-1", *prefixes: str, **changes: Any) -> Any:
    return interface(eni_id, attached=attachment(2), ipv4_prefixes=prefixes, **changes)


def test_the_node_is_told_of_the_network_with_the_prefixes_of_its_eni() -> None:
    routes = (PodRoute(dst="10.0.0.0/8", gw="10.1.0.9"),)
    wanted = nodeeni(
        pod_network=PodNetwork(mode="L3", name="pods", routes=routes),
        ipv4_prefix_count=2,
        ipv6_prefix_count=1,
    )
    found = plan(wanted, having=[working("eni-1", FIRST, SECOND, ipv6_prefixes=("fd00:0:0:1::/80",))])
    assert found.actions == ()
    assert told(found) == {
        "eni-1": NodePodNetwork(
            type="ipvlan",
            mode="L3",
            name="pods",
            routes=routes,
            prefixes=(FIRST, SECOND, "fd00:0:0:1::/80"),
        )
    }


def test_an_eni_is_made_with_one_ipv4_prefix_where_none_is_counted() -> None:
    (action,) = plan(nodeeni(pod_network=PodNetwork())).actions
    assert isinstance(action, Create)
    assert action.request.counts == {IPV4_PREFIXES: 1}


def test_one_that_stands_gets_its_first_prefix_and_keeps_all_that_it_has() -> None:
    wanted = nodeeni(pod_network=PodNetwork())
    (action,) = plan(wanted, having=[working()]).actions
    assert isinstance(action, Assign)
    assert (action.kind, action.count) == (IPV4_PREFIXES, 1)
    found = plan(wanted, having=[working("eni-1", FIRST, SECOND)])
    assert (found.actions, found.rows[0].reason) == ((), None)


def test_with_a_count_of_ipv6_prefixes_there_is_none_of_ipv4_by_default() -> None:
    wanted = nodeeni(pod_network=PodNetwork(), ipv6_prefix_count=1)
    found = plan(wanted, having=[working(ipv6_prefixes=("fd00:0:0:1::/80",))])
    assert found.actions == ()


def test_field_taken_out_leaves_the_prefixes_and_the_node_is_told_of_no_network() -> None:
    found = plan(nodeeni(), having=[working("eni-1", FIRST)])
    assert (found.actions, told(found)) == ((), {"eni-1": None})


def test_of_two_nodeenis_with_one_network_the_older_has_it_and_both_are_named() -> None:
    older = nodeeni("old", pod_network=PodNetwork(name="pods"))
    younger = nodeeni(
        "new", pod_network=PodNetwork(name="pods"), device_index=3, created="2026-02-01T00:00:00Z"
    )
    found = plan(older, younger)
    assert [(action.nodeeni, type(action)) for action in found.actions] == [("old", Create)]
    (refusal,) = found.refusals
    assert (refusal.nodeeni, refusal.reason) == ("new", RowReason.POD_NETWORK_TAKEN)
    assert refusal.message == (
        "the NodeENIs old and new both ask for the pods' network pods on node n1, and old has it: give one "
        "of them another spec.podNetwork.name"
    )


def test_an_edit_does_not_take_a_network_that_another_one_has_on_the_node() -> None:
    older = nodeeni("old", pod_network=PodNetwork(name="pods"))
    younger = nodeeni(
        "new", pod_network=PodNetwork(name="pods"), device_index=3, created="2026-02-01T00:00:00Z"
    )
    asking = [older, younger]
    assert first_of_each_name(asking, {}) == {"pods": "old"}
    assert first_of_each_name(asking, {"pods": "new"}) == {"pods": "new"}
    assert first_of_each_name(asking, {"pods": "gone"}) == {"pods": "old"}
    assert first_of_each_name([older], {"pods": "new"}) == {"pods": "old"}


def test_what_the_younger_has_stays_attached_and_its_file_goes() -> None:
    older = nodeeni("old", pod_network=PodNetwork(name="pods"))
    younger = nodeeni(
        "new", pod_network=PodNetwork(name="pods"), device_index=3, created="2026-02-01T00:00:00Z"
    )
    its = interface("eni-2", owner="new", attached=attachment(3, id="eni-attach-2"), ipv4_prefixes=(SECOND,))
    found = plan(older, younger, having=[working("eni-1", FIRST, owner="old"), its])
    assert found.actions == ()
    row = next(row for row in found.rows if row.nodeeni == "new")
    assert (row.state, row.interface) == (State.FAILED, its)
    assert "eni-2 stays attached as it was" in row.message
    name = {eni_id: network and network.name for eni_id, network in told(found).items()}
    assert name == {"eni-1": "pods", "eni-2": None}


def test_of_two_enis_of_one_network_the_one_that_stays_has_the_file() -> None:
    wanted = nodeeni(pod_network=PodNetwork(), ipv4_prefix_count=1)
    second = interface("eni-2", attached=attachment(3, id="eni-attach-2"), ipv4_prefixes=(SECOND,))
    found = plan(wanted, having=[working("eni-1", FIRST), second])
    assert texts(found.actions) == ["detach eni-2: the node has another one for the same NodeENI"]
    networks = told(found)
    assert networks["eni-1"] is not None
    assert networks["eni-2"] is None


def test_what_is_being_detached_has_no_file() -> None:
    wanted = nodeeni(pod_network=PodNetwork(), ipv4_prefix_count=1)
    goes = interface("eni-1", attached=attachment(2, status="detaching"), ipv4_prefixes=(FIRST,))
    assert told(plan(wanted, having=[goes])) == {"eni-1": None}


@pytest.mark.parametrize(
    ("gw", "refused"), [("10.1.0.300", True), ("10.1.0.3", False), ("fd00::1", False), ("fd00::1::1", True)]
)
def test_a_next_hop_that_is_no_address_is_refused(gw: str, refused: bool) -> None:
    dst = "fd01::/16" if ":" in gw else "10.0.0.0/8"
    found = plan(nodeeni(pod_network=PodNetwork(routes=(PodRoute(dst=dst, gw=gw),))))
    told = [(refusal.reason, refusal.message) for refusal in found.refusals]
    message = f"spec.podNetwork.routes[0].gw is no address: {gw}"
    assert told == ([(RowReason.INVALID_REFERENCE, message)] if refused else [])


def test_ipv6_alone_needs_ipv6_prefixes() -> None:
    only = Subnet(SUBNET.id, SUBNET.vpc_id, SUBNET.zone, "", 0, "six", ipv6_cidr="fd00::/64")
    (refusal,) = desire(nodeeni(pod_network=PodNetwork()), network=Network((only,), (GROUP,))).refusals
    assert refusal.reason is RowReason.ADDRESS_FAMILY_MISSING
    assert "set spec.ipv6PrefixCount for the pods" in refusal.message


def test_a_prefix_whose_giving_back_has_begun_is_in_no_file_whatever_the_spec_says_now() -> None:
    wanted = nodeeni(pod_network=PodNetwork(), ipv4_prefix_count=2)
    begun = Unassign(
        node="n1",
        nodeeni="multus",
        uid="uid-multus",
        eni_id="eni-1",
        kind=IPV4_PREFIXES,
        addresses=(SECOND,),
    )
    found = plan(wanted, having=[working("eni-1", FIRST, SECOND)], in_flight=(begun,))
    network = told(found)["eni-1"]
    assert network is not None
    assert network.prefixes == (FIRST,)


PODS = Pods(
    asked=NodePodNetwork(type="ipvlan", mode="L2", name="pods", prefixes=(FIRST, SECOND)),
    told=PodNetworkStatus(state="Ready", prefixes=(FIRST, SECOND)),
    current=True,
    reports=True,
)


def test_a_detach_waits_for_the_file_and_no_longer_than_it_may() -> None:
    goes = nodeeni(pod_network=PodNetwork(), node_selector={"other": "x"})
    (detach,) = plan(goes, having=[working("eni-1", FIRST)]).actions
    decision = decide([detach], Circumstances(now=0.0, files_due={"eni-1": 3.0}))
    (refused,) = decision.refused
    assert (refused.why.reason, refused.why.retry_after) == (RowReason.POD_NETWORK_ENDING, 3.0)
    assert decision.files_awaited == decision.leaving == {"eni-1"}
    over = decide([detach], Circumstances(now=0.0, files_due={"eni-1": 0.0}))
    assert over.allowed == (detach,)
    assert over.leaving == {"eni-1"}


def test_while_something_else_keeps_the_eni_its_file_stays() -> None:
    goes = nodeeni(pod_network=PodNetwork(), node_selector={"other": "x"})
    (detach,) = plan(goes, having=[working("eni-1", FIRST)]).actions
    at = Circumstances(now=0.0, files_due={"eni-1": 3.0}, unlabelled_for={"eni-1": 1.0})
    assert decide([detach], at).leaving == frozenset()


def test_what_is_being_detached_by_a_call_that_has_begun_gets_no_file_again() -> None:
    goes = nodeeni(pod_network=PodNetwork(), node_selector={"other": "x"})
    begun = plan(goes, having=[working("eni-1", FIRST)]).actions
    assert decide([], Circumstances(now=0.0), in_flight=begun).leaving == {"eni-1"}


@pytest.mark.parametrize(
    ("changes", "have_file", "hold"),
    [
        ({}, True, True),
        ({"current": False}, True, True),
        ({"asked": None}, True, True),  # not gone before the ENI manager says so
        ({"asked": None, "told": None}, False, False),
        ({"asked": None, "told": PodNetworkStatus(state="Withdrawn", prefixes=(FIRST,))}, False, True),
        ({"asked": None, "told": PodNetworkStatus(state="Withdrawn", prefixes=(SECOND,))}, False, False),
        ({"asked": None, "told": PodNetworkStatus(state="Withdrawn"), "current": False}, True, True),
        ({"told": None}, True, True),
        ({"reports": False, "current": False}, False, True),  # no manager: nobody knows of pods
    ],
)
def test_what_is_there_of_pods_is_as_the_eni_manager_last_said(
    changes: dict[str, Any], have_file: bool, hold: bool
) -> None:
    pods = msgspec.structs.replace(PODS, **changes)
    assert (pods.have_file, pods.hold(FIRST)) == (have_file, hold)


def test_many_addresses_are_named_in_part_and_counted() -> None:
    in_use = tuple(f"10.1.7.{n}" for n in range(5))
    pods = msgspec.structs.replace(PODS, told=PodNetworkStatus(state="Ready", used=70, in_use=in_use))
    assert pods.lose == "pods lose their addresses on it, 10.1.7.0, 10.1.7.1, 10.1.7.2 and 67 more"


def test_what_is_no_address_in_a_nodes_status_keeps_nobody_from_planning() -> None:
    """Whoever may write the node's ENINode may write anything there."""
    told = PodNetworkStatus(state="Ready", in_use=("not an address", "", "10.11.0.17", "fd00::1"))
    pods = Pods(told=told, current=True, reports=True)
    assert pods.users("10.11.0.16/28") == ["10.11.0.17"]
    assert pods.spared(["10.11.0.16/28", "10.11.0.32/28"]) == ["10.11.0.32/28", "10.11.0.16/28"]
