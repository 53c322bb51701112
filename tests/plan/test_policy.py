"""What may be done now and what has to wait, each with its reason."""

from typing import Any

import pytest
from tests.plan.build import attachment, interface, nodeeni, plan

from nodeeni.api.reasons import RowReason
from nodeeni.plan.actions import Action, Attach, Cause, Create, Delete, Detach
from nodeeni.plan.policy import Circumstances, Hold, decide
from nodeeni.plan.refusal import Refusal

INFINITE = float("inf")
FINALIZED = frozenset({"uid-multus"})


def create() -> Action:
    (action,) = plan(nodeeni()).actions
    assert isinstance(action, Create)
    return action


def attach() -> Action:
    (action,) = plan(nodeeni(), having=[interface()]).actions
    assert isinstance(action, Attach)
    return action


def detach(cause: Cause, node: str = "n1") -> Detach:
    return Detach(
        node=node,
        nodeeni="multus",
        uid="uid-multus",
        eni_id="eni-1",
        attachment_id="eni-attach-1",
        instance_id="i-1",
        cause=cause,
    )


def delete(cause: Cause) -> Delete:
    return Delete(node="n1", nodeeni="multus", uid="uid-multus", eni_id="eni-1", cause=cause)


def verdict(action: Action, **circumstances: Any) -> tuple[str, float] | None:
    """None: allowed; else the reason and the seconds to wait."""
    given = {"now": 1000.0, "finalized": FINALIZED, **circumstances}
    decision = decide([action], Circumstances(**given))
    assert len(decision.allowed) + len(decision.refused) == 1
    if decision.allowed:
        return None
    (refused,) = decision.refused
    assert refused.action == action
    return refused.why.message, refused.why.retry_after


def hold(action: Action, until: float) -> dict[tuple[str, str], Hold]:
    why = Refusal.of(action, RowReason.EC2_ERROR, "it failed", 30.0)
    made = Hold(action=action, why=why, until=until, attempts=1)
    return {action.key: made}


def test_nothing_stands_in_the_way() -> None:
    for action in (create(), attach(), detach(Cause.UNMATCHED), delete(Cause.UNMATCHED)):
        assert verdict(action) is None


def test_nothing_is_made_before_the_finalizer_is_on() -> None:
    assert verdict(create(), finalized=frozenset()) == ("the NodeENI has no finalizer yet", 5.0)
    assert verdict(attach(), finalized=frozenset()) is None, "it is there: it may as well be attached"


def test_nothing_is_made_while_a_quota_is_used_up() -> None:
    assert verdict(create(), creates_paused_until=1060.0) == ("a regional quota is used up", 60.0)
    assert verdict(create(), creates_paused_until=1000.0) is None
    assert verdict(attach(), creates_paused_until=1060.0) is None


@pytest.mark.parametrize(
    ("circumstances", "expected"),
    [
        ({"node_ends": True, "node_absent_for": 120.0}, ("the node is on its way out", 120.0)),
        (
            {"node_absent_for": 30.0},
            ("the node may come back while its instance lives", 90.0),
        ),
        ({"node_absent_for": 120.0}, None),
    ],
)
def test_a_node_that_goes_keeps_what_it_has_for_its_grace(
    circumstances: dict[str, Any], expected: tuple[str, float] | None
) -> None:
    assert verdict(detach(Cause.NODE_GONE), **circumstances) == expected


def test_an_orphan_waits_to_be_confirmed() -> None:
    for action in (detach(Cause.ORPHAN), delete(Cause.ORPHAN)):
        assert verdict(action) == ("not yet confirmed to be an orphan", 60.0)
        assert verdict(action, confirmed_orphans=frozenset({"eni-1"})) is None


def test_replacements_go_one_node_at_a_time() -> None:
    before = {"uid-multus": "n1"}
    assert verdict(detach(Cause.REPLACED, "n2"), before=before) == ("node n1 comes first", 60.0)
    assert verdict(detach(Cause.UNMATCHED, "n2"), before=before) is None
    assert verdict(detach(Cause.REPLACED, "n2"), before={"uid-other": "n1"}) is None


def test_nothing_is_replaced_before_every_node_has_been_looked_at() -> None:
    unseen = ("not every node has been looked at since the start", 5.0)
    assert verdict(detach(Cause.REPLACED), surveyed=False) == unseen
    assert verdict(detach(Cause.UNMATCHED), surveyed=False) == unseen, "many may lack the label"
    assert verdict(detach(Cause.NODE_GONE), surveyed=False) == unseen, "many may be gone"
    assert verdict(detach(Cause.NODEENI_DELETED), surveyed=False) is None


def test_a_call_that_failed_is_held_until_its_time() -> None:
    assert verdict(attach(), holds=hold(attach(), 1030.0)) == ("it failed", 30.0)
    assert verdict(attach(), holds=hold(attach(), 1000.0)) is None


def test_the_same_work_with_other_parameters_is_free_again() -> None:
    (elsewhere,) = plan(nodeeni(device_index=3), having=[interface()]).actions
    assert elsewhere.key == attach().key
    assert verdict(elsewhere, holds=hold(attach(), 1030.0)) is None


def test_the_plan_is_split_in_its_order() -> None:
    actions = [create(), detach(Cause.ORPHAN), attach()]
    decision = decide(actions, Circumstances(now=0.0, finalized=FINALIZED))
    assert decision.allowed == (actions[0], actions[2])
    assert [refused.action for refused in decision.refused] == [actions[1]]


def test_a_replacement_as_the_plan_asks_for_it() -> None:
    (action,) = plan(nodeeni(device_index=3), having=[interface(attached=attachment(2))]).actions
    assert isinstance(action, Detach)
    assert (action.cause, action.key) == (Cause.REPLACED, detach(Cause.REPLACED).key)


def test_a_label_that_is_gone_is_believed_after_its_grace() -> None:
    action, away = detach(Cause.UNMATCHED), {"eni-1": 2.0}
    (refused,) = decide([action], Circumstances(now=0.0, unlabelled_for=away)).refused
    assert (refused.why.reason, refused.why.retry_after) == (RowReason.LABEL_GONE, 3.0)
    assert verdict(action, unlabelled_for={"eni-1": 5.0}) is None
    assert verdict(action, unlabelled_for=away, label_grace=0.0) is None
    assert verdict(action, unlabelled_for={"eni-2": 0.0}) is None, "by an edit of the selector"
    assert verdict(delete(Cause.UNMATCHED), unlabelled_for=away) is None, "nothing works there"


def test_what_the_brake_holds_stays_where_it_works() -> None:
    braked = {"eni-1": Refusal(reason=RowReason.REMOVAL_HELD, message="held", retry_after=60.0)}
    for cause in (Cause.UNMATCHED, Cause.NODE_GONE):
        assert verdict(detach(cause), braked=braked, node_absent_for=500.0) == ("held", 60.0)
    for cause in (Cause.NODEENI_DELETED, Cause.MOVED, Cause.REPLACED, Cause.HANGS):
        assert verdict(detach(cause), braked=braked) is None
    assert verdict(delete(Cause.UNMATCHED), braked=braked) is None, "nothing works there"
