"""What is said while EC2 has not been read: what was last seen is kept, and not called true."""

import msgspec
from tests.plan.build import nodeeni

from nodeeni.api.reasons import RowReason
from nodeeni.api.v1alpha1 import AttachmentStatus, Condition, NodeENIStatus
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import ATTACHMENTS_LIMIT
from nodeeni.plan.unread import unread_status

T1, T2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
TROUBLE = Refusal(reason=RowReason.CREDENTIALS_REFUSED, message="check the credentials")
KNOWN = AttachmentStatus(node_id="n1", eni_id="eni-1", status="attached", last_updated=T1)
READY = Condition(type="Ready", status="True", reason="AllAttached", last_transition_time=T1)


def before(*entries: AttachmentStatus, truncated: bool = False) -> NodeENIStatus:
    return NodeENIStatus(
        observed_generation=1,
        desired=len(entries),
        attached=len(entries),
        failed=0,
        conditions=[READY],
        attachments=list(entries),
        attachments_truncated=truncated,
    )


def unread(status: NodeENIStatus, *nodes: str, now: str = T2) -> NodeENIStatus:
    made = nodeeni()
    made.status = status
    return unread_status(made, nodes, TROUBLE, now)


def test_what_was_seen_stays_and_others_are_told_why_not() -> None:
    found = unread(before(KNOWN), "n1", "n2")
    assert found.attachments[0] == KNOWN
    other = found.attachments[1]
    assert (other.node_id, other.status, other.reason) == ("n2", "failed", "CredentialsRefused")
    assert (found.desired, found.attached, found.failed, found.observed_generation) == (2, 1, 1, 1)
    ready = found.conditions[0]
    assert (ready.status, ready.reason, ready.last_transition_time) == ("Unknown", "EC2NotRead", T2)


def test_said_again_it_is_the_same() -> None:
    first = unread(before(KNOWN), "n1", "n2", now=T1)
    assert unread(first, "n1", "n2", now=T2) == first


def test_a_list_that_was_cut_short_stays_with_its_counts() -> None:
    status = msgspec.structs.replace(before(KNOWN, truncated=True), attached=3000, failed=7)
    found = unread(status, "n1", "n2")
    assert (found.attachments, found.attached, found.failed) == ([KNOWN], 3000, 7)
    assert found.attachments_truncated


def test_of_more_nodes_than_an_object_holds_as_many_are_listed_and_all_are_counted() -> None:
    found = unread(NodeENIStatus(), *(f"n{number}" for number in range(ATTACHMENTS_LIMIT + 1)))
    assert (len(found.attachments), found.attachments_truncated) == (ATTACHMENTS_LIMIT, True)
    assert (found.desired, found.failed) == (ATTACHMENTS_LIMIT + 1, ATTACHMENTS_LIMIT + 1)


def test_an_attachment_of_v1_is_kept_whatever_its_words() -> None:
    old = AttachmentStatus(node_id="n1", eni_id="eni-1", status="Attached", last_updated=T1)
    found = unread(NodeENIStatus(attachments=[old]), "n1")
    assert found.attachments == [old]
    assert found.observed_generation == 0
