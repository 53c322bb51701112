"""EC2's own model as a judge: every request that a suite was seen to make is one that botocore knows.

The requests are read as they came over the wire, so that this also holds for what no client checks before it
is sent (`parameter_validation=False` in ours).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from nodeeni.sandbox.ec2.calls import Call

_NUMBER = re.compile(r"[1-9]\d*")
_BY_TYPE = {
    "integer": re.compile(r"-?\d+"),
    "long": re.compile(r"-?\d+"),
    "boolean": re.compile(r"true|false"),
}


def unknown(calls: Iterable[Call]) -> list[str]:
    """What of these requests EC2's model does not have, each once: nothing, where all are as they should."""
    found: dict[str, None] = {}
    for call in calls:
        if call.action in _ec2().operation_names:
            found.update(dict.fromkeys(_of_one(call)))
    return list(found)


def _of_one(call: Call) -> Iterator[str]:
    for path, value in call.parameters.items():
        shape = _shape(call.action, re.sub(r"\.\d+(?=\.|$)", ".N", path))
        if shape is None:
            yield f"{call.action} knows no {path}"
        elif not _fits(shape, value):
            of = f" of {list(shape.enum)}" if getattr(shape, "enum", None) else ""
            yield f"{call.action}: {path}={value!r} is no {shape.type_name}{of}"
    root = _ec2().operation_model(call.action).input_shape
    sent = {path.partition(".")[0] for path in call.parameters}
    for name in root.required_members:
        if _on_the_wire(name, root.members[name]) not in sent:
            yield f"{call.action} lacks {name}"


def _fits(shape: Shape, value: str) -> bool:
    kind = _BY_TYPE.get(shape.type_name)
    enum = getattr(shape, "enum", None)
    return (kind is None or kind.fullmatch(value) is not None) and (not enum or value in enum)


@cache
def _ec2() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


@cache
def _shape(action: str, path: str) -> Shape | None:
    """Of one parameter by its path, list positions written as N; None for one that is not there."""
    shape: Shape | None = _ec2().operation_model(action).input_shape
    for part in path.split("."):
        if isinstance(shape, ListShape):
            shape = shape.member if part == "N" else None
        elif isinstance(shape, StructureShape):
            shape = {_on_the_wire(name, member): member for name, member in shape.members.items()}.get(part)
        else:
            return None
    return None if isinstance(shape, ListShape | StructureShape) else shape


def _on_the_wire(member: str, shape: Shape) -> str:
    """EC2's Query protocol: a name of its own, else the location's with a capital, else the member's."""
    location = str(shape.serialization.get("name", member))
    return str(shape.serialization.get("queryName", location[:1].upper() + location[1:]))
