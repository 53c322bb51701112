"""The EC2 Query protocol: form parameters in, XML out. Shared by every action of the simulator."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from .errors import EC2Error, invalid_value, missing_parameter

EC2_NAMESPACE: Final = "http://ec2.amazonaws.com/doc/2016-11-15/"
STS_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"


class Raw(str):
    """XML that is rendered already and goes out as it is."""


def render(tag: str, value: object) -> str:
    """One element: a mapping is a structure, a sequence a list of `<item>`, None is left out."""
    parts: list[str] = []
    _append(parts, tag, value)
    return "".join(parts)


def render_members(value: Mapping[str, object]) -> Raw:
    """The members of a structure without its own tag, for fragments that are kept and reused."""
    parts: list[str] = []
    for name, member in value.items():
        _append(parts, name, member)
    return Raw("".join(parts))


def _append(parts: list[str], tag: str, value: object) -> None:
    match value:
        case None:
            return
        case Raw():
            parts.append(f"<{tag}>{value}</{tag}>")
        case bool():
            parts.append(f"<{tag}>{'true' if value else 'false'}</{tag}>")
        case str():
            parts.append(f"<{tag}>{escape(value)}</{tag}>")
        case Mapping():
            parts.append(f"<{tag}>")
            for name, member in value.items():
                _append(parts, name, member)
            parts.append(f"</{tag}>")
        case Sequence():
            parts.append(f"<{tag}>")
            for item in value:
                _append(parts, "item", item)
            parts.append(f"</{tag}>")
        case _:
            parts.append(f"<{tag}>{value}</{tag}>")


def reply_xml(action: str, request_id: str, body: Mapping[str, object]) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{EC2_NAMESPACE}">'
        f"<requestId>{request_id}</requestId>{render_members(body)}</{action}Response>"
    )


def error_xml(error: EC2Error, request_id: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )


def sts_reply_xml(action: str, request_id: str, body: Mapping[str, object]) -> str:
    return (
        f'<{action}Response xmlns="{STS_NAMESPACE}">{render(f"{action}Result", body)}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )


def sts_error_xml(error: EC2Error, request_id: str) -> str:
    return (
        f'<ErrorResponse xmlns="{STS_NAMESPACE}"><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


class Parameters:
    """The flat form (`Filter.1.Value.2=x`) read as EC2 reads it: members, lists and lists of structures."""

    def __init__(self, flat: Mapping[str, str]) -> None:
        self.flat = flat

    def names(self) -> Iterator[str]:
        """Top-level member names, each once."""
        yield from dict.fromkeys(key.split(".", 1)[0] for key in self.flat)

    def text(self, name: str, default: str = "") -> str:
        return self.flat.get(name, default)

    def required(self, name: str) -> str:
        value = self.flat.get(name, "")
        if not value:
            raise missing_parameter(name)
        return value

    def integer(self, name: str, default: int = 0) -> int:
        value = self.flat.get(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise invalid_value(value, name, "Expecting an integer.") from None

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.flat.get(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise invalid_value(value, name, "Expecting true or false.")
        return value.lower() == "true"

    def child(self, name: str) -> "Parameters | None":
        """The structure `name`, None when no member of it was sent."""
        prefix = f"{name}."
        members = {
            key.removeprefix(prefix): value for key, value in self.flat.items() if key.startswith(prefix)
        }
        return Parameters(members) if members else None

    def texts(self, name: str) -> list[str]:
        """The list `name.1`, `name.2`, ... in the order of its numbers."""
        members = self.child(name)
        if members is None:
            return []
        return [
            value for _, value in sorted((_number(name, key), value) for key, value in members.flat.items())
        ]

    def children(self, name: str) -> list["Parameters"]:
        """The list of structures `name.1.Member`, in the order of its numbers."""
        members = self.child(name)
        if members is None:
            return []
        grouped: dict[int, dict[str, str]] = {}
        for key, value in members.flat.items():
            number, _, rest = key.partition(".")
            grouped.setdefault(_number(name, number), {})[rest] = value
        return [Parameters(grouped[number]) for number in sorted(grouped)]


def _number(name: str, text: str) -> int:
    if not text.isdigit():
        raise EC2Error("UnknownParameter", f"The parameter {name}.{text} is not recognized")
    return int(text)
