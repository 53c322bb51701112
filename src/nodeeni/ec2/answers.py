"""EC2's answers from XML to botocore's own dicts, in a fifth of botocore's time.

botocore looks up the whole model anew for every element of an answer, which is most of what reading the
interfaces of 5,000 nodes costs. Here each action's model is made into tables once. What these cannot read
is left to botocore, and so are errors: what goes wrong is said by one parser alone.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Element: TypeAlias = ElementTree.Element
_Decode: TypeAlias = Callable[[Element], Any]


_CHUNK = 65_536  # bytes of an answer that are read in one go: some 40 interfaces


class _Unknown(Exception):
    """A kind of field that no answer of ours has had so far."""


class _Decoder:
    """Of the answers to one action. What a list of the answer holds is decoded as it comes, and its elements
    go: as a tree, a page of interfaces is ten times as large as what is read of it.
    """

    def __init__(self, shape: Any, namespace: str) -> None:
        self._whole = _structure(shape, namespace)
        self._lists = {
            namespace + member.serialization.get("name", name): (name, _any(member.member, namespace))
            for name, member in shape.members.items()
            if member.type_name == "list"
        }

    def take(self, root: Element, taken: dict[str, list[Any]]) -> None:
        """Of each list all but the last item, which may not have come whole."""
        for child in root:
            known = self._lists.get(child.tag)
            if known is not None:
                name, decode = known
                taken.setdefault(name, []).extend(decode(item) for item in child[:-1])
                del child[:-1]

    def rest(self, root: Element, taken: dict[str, list[Any]]) -> dict[str, Any]:
        answer: dict[str, Any] = self._whole(root)
        return answer | {name: items + answer.get(name, []) for name, items in taken.items()}


class Answers:
    """What one client's answers are decoded by, made when an action is answered for the first time."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[str, str], _Decoder | None] = {}  # by action and namespace of its answers

    async def decode(
        self,
        operation_model: Any,
        response_dict: dict[str, Any],
        customized_response_dict: dict[str, Any],
        **_: Any,
    ) -> None:
        """For botocore's event `before-parse`: the answer goes into `customized_response_dict`, and of the
        body only what botocore reads for itself stays. Others have their turn in between.
        """
        if response_dict["status_code"] >= 300:
            return
        try:
            decoded = await self._decoded(operation_model, response_dict["body"])
        except (ElementTree.ParseError, ValueError):
            return
        if decoded is None:
            return
        answer, request_id = decoded
        customized_response_dict.update(answer)
        about = "" if request_id is None else f"<requestId>{escape(request_id)}</requestId>"
        response_dict["body"] = f"<answer>{about}</answer>".encode()

    async def _decoded(self, operation: Any, body: bytes) -> tuple[dict[str, Any], str | None] | None:
        """The answer, and its request id; None: for botocore to read."""
        # The answer is built into an element of ours, so that its root is at hand while it comes. A pull
        # parser gives that too, but tells of each element's begin: a quarter of the work.
        builder = ElementTree.TreeBuilder()
        document, parser = builder.start("document", {}), ElementTree.XMLParser(target=builder)
        decoder: _Decoder | None = None
        namespace = ""
        taken: dict[str, list[Any]] = {}
        for start in range(0, len(body), _CHUNK):
            if start:
                await asyncio.sleep(0)
            parser.feed(body[start : start + _CHUNK])
            if not len(document):
                continue
            root = document[0]
            if decoder is None:
                namespace = root.tag[: root.tag.find("}") + 1]
                decoder = self._decoder(operation, namespace)
                if decoder is None:
                    return None
            decoder.take(root, taken)
        parser.close()
        if decoder is None:
            return None
        return decoder.rest(document[0], taken), document[0].findtext(f"{namespace}requestId")

    def _decoder(self, operation: Any, namespace: str) -> _Decoder | None:
        key = (operation.name, namespace)
        if key not in self._decoders:
            try:
                shape = operation.output_shape
                self._decoders[key] = None if shape is None else _Decoder(shape, namespace)
            except _Unknown:
                self._decoders[key] = None
        return self._decoders[key]


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


def _structure(shape: Any, namespace: str) -> _Decode:
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
