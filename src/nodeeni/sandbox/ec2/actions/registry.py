"""How an action is declared: its handler and the parameters that it understands.

Which parameters there are says EC2's own model. One that no handler reads would be ignored in silence,
which a double must not do: it is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

import msgspec

from nodeeni.sandbox.ec2.account import Account
from nodeeni.sandbox.ec2.errors import EC2Error, missing_parameter
from nodeeni.sandbox.ec2.lifecycle import Lifecycle
from nodeeni.sandbox.ec2.wire import Parameters


@dataclass(frozen=True)
class Request:
    """One call: `reply` is how many seconds after its arrival it will be answered; `stuck` is a fault."""

    account: Account
    lifecycle: Lifecycle
    parameters: Parameters
    reply: float = 0.0
    stuck: bool = False


Handler = Callable[[Request], Mapping[str, object]]

_EVERYWHERE = {"Action", "Version", "DryRun"}


class _Known(msgspec.Struct):
    accepted: list[str]
    required: list[str]


# From botocore's service models, by `make generate`: 3 MB that need not be read at each start.
_MODEL = msgspec.json.decode(
    (resources.files(__package__) / "parameters.json").read_bytes(), type=dict[str, _Known]
)


@dataclass(frozen=True)
class ActionSpec:
    handler: Handler
    accepted: frozenset[str]
    required: frozenset[str]

    def check(self, parameters: Parameters) -> None:
        """Refuse unknown and missing parameters, as EC2 does before it looks at anything."""
        for name in parameters.names():
            if name not in self.accepted:
                raise EC2Error("UnknownParameter", f"The parameter {name} is not recognized")
        names = set(parameters.names())
        for name in sorted(self.required):
            if name not in names:
                raise missing_parameter(name)


ACTIONS: dict[str, ActionSpec] = {}


def accepted(name: str) -> set[str]:
    """The parameters of an action by EC2's model."""
    return set(_MODEL[name].accepted)


def action(name: str, *, required: str = "", without: str = "") -> Callable[[Handler], Handler]:
    """Register a handler for an action with the parameters that EC2's own model gives it.

    `required`: what EC2 asks for beyond its model, or the handler does. `without`: what EC2 knows and is not
    simulated. Both are one string of names.
    """
    known = _MODEL[name]
    left_out = frozenset(without.split())
    assert left_out <= frozenset(known.accepted), f"EC2 knows no {left_out.difference(known.accepted)}"

    def register(handler: Handler) -> Handler:
        ACTIONS[name] = ActionSpec(
            handler,
            accepted=frozenset(known.accepted) - left_out | _EVERYWHERE,
            required=frozenset(known.required).union(required.split()),
        )
        return handler

    return register
