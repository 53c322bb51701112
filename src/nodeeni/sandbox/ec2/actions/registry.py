"""How an action is declared: its handler and the parameters that it understands.

A parameter that no handler reads would be ignored in silence, which a double must not do: it is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class ActionSpec:
    handler: Handler
    required: frozenset[str]
    optional: frozenset[str]

    def check(self, parameters: Parameters) -> None:
        """Refuse unknown and missing parameters, as EC2 does before it looks at anything."""
        for name in parameters.names():
            if name not in self.required | self.optional | _EVERYWHERE:
                raise EC2Error("UnknownParameter", f"The parameter {name} is not recognized")
        names = set(parameters.names())
        for name in sorted(self.required):
            if name not in names:
                raise missing_parameter(name)


ACTIONS: dict[str, ActionSpec] = {}


def action(name: str, *, required: str = "", optional: str = "") -> Callable[[Handler], Handler]:
    """Register a handler; the parameters are given as one string of names."""

    def register(handler: Handler) -> Handler:
        ACTIONS[name] = ActionSpec(handler, frozenset(required.split()), frozenset(optional.split()))
        return handler

    return register
