"""A conversation with an API server, written down so that two servers' answers can be compared whole.

What differs between any two runs is replaced by what it means: `uid-1` for the first uid that appears,
`version-3` for the third resource version in the order of age, `TIME` for the clock, `TOKEN` for a place to
continue a list.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
from tests.sandbox.kube.clients import Answer, Client

Object = dict[str, Any]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WATCH_WAIT = 10.0  # seconds for an event that is due


@dataclass
class Transcript:
    """Answers in the order in which they were had. `lines()` is what is compared and recorded."""

    client: Client
    answers: list[Object] = field(default_factory=list)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        only: str = "",
        **headers: str,
    ) -> Any:
        """One request; its answer's body. `only` notes one member of the body (a dotted path).

        `reason` is what to note of a refusal whose words come from the insides of a Go program.
        """
        answer = await self.client.call(method, path, body, content_type, **headers)
        noted = answer.body
        for part in only.split(".") if only else ():
            noted = noted.get(part) if isinstance(noted, dict) else noted
        self._note(f"{method} {path}", answer, noted)
        return answer.body

    def _note(self, request: str, answer: Answer, body: Any) -> None:
        entry: Object = {"request": request, "code": answer.code, "body": body}
        if "Warning" in answer.headers:
            entry["warning"] = answer.headers["Warning"]
        self.answers.append(entry)

    async def get(self, path: str, **headers: str) -> Any:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: Any) -> Any:
        return await self.ask("POST", path, body)

    async def put(self, path: str, body: Any) -> Any:
        return await self.ask("PUT", path, body)

    async def merge(self, path: str, body: Any) -> Any:
        return await self.ask("PATCH", path, body, MERGE)

    async def apply(self, path: str, body: Any, manager: str, *, force: bool = False) -> Any:
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        return await self.ask("PATCH", path + query, body, "application/apply-patch+yaml")

    async def delete(self, path: str, body: Any = None) -> Any:
        return await self.ask("DELETE", path, body)

    async def watch(self, path: str, count: int, **query: str) -> list[Object]:
        """The first `count` events of a watch, or all when it ends before (`count` 0: all)."""
        text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
        events: list[Object] = []
        async with self.client.session.get(f"{path}?watch=true&{text}") as response:
            async with asyncio.timeout(_WATCH_WAIT):
                while not count or len(events) < count:
                    line = await response.content.readline()
                    if not line:
                        break
                    events.append(msgspec.json.decode(line))
            self.answers.append({"request": f"WATCH {path}", "code": response.status, "body": events})
        return events

    def lines(self) -> list[Object]:
        return _normalised(self.answers)


def _normalised(answers: list[Object]) -> list[Object]:
    versions = sorted({int(v) for v in _versions(answers)})
    names = {str(version): f"version-{number}" for number, version in enumerate(versions, 1)}
    uids: dict[str, str] = {}

    def text(value: str) -> str:
        value = _TIME.sub("TIME", value)
        return _UID.sub(lambda m: uids.setdefault(m[0], f"uid-{len(uids) + 1}"), value)

    def walk(value: Any, key: str = "") -> Any:
        match value:
            case {"type": "BOOKMARK", "object": shown}:
                return {"type": "BOOKMARK", "object": walk(_unversioned(shown))}
            case {"items": _, "metadata": _} | {"rows": _, "metadata": _}:
                unversioned = _unversioned(value)
                return {text(k): walk(v, k) for k, v in unversioned.items()}
            case dict():
                return {text(k): walk(v, k) for k, v in value.items()}
            case list():
                return [walk(item) for item in value]
            case str() if key == "continue" and value:
                return "TOKEN"
            case str() if key == "resourceVersion":
                return names.get(value, value)
            case str() if key == "request":
                return re.sub(r"(resourceVersion|continue)=[^&]+", r"\1=...", text(value))
            case str():
                return text(value)
            case _:
                return value

    return [walk(answer) for answer in answers]


def _unversioned(value: Object) -> Object:
    """A list's or bookmark's version says how far the server is, which is no matter of the objects."""
    return {**value, "metadata": {**value["metadata"], "resourceVersion": "NOW"}}


def _versions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "items" in value or "rows" in value or value.get("type") == "BOOKMARK":
            value = {key: member for key, member in value.items() if key not in ("metadata", "object")}
        found = value.get("resourceVersion")
        if isinstance(found, str) and found.isdigit() and found != "0":
            yield found
        for member in value.values():
            yield from _versions(member)
    elif isinstance(value, list):
        for item in value:
            yield from _versions(item)
