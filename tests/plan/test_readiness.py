"""Whether a node's network is there: what each NodeENI on it counts for, and what is said of all."""

from typing import Any

import pytest
from tests.plan.build import attachment, interface

from nodeeni.api.reasons import NodeReason, RowReason
from nodeeni.api.v1alpha1 import LinkStatus
from nodeeni.plan.readiness import Grade, readiness
from nodeeni.plan.rows import Row, State

UP = LinkStatus(mac_address="m", state="Up")
DOWN = LinkStatus(mac_address="m", state="Down", message="EBUSY")
MISSING = LinkStatus(mac_address="m", state="Missing", message="no link with this MAC address yet")
UNNAMED = LinkStatus(mac_address="m", state="Up", message="interfaceName eth0 is a name of link eth0")


def row(name: str = "multus", state: State = State.ATTACHED, **changes: Any) -> Row:
    given: dict[str, Any] = {
        "generation": 1,
        "instance_id": "i-1",
        "interface": interface(attachment=attachment()),
        **changes,
    }
    return Row(uid=f"uid-{name}", nodeeni=name, node="n1", state=state, **given)


FAILED = row(state=State.FAILED, reason=RowReason.SECURITY_GROUP_NOT_FOUND)


@pytest.mark.parametrize(
    ("found", "link", "reports", "grade", "message"),
    [
        (row(), UP, True, Grade.AS_ASKED, "attached and up: multus"),
        (row(), None, False, Grade.AS_ASKED, "attached: multus"),
        (
            row(),
            None,
            True,
            Grade.LACKING,
            "multus is attached, and the node's ENI manager has not told of its link",
        ),
        (row(), DOWN, True, Grade.LACKING, "multus: its link is Down: EBUSY"),
        (
            row(),
            MISSING,
            True,
            Grade.STANDING,
            "multus: its link is Missing: no link with this MAC address yet",
        ),
        (
            row(),
            UNNAMED,
            True,
            Grade.STANDING,
            "multus: its link is Up: interfaceName eth0 is a name of link eth0",
        ),
        (row(state=State.ATTACHING), None, True, Grade.LACKING, "multus is not attached"),
        (row(state=State.DETACHING), UP, True, Grade.LACKING, "multus is not attached"),
        (FAILED, UP, True, Grade.STANDING, "multus is not yet as asked: SecurityGroupNotFound"),
        (FAILED, DOWN, True, Grade.LACKING, "multus: its link is Down: EBUSY"),
        (
            row(state=State.FAILED, interface=None, reason=RowReason.SUBNET_NOT_FOUND),
            None,
            True,
            Grade.LACKING,
            "multus is not attached: SubnetNotFound",
        ),
        (row(reason=RowReason.UPDATING), UP, True, Grade.STANDING, "multus is not yet as asked: Updating"),
        (
            row(reason=RowReason.TO_BE_REPLACED),
            UP,
            True,
            Grade.STANDING,
            "multus is not yet as asked: ToBeReplaced",
        ),
        (row(generation=0), UP, True, Grade.LACKING, "multus is not attached"),
        (row(instance_id="i-before"), UP, True, Grade.LACKING, "multus is not attached"),
    ],
)
def test_one_nodeeni(found: Row, link: LinkStatus | None, reports: bool, grade: Grade, message: str) -> None:
    verdict = readiness([found], "i-1", lambda mac: link, reports=reports)
    assert verdict is not None
    assert (verdict.grade, verdict.message) == (grade, message)
    assert (verdict.reason is NodeReason.ENIS_READY) == (grade is Grade.AS_ASKED)


def test_no_nodeeni() -> None:
    assert readiness([], "i-1", lambda mac: UP, reports=True) is None


def test_of_several_the_worst_one_is_told_and_how_many_more() -> None:
    rows = [row("c", State.CREATING, interface=None), row("b"), row("a", reason=RowReason.UPDATING)]
    verdict = readiness(rows, "i-1", lambda mac: UP, reports=True)
    assert verdict is not None
    assert verdict.grade is Grade.LACKING
    assert verdict.message == "c is not attached (and 1 more of 3 NodeENIs)"


def test_all_that_are_well_are_counted() -> None:
    verdict = readiness([row("a"), row("b")], "i-1", lambda mac: UP, reports=True)
    assert verdict is not None
    assert (verdict.grade, verdict.message) == (Grade.AS_ASKED, "attached and up: 2 NodeENIs")
