"""A tally that is kept up counts as one that is made anew of the rows that are there."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodeeni.api.reasons import RowReason
from nodeeni.plan.conditions import standing
from nodeeni.plan.report import nodeeni_status
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally

from .build import attachment, interface, nodeeni

_NODES = st.sampled_from([f"n{number}" for number in range(6)])


def _row(node: str, state: State, reason: RowReason | None, made: bool, wanted: bool, generation: int) -> Row:
    there = interface(f"eni-{node}", node=node, attached=attachment(2)) if made else None
    return Row(
        uid="uid-multus",
        nodeeni="multus",
        node=node,
        state=state,
        reason=reason,
        interface=there,
        wanted=wanted,
        generation=generation,
    )


_ROWS = st.builds(
    _row,
    _NODES,
    st.sampled_from(State),
    st.sampled_from([None, RowReason.PREFIX_IN_USE, RowReason.TO_BE_REPLACED, RowReason.NODE_ENDING]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1),
)


@given(st.lists(_ROWS | _NODES, max_size=30))
def test_however_rows_come_change_and_go(steps: list[Any]) -> None:
    kept, rows = Tally(), dict[str, Row]()
    for step in steps:
        if isinstance(step, str):
            assert kept.drop(step) == (rows.pop(step, None) is not None)
            continue
        assert kept.put(step) == (rows.get(step.node) != step)
        if rows.get(step.node) != step:
            rows.pop(step.node, None)
            rows[step.node] = step
        list(kept.in_order())  # which it remembers
    anew = Tally(rows)
    assert list(kept.values()) == list(rows.values())
    assert standing(nodeeni(), kept, None, []) == standing(nodeeni(), anew, None, [])
    assert nodeeni_status(nodeeni(), kept, None, [], "t") == nodeeni_status(nodeeni(), anew, None, [], "t")
    assert kept.states() == {
        state: n for state in State if (n := sum(r.state is state for r in rows.values()))
    }
    assert [row.node for row in kept.in_order()] == sorted(rows)
    assert list(kept.newest_first()) == list(rows.values())[::-1]
