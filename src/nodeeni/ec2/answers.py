"""EC2's answers from XML to botocore's own dicts, in a fifth of botocore's time.

botocore looks up the whole model anew for every element of an answer, which is most of what reading the
interfaces of 5,000 nodes costs. Here each action's model is made into tables once. What these cannot read
is left to botocore, and so are errors: what goes wrong is said by one parser alone.
"""

from collections.abc import Callable
from typing import Any, TypeAlias
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Element: TypeAlias = ElementTree.Element
_Decode: TypeAlias = Callable[[Element], Any]


class _Unknown(Exception):
    """A kind of field that no answer of ours has had so far."""


class Answers:
    """What one client's answers are decoded by, made when an action is answered for the first time."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[str, str], _Decode | None] = {}  # by action and namespace of its answers

    def decode(
        self,
        operation_model: Any,
        response_dict: dict[str, Any],
        customized_response_dict: dict[str, Any],
        **_: Any,
    ) -> None:
        """For botocore's event `before-parse`: the answer goes into `customized_response_dict`, and of the
        body only what botocore reads for itself stays.
        """
        if response_dict["status_code"] >= 300:
            return
        try:
            root = _root(response_dict["body"])
            namespace = root.tag[: root.tag.find("}") + 1]
            decode = self._decoder(operation_model, namespace)
            if decode is None:
                return
            customized_response_dict.update(decode(root))
        except (ElementTree.ParseError, ValueError):
            return
        request_id = root.findtext(f"{namespace}requestId")
        about = "" if request_id is None else f"<requestId>{escape(request_id)}</requestId>"
        response_dict["body"] = f"<answer>{about}</answer>".encode()

    def _decoder(self, operation: Any, namespace: str) -> _Decode | None:
        key = (operation.name, namespace)
        if key not in self._decoders:
            try:
                self._decoders[key] = _structure(operation.output_shape, namespace)
            except _Unknown:
                self._decoders[key] = None
        return self._decoders[key]


def _root(body: bytes) -> Element:
    parser = ElementTree.XMLParser(encoding="utf-8")
    parser.feed(body)
    return parser.close()


def _any(shape: Any, namespace: str) -> _Decode:
    match shape.type_name:
        case "structure":
            return _structure(shape, namespace)
        case "list":
            if shape.serialization.get("flattened"):
                raise _Unknown
            return _list(shape, namespace)
        case "string":
            return _string
        case "boolean":
            return _boolean
        case "integer" | "long":
            return _integer
        case other:
            raise _Unknown(other)


def _structure(shape: Any | None, namespace: str) -> _Decode:
    if shape is None:
        raise _Unknown
    fields = {
        namespace + member.serialization.get("name", name): (name, _any(member, namespace))
        for name, member in shape.members.items()
    }

    def structure(node: Element) -> dict[str, Any]:
        found = {}
        for child in node:
            field = fields.get(child.tag)
            if field is not None:
                found[field[0]] = field[1](child)
        return found

    return structure


def _list(shape: Any, namespace: str) -> _Decode:
    decode = _any(shape.member, namespace)
    return lambda node: [decode(child) for child in node]


def _string(node: Element) -> str:
    return node.text or ""


def _boolean(node: Element) -> bool:
    return node.text == "true"


def _integer(node: Element) -> int:
    return int(node.text or "")
