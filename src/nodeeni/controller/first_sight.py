"""First contact with an instance: which Nodes have just come, what is made for them beside the look at their
instance, and for which NodeENIs that was in vain.

A restart forgets it: then every node is looked at, and interfaces that were made are found by their tags.
"""

import time
from collections.abc import Callable, Iterable

from nodeeni.api.core import Node
from nodeeni.api.names import TAG_UID
from nodeeni.plan.actions import Action, Create
from nodeeni.plan.desired import Desired
from nodeeni.plan.first_sight import why_in_vain
from nodeeni.plan.plan import Plan

# Seconds for which instances are looked at first, for a NodeENI of which one was made in vain: as a rule it
# is so on all nodes of that kind, and they come together.
LOOKS_FIRST = 600.0


class _Contact:
    __slots__ = ("instance_id", "made")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.made: Create | None = None


class FirstSight:
    """`tell(create, why, first)` is called where an interface was made in vain; `first`: of those of its
    NodeENI in `LOOKS_FIRST`. The others were asked for before that one was seen to be in vain.
    """

    def __init__(
        self,
        tell: Callable[[Create, str, bool], None] = lambda create, why, first: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._begun = False
        self._contacts: dict[str, _Contact] = {}  # by Node
        self._looks_first: dict[str, float] = {}  # NodeENI uid → until

    def begin(self) -> None:
        """Every node that stood has been looked at: those that come now are new."""
        self._begun = True

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A listener of the informer."""
        node = new or old
        assert node is not None
        name = node.metadata.name
        if new is None:
            self._contacts.pop(name, None)
        elif self._begun and new.instance_id and (old is None or old.instance_id != new.instance_id):
            self._contacts[name] = _Contact(new.instance_id)

    def is_open(self, node: str, instance_id: str) -> bool:
        """Whether nobody has seen the instance of that Node yet."""
        contact = self._contacts.get(node)
        return contact is not None and contact.instance_id == instance_id

    def choose(self, actions: Iterable[Action]) -> Create | None:
        """The one interface that may be made before the instance was looked at."""
        creates = (action for action in actions if isinstance(action, Create))
        return next((create for create in creates if self._may_make(create.uid)), None)

    def _may_make(self, uid: str) -> bool:
        until = self._looks_first.get(uid)
        if until is not None and until <= self._clock():
            del self._looks_first[uid]
            return True
        return until is None

    def made(self, action: Create) -> None:
        """It is asked for, beside the look."""
        self._contacts[action.node].made = action

    def seen(self, desired: Desired, plan: Plan) -> None:
        """The instance has been looked at, or could not be: what that says of the interface."""
        contact = self._contacts.get(plan.observed.name)
        if contact is None:
            return
        made, why = contact.made, ""
        if made is not None:
            found = why_in_vain(made, desired, plan.refusals)
            if found is None:
                return  # what it is made by is not known yet
            why = found
        del self._contacts[plan.observed.name]
        if made is not None and why:
            self._in_vain(made, why, plan)

    def _in_vain(self, made: Create, why: str, plan: Plan) -> None:
        now, first = self._clock(), self._may_make(made.uid)
        self._looks_first = {uid: until for uid, until in self._looks_first.items() if until > now}
        self._looks_first[made.uid] = now + LOOKS_FIRST
        exists = made in plan.observed.in_flight or any(
            interface.tags.get(TAG_UID) == made.uid for interface in plan.observed.interfaces
        )
        if exists:
            self._tell(made, why, first)
