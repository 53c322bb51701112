"""What is said of a plan: the status of a NodeENI, the spec of an ENINode."""

from typing import Any

import msgspec
import pytest
from tests.plan.build import SUBNET, attachment, interface, nodeeni, plan

from nodeeni.api.reasons import DEGRADED, PROGRESSING, READY, EventReason, RowReason
from nodeeni.api.v1alpha1 import AttachmentStatus, Condition, ENINodeInterface, NodeENI, NodeENIStatus
from nodeeni.plan.actions import Attach, Delete
from nodeeni.plan.conditions import Standing, standing
from nodeeni.plan.link import Link
from nodeeni.plan.policy import Circumstances, Hold, decide
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import (
    ATTACHMENTS_BYTES,
    ATTACHMENTS_LIMIT,
    MANY_MOVE,
    NEWS,
    eninode_spec,
    links_note,
    nodeeni_status,
    with_failures,
    with_waiting,
)
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally

T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def row(node: str = "n1", state: State = State.ATTACHED, **changes: Any) -> Row:
    made = interface(f"eni-{node}", node=node, attached=attachment(2))
    shape = {
        "uid": "uid-multus",
        "nodeeni": "multus",
        "node": node,
        "generation": 1,
        "instance_id": "i-1",
        "state": state,
        "interface": made if state in (State.ATTACHED, State.DETACHING) else None,
        "subnet_cidr": "10.1.0.0/16",
        "device_index": 2,
        "network_card_index": 0,
        **changes,
    }
    return Row(**shape)


def failed(node: str = "n1") -> Row:
    return row(node, State.FAILED, reason=RowReason.SUBNET_FULL, message="no free address is left")


def status(
    *rows: Row, of: NodeENI | None = None, notes: list[Refusal] | None = None, links_up: int | None = None
) -> NodeENIStatus:
    return nodeeni_status(of or nodeeni(), Tally({r.node: r for r in rows}), links_up, notes or [], T1)


def told(found: NodeENIStatus) -> list[tuple[str, str, str, str]]:
    """Of the three conditions that this file is about: another one has tests of its own."""
    return [(c.type, c.status, c.reason, c.message) for c in found.conditions if c.type in ABOUT]


ABOUT = (READY, PROGRESSING, DEGRADED)
SETTLED = ("Progressing", "False", "Settled", "nothing is in progress")
FINE = ("Degraded", "False", "AsDesired", "nothing is wrong")


def test_nodes_that_were_not_looked_at_since_an_edit_are_not_ready_and_not_observed() -> None:
    edited = nodeeni()
    edited.metadata.generation = 2
    edited.status.observed_generation = 1
    found = status(row("n1", generation=2), row("n2"), of=edited)
    assert (found.desired, found.attached, found.observed_generation) == (2, 2, 1)
    assert told(found)[0] == (
        "Ready",
        "False",
        "Updating",
        "as spec asks on 1 of 2 nodes: the others are being looked at",
    )
    found = status(row("n1", generation=2), failed("n2"), of=edited)
    assert (told(found)[0][2], found.observed_generation) == ("Failing", 1)
    seen = msgspec.structs.replace(failed("n2"), generation=2)
    assert status(row("n1", generation=2), seen, of=edited).observed_generation == 2


def ending(node: str, state: State = State.ATTACHED) -> Row:
    message = "its instance i-1 is shutting-down"
    return row(node, state, wanted=False, reason=RowReason.NODE_ENDING, message=message)


def test_a_node_that_ends_is_neither_desired_nor_failed_and_no_alarm() -> None:
    found = status(row("n1"), ending("n2"), ending("n3", State.DELETING))
    assert (found.desired, found.attached, found.failed) == (1, 1, 0)
    assert told(found) == [
        ("Ready", "True", "AllAttached", "attached on 1 node, 2 nodes about to end"),
        SETTLED,
        FINE,
    ]
    assert [entry.reason for entry in found.attachments] == ["", "NodeEnding", "NodeEnding"]


def test_where_all_nodes_end_it_is_not_said_that_none_matches() -> None:
    found = status(ending("n2", State.DELETING))
    assert told(found)[0] == ("Ready", "True", "NodesEnding", "no node to serve: 1 node about to end")


def test_all_attached() -> None:
    found = status(row("n1"), row("n2"), links_up=1)
    assert (found.desired, found.attached, found.failed, found.links_up) == (2, 2, 0, 1)
    ready = ("Ready", "True", "AllAttached", "attached on 2 nodes, links up on 1 of them")
    assert told(found) == [ready, SETTLED, FINE]
    assert told(status(row("n1"), links_up=1))[0][3] == "attached on 1 node"


def test_no_node_matches() -> None:
    assert told(status()) == [
        ("Ready", "True", "NoMatchingNodes", "no node matches the selector"),
        SETTLED,
        FINE,
    ]


def test_on_the_way() -> None:
    found = status(row("n1"), row("n2", State.CREATING))
    assert told(found) == [
        ("Ready", "False", "Attaching", "attached on 1 of 2 nodes"),
        ("Progressing", "True", "Working", "1 node in progress, 1 of 2 done"),
        FINE,
    ]


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        (1, ""),
        (50, ""),
        (51, ": about 20 s at the rate that EC2 grants"),
        (500, ": about 100 s at the rate that EC2 grants"),
        (1000, ": about 4 minutes at the rate that EC2 grants"),
    ],
)
def test_the_time_left_is_told_by_the_rate_that_ec2_grants(nodes: int, left: str) -> None:
    rows = {f"n{number}": row(f"n{number}", State.ATTACHING) for number in range(nodes)}
    done = f", 0 of {nodes} done"
    message = f"{nodes} node{'s' if nodes > 1 else ''} in progress{done}"
    found = nodeeni_status(nodeeni(), Tally(rows), None, [], T1, pace=5.0)
    assert told(found)[1] == ("Progressing", "True", "Working", message + left)
    trouble = Refusal(reason=RowReason.EC2_UNREACHABLE, message="no answer")
    found = nodeeni_status(nodeeni(), Tally(rows), None, [], T1, pace=5.0, trouble=trouble)
    assert told(found)[1][3] == message, "nobody knows how long that lasts"


def test_a_failure_is_told_with_its_node_and_the_way_out_and_comes_first() -> None:
    found = status(row("n1"), failed("n3"), failed("n2"))
    assert (found.desired, found.attached, found.failed) == (3, 1, 2)
    assert told(found) == [
        ("Ready", "False", "Failing", "attached on 1 of 3 nodes; not as spec asks on 2 nodes"),
        SETTLED,
        ("Degraded", "True", "SubnetFull", "n2: no free address is left (and 1 node more)"),
    ]
    assert [entry.node_id for entry in found.attachments] == ["n2", "n3", "n1"]


def test_those_whose_turn_to_be_replaced_has_not_come_are_attached_and_not_ready() -> None:
    found = plan(nodeeni(device_index=3), having=[interface("eni-n1", attached=attachment(2))])
    at = Circumstances(now=0.0, before={"uid-multus": "n2"})
    rows = with_waiting(found.rows, decide(found.actions, at).refused)
    told_of = status(*rows, row("n2", State.DETACHING), row("n3"))
    assert told_of.attached == 2
    (entry,) = [e for e in told_of.attachments if e.node_id == "n1"]
    assert (entry.status, entry.reason) == ("attached", "ToBeReplaced")
    assert told(told_of) == [
        (
            "Ready",
            "False",
            "Replacing",
            "as spec asks on 1 of 3 nodes: the others are replaced one after another",
        ),
        ("Progressing", "True", "Working", "1 node in progress, 1 to follow, 1 of 3 done"),
        FINE,
    ]


def test_one_whose_node_went_says_that_it_may_come_back() -> None:
    found = plan(nodeeni(), having=[interface(attached=attachment())], node=None)
    refused = decide(found.actions, Circumstances(now=0.0)).refused
    (shown,) = with_waiting(found.rows, refused)
    assert (shown.state, shown.reason) == (State.ATTACHED, "NodeGone")


def test_what_is_being_removed_is_listed_and_not_counted_as_desired() -> None:
    found = status(row("n1"), row("n2", State.DETACHING, wanted=False))
    assert (found.desired, found.attached) == (1, 1)
    assert [(e.node_id, e.status) for e in found.attachments] == [("n1", "attached"), ("n2", "detaching")]
    assert found.removing == 1
    assert told(found)[1] == ("Progressing", "True", "Working", "1 node in progress")


def test_a_nodeeni_that_is_being_deleted() -> None:
    found = status(row("n1", State.DETACHING, wanted=False), of=nodeeni(deleting=True))
    assert told(found)[0] == ("Ready", "False", "Deleting", "being deleted: removing the ENIs of 1 node")


def stands(*rows: Row, trouble: RowReason | None = None) -> Standing:
    why = Refusal(reason=trouble, message="why") if trouble else None
    return standing(nodeeni(), Tally({r.node: r for r in rows}), None, [], trouble=why)


@pytest.mark.parametrize(
    ("rows", "trouble", "waits"),
    [
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND)], None, True),
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND), (State.ATTACHED, None)], None, True),
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND), (State.CREATING, None)], None, False),
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND), (State.FAILED, RowReason.SUBNET_FULL)], None, False),
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND)], RowReason.EC2_UNREACHABLE, False),
        ([(State.FAILED, RowReason.SUBNET_NOT_FOUND)], RowReason.CLOCK_WRONG, True),
        ([(State.ATTACHED, None)], RowReason.CLOCK_WRONG, False),
        ([(State.ATTACHED, RowReason.TO_BE_REPLACED), (State.FAILED, RowReason.NOT_ADOPTED)], None, True),
        ([], None, False),
    ],
)
def test_one_waits_for_a_person_where_nothing_else_could_change_it(
    rows: list[tuple[State, RowReason | None]], trouble: RowReason | None, waits: bool
) -> None:
    made = [row(f"n{number}", state, reason=reason) for number, (state, reason) in enumerate(rows)]
    assert stands(*made, trouble=trouble).waits_for_a_person is waits


def test_a_note_is_told_unless_a_failure_is() -> None:
    paused = Refusal(reason=RowReason.QUOTA_EXCEEDED, message="creating ENIs is paused")
    assert told(status(row(), row("n2", State.CREATING), notes=[paused]))[2][2] == "QuotaExceeded"
    assert told(status(row(), notes=[paused]))[2] == FINE  # it lacks nothing
    assert told(status(failed(), notes=[paused]))[2][2] == "SubnetFull"


def test_what_every_nodeeni_waits_for_comes_first() -> None:
    trouble = Refusal(reason=RowReason.CLOCK_WRONG, message="set the clock")
    found = nodeeni_status(nodeeni(), Tally({"n1": failed()}), None, [], T1, trouble=trouble)
    assert told(found)[2] == ("Degraded", "True", "ClockWrong", "set the clock")
    assert told(found)[0][1:3] == ("False", "Failing")
    found = nodeeni_status(nodeeni(), Tally({"n1": row()}), None, [], T1, trouble=trouble, unread=True)
    assert told(found)[0][1:3] == ("Unknown", "EC2NotRead")


def test_fields_that_are_accepted_but_not_applied_are_told() -> None:
    found = status(row(), of=nodeeni(enable_dpdk=True, dpdk_driver="vfio-pci"))
    assert told(found)[2][:3] == ("Degraded", "True", "FieldsNotApplied")
    assert told(found)[2][3].startswith("spec.enableDPDK, spec.dpdkDriver: not yet applied")


def test_links_that_are_not_as_asked_come_after_failures_and_before_fields_that_are_not_applied() -> None:
    note = links_note({"n2": "setting it up failed: EBUSY", "n1": "mtu 9001 is too much", "n3": "x"})
    assert links_note({}) == []
    dpdk = nodeeni(enable_dpdk=True)
    assert told(status(row(), of=dpdk, notes=note))[2] == (
        *("Degraded", "True", "LinkNotAsAsked"),
        "n1: mtu 9001 is too much (and 2 nodes more)",
    )
    assert told(status(failed(), of=dpdk, notes=note))[2][2] == "SubnetFull"


def test_an_entry_has_everything_that_is_known() -> None:
    (entry,) = status(row(link=Link(mtu=9001))).attachments
    assert entry == AttachmentStatus(
        node_id="n1",
        instance_id="i-1",
        eni_id="eni-n1",
        attachment_id="eni-attach-1",
        subnet_id="subnet-a",
        subnet_cidr="10.1.0.0/16",
        device_index=2,
        network_card_index=0,
        mac_address=interface("eni-n1").mac,
        private_ip_address="10.1.0.9",
        mtu=9001,
        status="attached",
        last_updated=T1,
    )


def test_times_change_with_what_they_are_times_of_alone() -> None:
    before = nodeeni()
    before.status = status(row("n1"), row("n2", State.CREATING))
    after = nodeeni_status(before, Tally({"n1": row("n1"), "n2": row("n2")}), None, [], T2)
    assert {entry.node_id: entry.last_updated for entry in after.attachments} == {"n1": T1, "n2": T2}
    times = {c.type: c.last_transition_time for c in after.conditions if c.type in ABOUT}
    assert times == {"Ready": T2, "Progressing": T2, "Degraded": T1}


def test_the_same_rows_give_the_same_status_again() -> None:
    before = nodeeni()
    before.status = status(row("n1"), failed("n2"))
    assert nodeeni_status(before, Tally({"n1": row("n1"), "n2": failed("n2")}), None, [], T2) == before.status


def test_with_the_status_wiped_all_but_the_times_is_the_same() -> None:
    rows = {"n1": row("n1"), "n2": failed("n2")}
    wiped = nodeeni_status(nodeeni(), Tally(rows), None, [], T2)
    assert [msgspec.structs.replace(e, last_updated=T1) for e in wiped.attachments] == status(
        *rows.values()
    ).attachments


def test_a_long_list_keeps_the_failed_and_counts_all() -> None:
    nodes = [row(f"n{number:04}") for number in range(ATTACHMENTS_LIMIT)]
    found = status(*nodes, failed("z1"), failed("z2"))
    assert (len(found.attachments), found.attachments_truncated) == (ATTACHMENTS_LIMIT, True)
    assert [entry.node_id for entry in found.attachments[:3]] == ["z1", "z2", "n0000"]
    assert (found.desired, found.attached, found.failed) == (ATTACHMENTS_LIMIT + 2, ATTACHMENTS_LIMIT, 2)


def waiting(number: int) -> Row:
    return row(f"n{number:04}", State.CREATING, interface=None)


def test_while_many_of_too_many_move_the_list_has_the_failed_and_what_changed_last() -> None:
    standing = [row(f"n{number:04}") for number in range(ATTACHMENTS_LIMIT)]
    moving = [waiting(number) for number in range(3000, 3000 + MANY_MOVE + 1)]
    latest = row("n0001")
    rows = {each.node: each for each in [failed("z1"), *moving, *standing]}
    del rows[latest.node]
    rows[latest.node] = latest  # comes last
    found = nodeeni_status(nodeeni(), Tally(rows), None, [], T1)
    listed = [entry.node_id for entry in found.attachments]
    newest = [each.node for each in standing[-(NEWS - 1) :]]
    assert listed == ["z1", "n0001", *newest]
    assert found.attachments_truncated
    assert (found.desired, found.attached) == (len(rows), ATTACHMENTS_LIMIT)

    del rows[moving[0].node]
    found = nodeeni_status(nodeeni(), Tally(rows), None, [], T1)
    assert [entry.node_id for entry in found.attachments[:3]] == ["z1", "n0000", "n0001"]
    assert len(found.attachments) == ATTACHMENTS_LIMIT


def test_a_list_that_an_object_holds_is_whole_however_many_move() -> None:
    rows = [waiting(number) for number in range(ATTACHMENTS_LIMIT)]
    assert len(status(*rows).attachments) == ATTACHMENTS_LIMIT


def test_what_was_told_before_keeps_its_date_though_the_status_lists_it_no_more() -> None:
    told = {entry.node_id: entry for entry in status(row("n1"), row("n2")).attachments}
    rows = {"n1": row("n1"), "n2": row("n2", State.DETACHING)}
    after = nodeeni_status(nodeeni(), Tally(rows), None, [], T2, before=told)
    assert {entry.node_id: entry.last_updated for entry in after.attachments} == {"n1": T1, "n2": T2}


def test_a_list_of_long_messages_keeps_what_an_object_can_hold_and_counts_all() -> None:
    places = "subnet-0123456789abcdef0 is in us-west-2a, " * 24
    found = status(*(row(f"n{number:04}", State.FAILED, message=places) for number in range(1500)))
    size = len(msgspec.json.encode(found.attachments))
    assert ATTACHMENTS_BYTES - 2 * len(places) < size <= ATTACHMENTS_BYTES
    assert (found.desired, found.failed, found.attachments_truncated) == (1500, 1500, True)


def test_conditions_of_others_stay() -> None:
    theirs = Condition(type="Theirs", status="True", reason="X", last_transition_time=T1)
    before = nodeeni()
    before.status = NodeENIStatus(conditions=[theirs])
    assert nodeeni_status(before, Tally({}), None, [], T2).conditions[-1] == theirs


# -- failures of calls -------------------------------------------------------------------------------


def hold(action: Any, *, reported: bool = True) -> Hold:
    told = EventReason.ENI_ATTACHMENT_FAILED if reported else None
    why = Refusal.of(action, RowReason.THROTTLED, "it failed", 9.0, told)
    return Hold(action=action, why=why, until=9.0, attempts=1)


@pytest.mark.parametrize(("reported", "state"), [(True, State.FAILED), (False, State.ATTACHING)])
def test_a_call_that_keeps_failing_makes_its_row_failed_once_people_can_do_something(
    reported: bool, state: State
) -> None:
    found = plan(nodeeni(), having=[interface()])
    (action,) = found.actions
    assert isinstance(action, Attach)
    (shown,) = with_failures(found.rows, [hold(action, reported=reported)])
    assert shown.state is state
    assert (shown.reason, shown.message) == (("Throttled", "it failed") if reported else (None, ""))


def test_a_failure_concerns_its_own_row_alone() -> None:
    mine, other = plan(nodeeni("mine", device_index=1), nodeeni("other")).actions
    rows = plan(nodeeni("mine", device_index=1), nodeeni("other")).rows
    shown = with_failures(rows, [hold(mine)])
    assert {r.nodeeni: r.state for r in shown} == {"mine": State.FAILED, "other": State.CREATING}
    assert other.nodeeni == "other"


def test_a_delete_that_fails_does_not_hide_what_is_attached() -> None:
    """A surplus one cannot be deleted; the one that serves is attached all the same."""
    found = plan(nodeeni(), having=[interface(attached=attachment(2)), interface("eni-2")])
    (action,) = found.actions
    assert isinstance(action, Delete)
    shown = {r.interface.id: r.state for r in with_failures(found.rows, [hold(action)]) if r.interface}
    assert shown == {"eni-1": State.ATTACHED, "eni-2": State.FAILED}


# -- the ENINode -------------------------------------------------------------------------------------


def test_an_eninode_lists_what_exists_by_id() -> None:
    waiting = row("n1", State.ATTACHING, interface=interface("eni-a"), device_index=3, link=Link(mtu=9001))
    here = row("n1", link=Link(interface_name="net1"))
    spec = eninode_spec("i-1", [here, row("n1", State.CREATING), waiting])
    assert spec.instance_id == "i-1"
    assert [(e.eni_id, e.device_index, e.mtu, e.interface_name) for e in spec.interfaces] == [
        ("eni-a", 3, 9001, ""),
        ("eni-n1", 2, None, "net1"),
    ]
    assert spec.interfaces[1] == ENINodeInterface(
        node_eni="multus",
        eni_id="eni-n1",
        mac_address=interface("eni-n1").mac,
        device_index=2,
        network_card_index=0,
        subnet_id="subnet-a",
        subnet_cidr="10.1.0.0/16",
        private_ip_addresses=("10.1.0.9",),
        interface_name="net1",
    )


def test_without_an_interface_nothing_is_listed() -> None:
    assert eninode_spec("i-1", [row("n1", State.CREATING), failed()]).interfaces == ()


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({}, SUBNET.id),
        ({"subnet_ids": ["subnet-2"], "subnet_names": ["multus-*"]}, f"{SUBNET.id},subnet-2,multus-*"),
        ({"subnet_id": None, "subnet_names": ["a", "b", "c", "d", "e"]}, "a,b,c,+2"),
    ],
)
def test_the_subnets_that_the_spec_names_are_one_column(spec: dict[str, Any], shown: str) -> None:
    assert nodeeni_status(nodeeni(**spec), Tally({}), None, (), "2026-01-01T00:00:00Z").subnets == shown
