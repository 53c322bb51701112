"""The rows of one NodeENI, counted as they change: of thousands a status is made with a look at few. Pure."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping

from nodeeni.api.reasons import RowReason
from nodeeni.plan.rows import Row, State


class Tally(Mapping[str, Row]):
    """By node name; what changed last comes last."""

    def __init__(self, rows: Mapping[str, Row] | None = None) -> None:
        self._rows: dict[str, Row] = {}
        self._numbers = Counter[Hashable]()  # of rows of each kind
        self._kinds: dict[Hashable, Row] = {}  # one row of each
        self._failed: dict[str, Row] = {}
        self._in_use: dict[str, Row] = {}
        self._names: list[str] | None = None  # in order, where they are known
        for row in (rows or {}).values():
            self.put(row)

    def __getitem__(self, node: str) -> Row:
        return self._rows[node]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, node: object) -> bool:
        return node in self._rows

    def put(self, row: Row) -> bool:
        """This is its node's row now; False where it was before."""
        before = self._rows.get(row.node)
        if before == row:
            return False
        if before is None:
            self._names = None
        else:
            self._uncount(before)
            del self._rows[row.node]  # so that it comes last
        self._rows[row.node] = row
        kind = _kind(row)
        self._numbers[kind] += 1
        self._kinds.setdefault(kind, row)
        if row.state is State.FAILED:
            self._failed[row.node] = row
        if row.reason is RowReason.PREFIX_IN_USE:
            self._in_use[row.node] = row
        return True

    def drop(self, node: str) -> bool:
        """The node has no row any more; False where it had none."""
        before = self._rows.pop(node, None)
        if before is None:
            return False
        self._names = None
        self._uncount(before)
        return True

    def _uncount(self, before: Row) -> None:
        kind = _kind(before)
        self._numbers[kind] -= 1
        if not self._numbers[kind]:
            del self._numbers[kind], self._kinds[kind]
        self._failed.pop(before.node, None)
        self._in_use.pop(before.node, None)

    def number(self, holds: Callable[[Row], bool]) -> int:
        """Of how many rows this holds; it may depend on nothing of a row but what makes its kind."""
        return sum(number for kind, number in self._numbers.items() if holds(self._kinds[kind]))

    def states(self) -> Counter[State]:
        """How many are in each state."""
        found = Counter[State]()
        for kind, number in self._numbers.items():
            found[self._kinds[kind].state] += number
        return found

    @property
    def failed(self) -> tuple[Row, ...]:
        """By node name."""
        return tuple(sorted(self._failed.values(), key=_by_node))

    @property
    def in_use(self) -> tuple[Row, ...]:
        """Of those that pods have something of which is to be given back; by node name."""
        return tuple(sorted(self._in_use.values(), key=_by_node))

    def in_order(self) -> Iterator[Row]:
        """By node name."""
        if self._names is None:
            self._names = sorted(self._rows)
        return map(self._rows.__getitem__, self._names)

    def newest_first(self) -> Iterator[Row]:
        return reversed(self._rows.values())


def _by_node(row: Row) -> str:
    return row.node


def _kind(row: Row) -> Hashable:
    """The same for rows that are counted alike."""
    interface = row.interface
    attachment = interface.attachment if interface is not None else None
    where = None if attachment is None else attachment.status
    return (row.state, row.reason, row.wanted, row.generation, interface is None, where)
