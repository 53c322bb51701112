"""Lists and single objects, in the form that the client asked for: plain, metadata alone, or a Table."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from nodeeni.sandbox.kube import kinds, table
from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.selectors import Matcher, everything, field_selector, label_selector
from nodeeni.sandbox.kube.status import (
    ApiError,
    Object,
    bad_request,
    expired,
    forbidden_value,
    invalid,
    version_too_large,
)
from nodeeni.sandbox.kube.storage import Entry, Key, Store


class Form(Enum):
    PLAIN = auto()
    TABLE = auto()
    METADATA = auto()


def form_of(accept: str) -> Form:
    """The first acceptable form of an Accept header. Raises ApiError 406 where there is none."""
    for part in accept.split(",") if accept else ["*/*"]:
        media, *parameters = (p.strip() for p in part.split(";"))
        if media not in ("application/json", "*/*", "application/*"):
            continue
        wanted = dict(p.split("=", 1) for p in parameters if "=" in p).get("as")
        if wanted is None:
            return Form.PLAIN
        if wanted == "Table":
            return Form.TABLE
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Form.METADATA
    raise ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json",
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource: in a namespace ("" for all), by labels and fields. `name` is set when
    the field selector asks for one object."""

    resource: Resource
    namespace: str
    labels: Matcher
    fields: Matcher
    name: str | None

    def matches(self, key: Key, obj: Object) -> bool:
        return (
            (not self.namespace or key[0] == self.namespace)
            and (self.name is None or key[1] == self.name)
            and self.labels(obj)
            and self.fields(obj)
        )

    @property
    def whole(self) -> bool:
        return not self.namespace and self.labels is everything and self.fields is everything


def selection(resource: Resource, namespace: str, query: dict[str, str]) -> Selection:
    fields, name = field_selector(query.get("fieldSelector", ""), resource.stored_in, resource.selectable)
    return Selection(resource, namespace, label_selector(query.get("labelSelector", "")), fields, name)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list at `revision`; `token` continues it, `remaining` is known without selectors."""

    entries: list[Entry]
    revision: int
    token: str = ""
    remaining: int | None = None


def page(store: Store, chosen: Selection, query: dict[str, str]) -> Page:
    """Raises ApiError 410 for a continuation or an exact version that is too old, 504 for one to come."""
    collection = store.collection(chosen.resource.stored_in)
    limit = _number(query, "limit")
    token = query.get("continue", "")
    if query.get("resourceVersionMatch") and not query.get("resourceVersion"):
        raise options_invalid("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if query.get("resourceVersion") == "0":
        limit = 0  # served whole from the watch cache
    revision, after = store.revision, None
    if token:
        revision, after = _decode(token)
        if revision < collection.floor:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can "
                "start a new list without the continue parameter."
            )
    else:
        asked = _number(query, "resourceVersion")
        if asked > store.revision:
            raise version_too_large(asked, store.revision)
        if query.get("resourceVersionMatch") == "Exact":
            if asked < collection.floor:
                raise expired(f"The resourceVersion for the provided list is too old: {asked}")
            revision = asked
    entries = collection.entries if revision == store.revision else collection.at(revision)
    if chosen.name is not None and chosen.namespace == "" and not chosen.resource.namespaced:
        keys = [key for key in (("", chosen.name),) if key in entries]
    else:
        keys = sorted(entries)
    if after is not None:
        keys = [key for key in keys if key > after]
    found = keys if chosen.whole else [key for key in keys if chosen.matches(key, entries[key].obj)]
    if not limit or len(found) <= limit:
        return Page([entries[key] for key in found], revision)
    kept = found[:limit]
    remaining = len(found) - limit if chosen.whole or chosen.labels is everything else None
    return Page([entries[key] for key in kept], revision, _encode(revision, kept[-1]), remaining)


def options_invalid(why: str) -> ApiError:
    return invalid("ListOptions", "meta.k8s.io", "", [forbidden_value("resourceVersionMatch", why)])


def _number(query: dict[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f'invalid {name}: "{text}": must be a number')
    return int(text)


def _encode(revision: int, key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((revision, *key))).decode().rstrip("=")


def _decode(token: str) -> tuple[int, Key]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        revision, namespace, name = msgspec.json.decode(text, type=tuple[int, str, str])
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise bad_request("continue key is not valid") from error
    return revision, (namespace, name)


def list_body(found: Page, resource: Resource, form: Form, include: str) -> bytes:
    metadata: Object = {"resourceVersion": str(found.revision)}
    if resource.custom and form is Form.PLAIN:
        metadata["continue"] = ""
    if found.token:
        metadata["continue"] = found.token
        if found.remaining is not None:
            metadata["remainingItemCount"] = found.remaining
    if form is Form.TABLE:
        objects = (kinds.served_form(resource, e.obj) for e in found.entries)
        shown = table.table(resource, [e.obj for e in found.entries], metadata, include)
        if include == "Object":
            for row, obj in zip(shown["rows"], objects, strict=True):
                row["object"] = obj
        return msgspec.json.encode(shown)
    if form is Form.METADATA:
        items = [table.partial(e.obj) for e in found.entries]
        body = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": items,
        }
        return msgspec.json.encode(body)
    head = msgspec.json.encode(
        {"kind": resource.listed_as, "apiVersion": resource.api_version, "metadata": metadata}
    )
    encoded = item_encoder(resource)
    return b"".join((head[:-1], b',"items":[', b",".join(encoded(e) for e in found.entries), b"]}"))


def item_encoder(resource: Resource) -> Callable[[Entry], bytes]:
    """JSON of list items: those of built-in types come without apiVersion and kind."""
    if resource.custom:
        return lambda entry: object_body(entry.obj, resource, entry)
    head = msgspec.json.encode({"apiVersion": resource.api_version, "kind": resource.kind})
    prefix = head[:-1] + b","

    def encoded(entry: Entry) -> bytes:
        return b"{" + object_body(entry.obj, resource, entry).removeprefix(prefix)

    return encoded


def object_body(obj: Object, resource: Resource, entry: Entry | None = None) -> bytes:
    shown = kinds.served_form(resource, obj)
    if entry is not None and shown is entry.obj:
        return entry.encoded
    return msgspec.json.encode(shown)


def object_in_form(obj: Object, resource: Resource, form: Form, include: str) -> bytes:
    if form is Form.TABLE:
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return msgspec.json.encode(table.table(resource, [obj], metadata, include))
    if form is Form.METADATA:
        return msgspec.json.encode(table.partial(obj))
    return object_body(obj, resource)
