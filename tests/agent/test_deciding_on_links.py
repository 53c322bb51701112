"""The pure part: wanted interfaces and the links that are there, to changes and reports."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeeni.agent.link_plan import Aspect, Change, Plan, Policy, Report, State, Surroundings, plan_links
from nodeeni.agent.links import Link, LinkTable
from nodeeni.agent.spec import NodeSpec, WantedInterface

MAC = "02:00:00:00:00:07"
WANTED = WantedInterface(MAC, "eni-1", 9001, "multus")
PRIMARY = Link(2, "eth0", "02:00:00:00:00:01", up=True, mtu=1500, pci=True)
ENI = Link(7, "eth1", MAC, mtu=1500, min_mtu=68, max_mtu=9216, pci=True)

PHYSICAL = Policy()


def planned(*links: Link, wanted: WantedInterface = WANTED, policy: Policy = PHYSICAL, **around: Any) -> Plan:
    surroundings = Surroundings(LinkTable((PRIMARY, *links)), frozenset({2}))
    return plan_links(NodeSpec(1, (wanted,)), surroundings._replace(**around), policy)


def test_a_listed_link_gets_mtu_altname_and_up() -> None:
    plan = planned(ENI)
    assert plan == Plan((Change(7, "eth1", "multus", 9001, True),), (Report(MAC, State.DOWN, "eth1", 1500),))
    assert str(plan) == f"eth1: altname multus, mtu 9001, up\n{MAC} Down eth1"


def test_a_link_that_is_as_wanted_is_left_alone() -> None:
    link = ENI._replace(up=True, mtu=9001, altnames=("multus",))
    assert planned(link) == Plan((), (Report(MAC, State.UP, "eth1", 9001),))


def test_no_mtu_and_no_name_wanted_means_up_alone() -> None:
    plan = planned(ENI, wanted=WantedInterface(MAC))
    assert plan.changes == (Change(7, "eth1", up=True),)


def test_a_link_without_an_alias_gets_the_name_of_the_nodeeni() -> None:
    wanted = WANTED._replace(node_eni="pods")
    plan = planned(ENI, wanted=wanted)
    assert plan.changes == (Change(7, "eth1", "multus", 9001, True, alias="pods"),)
    assert str(plan.changes[0]) == "eth1: altname multus, mtu 9001, alias pods, up"


def test_an_alias_that_somebody_else_gave_stays() -> None:
    link = ENI._replace(up=True, mtu=9001, altnames=("multus",), alias="uplink of rack 7")
    assert planned(link, wanted=WANTED._replace(node_eni="pods")).changes == ()


def test_the_links_own_name_as_an_alias_is_what_a_pod_left() -> None:
    """CNI's host-device writes it there, and up to 1.5 leaves it when the link is back."""
    link = ENI._replace(up=True, mtu=9001, altnames=("multus",), alias=ENI.name)
    assert planned(link, wanted=WANTED._replace(node_eni="pods")).changes == (
        Change(7, "eth1", alias="pods"),
    )


def test_the_permanent_address_counts_when_someone_set_another() -> None:
    link = ENI._replace(address="06:aa:aa:aa:aa:aa", permanent_address=MAC)
    assert planned(link).changes[0].ifindex == 7


@pytest.mark.parametrize("kind", ["macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "bridge", "bond", "team"])
def test_links_above_an_eni_bear_its_address_and_are_never_touched(kind: str) -> None:
    above = Link(9, "net1", MAC, kind=kind, lower=7)
    assert [change.ifindex for change in planned(ENI, above).changes] == [7]
    assert planned(above) == Plan(
        (), (Report(MAC, State.MISSING, message=f"only net1 has this MAC address, a {kind} link and no ENI"),)
    )


def test_two_links_with_one_address_are_both_left_alone() -> None:
    plan = planned(ENI, ENI._replace(ifindex=8, name="eth2"))
    assert plan == Plan(
        (),
        (Report(MAC, State.DOWN, message="eth1 and eth2 have this MAC address: neither is touched"),),
    )


def test_the_primary_is_not_touched_though_listed() -> None:
    plan = planned(wanted=WANTED._replace(mac=PRIMARY.address))
    message = "not touched: this is the node's primary interface"
    assert plan == Plan((), (Report(PRIMARY.address, State.UP, "eth0", 1500, message),))


def test_nothing_is_touched_before_the_primary_is_known() -> None:
    plan = planned(ENI, Link(8, "eth2", "02:00:00:00:00:08", pci=True), primary=None)
    message = "not touched: no default route yet, so the primary is not known"
    assert plan == Plan((), (Report(MAC, State.DOWN, "eth1", 1500, message),))


def test_a_name_that_another_link_has_is_reported_and_the_rest_done() -> None:
    other = Link(9, "veth1", "06:00:00:00:00:09", kind="veth", altnames=("multus",))
    plan = planned(ENI, other)
    message = "interfaceName multus is a name of link veth1: choose another"
    assert plan == Plan(
        (Change(7, "eth1", None, 9001, True),), (Report(MAC, State.DOWN, "eth1", 1500, message),)
    )


@pytest.mark.parametrize(
    ("mtu", "message"),
    [(9500, "mtu 9500 is above what eth1 allows, 9216"), (50, "mtu 50 is below what eth1 allows, 68")],
)
def test_an_mtu_beyond_the_link_is_reported_and_not_tried(mtu: int, message: str) -> None:
    plan = planned(ENI, wanted=WANTED._replace(mtu=mtu))
    assert plan == Plan(
        (Change(7, "eth1", "multus", None, True),), (Report(MAC, State.DOWN, "eth1", 1500, message),)
    )


def test_what_is_held_back_is_reported_with_its_reason() -> None:
    plan = planned(ENI, holds={(7, Aspect.MTU, "9001"): "mtu 9001 failed: EBUSY"})
    assert plan == Plan(
        (Change(7, "eth1", "multus", None, True),),
        (Report(MAC, State.DOWN, "eth1", 1500, "mtu 9001 failed: EBUSY"),),
    )


def test_a_missing_link_says_how_it_went() -> None:
    assert planned().reports == (Report(MAC, State.MISSING, message="no link with this MAC address yet"),)
    moved = planned(departed={MAC: "the link was moved into another network namespace"})
    message = "the link was moved into another network namespace"
    assert moved.reports == (Report(MAC, State.MISSING, message=message, in_pod=True),)


@pytest.mark.parametrize(
    ("policy", "link", "touched"),
    [
        (Policy(), Link(8, "ens6", "06::8", pci=True), True),
        (Policy(), Link(8, "veth0", "06::8", kind="veth"), False),
        (Policy(), Link(8, "ens6", "06::8", pci=True, up=True), False),
        (Policy(physical=False), Link(8, "ens6", "06::8", pci=True), False),
        (Policy(pattern=re.compile("^eth")), Link(8, "ens6", "06::8", pci=True), False),
        (Policy(pattern=re.compile("^ens")), Link(8, "ens6", "06::8", pci=True), True),
        (Policy(ignored=frozenset({"ens6"})), Link(8, "ens6", "06::8", pci=True), False),
        (Policy(ignored=frozenset({"enp0"})), Link(8, "ens6", "06::8", pci=True, altnames=("enp0",)), False),
    ],
)
def test_of_the_unlisted_only_physical_links_that_are_admitted_are_brought_up(
    policy: Policy, link: Link, touched: bool
) -> None:
    changes = (Change(8, link.name, up=True, listed=False),) if touched else ()
    assert planned(link, policy=policy).changes == changes


MACS = st.sampled_from([f"02:00:00:00:00:0{n}" for n in range(5)])
NAMES = st.sampled_from(["eth1", "eth2", "multus", "ens6", "net1"])
LINKS = st.builds(
    Link,
    st.integers(1, 9),
    NAMES,
    MACS,
    permanent_address=st.one_of(st.just(""), MACS),
    up=st.booleans(),
    mtu=st.sampled_from([1500, 9001]),
    max_mtu=st.sampled_from([0, 1500, 9216]),
    kind=st.sampled_from(["", "veth", "macvlan", "vlan"]),
    altnames=st.lists(NAMES, max_size=2).map(tuple),
    pci=st.booleans(),
    alias=st.one_of(st.just(""), NAMES),
)
WISHES = st.builds(
    WantedInterface,
    MACS,
    mtu=st.sampled_from([None, 1500, 9001]),
    interface_name=st.one_of(st.just(""), NAMES),
    node_eni=st.one_of(st.just(""), NAMES),
)


@given(
    links=st.lists(LINKS, unique_by=lambda link: link.ifindex),
    wishes=st.lists(WISHES, unique_by=lambda wish: wish.mac),
    primary=st.one_of(st.none(), st.frozensets(st.integers(1, 9))),
)
def test_whatever_is_there_no_primary_and_no_stranger_is_touched_and_each_wish_is_reported(
    links: list[Link], wishes: list[WantedInterface], primary: frozenset[int] | None
) -> None:
    by_index = {link.ifindex: link for link in links}
    plan = plan_links(NodeSpec(1, tuple(wishes)), Surroundings(LinkTable(links), primary), Policy())
    assert [report.mac for report in plan.reports] == [wish.mac for wish in wishes]
    touched = [change.ifindex for change in plan.changes]
    assert len(set(touched)) == len(touched)
    assert primary is not None or not touched
    wanted = {wish.mac for wish in wishes}
    for change in plan.changes:
        link = by_index[change.ifindex]
        assert link.ifindex not in (primary or ())
        if link.identity in wanted:
            assert link.kind in ("", "veth")
        else:
            assert link.pci
            assert change.aspects() == [(Aspect.UP, "up")]
        assert change.aspects()


@given(links=st.lists(LINKS, unique_by=lambda link: link.ifindex), wish=WISHES)
def test_a_change_once_made_is_not_asked_for_again(links: list[Link], wish: WantedInterface) -> None:
    by_index = {link.ifindex: link for link in links}
    spec = NodeSpec(1, (wish,))
    for change in plan_links(spec, Surroundings(LinkTable(by_index.values()), frozenset()), Policy()).changes:
        link = by_index[change.ifindex]
        by_index[change.ifindex] = link._replace(
            up=True,
            mtu=change.mtu or link.mtu,
            altnames=(*link.altnames, change.altname) if change.altname else link.altnames,
            alias=change.alias or link.alias,
        )
    assert plan_links(spec, Surroundings(LinkTable(by_index.values()), frozenset()), Policy()).changes == ()


@given(
    had=st.permutations(["a", "b", "c", "d", ""]),
    wanted=st.permutations(["a", "b", "c", "d", "eth0"]),
    ours=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_however_names_move_no_link_gives_its_own_up_for_one_that_it_does_not_get(
    had: list[str], wanted: list[str], ours: list[bool]
) -> None:
    """Four links; each has a name that this agent gave it, or that somebody else did, or none."""
    wishes = [WantedInterface(f"02:00:00:00:00:1{n}", interface_name=wanted[n]) for n in range(4)]
    links = {
        n: Link(n + 3, f"ens{n}", wish.mac, up=True, altnames=(had[n],) if had[n] else ())
        for n, wish in enumerate(wishes)
    }
    names = {wish.mac: {had[n]} for n, wish in enumerate(wishes) if ours[n] and had[n]}
    given_up = set()
    for _ in range(10):
        around = Surroundings(LinkTable((PRIMARY, *links.values())), frozenset({2}), given=names)
        changes = plan_links(NodeSpec(1, tuple(wishes)), around, Policy()).changes
        for change in changes:
            n = change.ifindex - 3
            if change.former:
                given_up.add(n)
                names[wishes[n].mac].discard(change.former)
            if change.altname:
                names.setdefault(wishes[n].mac, set()).add(change.altname)
            kept = [name for name in links[n].altnames if name != change.former]
            links[n] = links[n]._replace(altnames=(*kept, *filter(None, [change.altname])))
    assert changes == ()
    assert [n for n in given_up if wanted[n] not in links[n].altnames] == []
    served = [n for n in range(4) if wanted[n] in links[n].altnames]
    assert all(len(links[n].altnames) == 1 for n in served if ours[n] and had[n])
