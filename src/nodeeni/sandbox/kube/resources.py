"""What the server serves: one `Resource` per group, version and plural. The built-in ones are in `builtin`;
each established CustomResourceDefinition adds its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nodeeni.sandbox.kube.status import Object

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the Table form. `type` is integer, number, string, boolean or date; a column of priority
    above 0 is shown by `-o wide` alone."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """`storage` names the collection, so that two groups can serve the same objects (events). `status` says
    that there is a status subresource, `generation` that spec changes are counted."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    generation: bool = False
    custom: bool = False
    storage: str = ""
    unconditional_update: bool = True
    create_on_update: bool = False
    schema: Object = field(default_factory=dict, hash=False)
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    list_kind: str = ""
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def listed_as(self) -> str:
        return self.list_kind or self.kind + "List"

    @property
    def stored_in(self) -> str:
        return self.storage or (f"{self.plural}.{self.group}" if self.group else self.plural)


class Registry:
    """The resources served now, by (group, version, plural)."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources: dict[tuple[str, str, str], Resource] = {}
        for resource in resources:
            self.add(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._resources.values()))

    def add(self, resource: Resource) -> None:
        self._resources[(resource.group, resource.version, resource.plural)] = resource

    def drop(self, group: str, plural: str) -> None:
        for key in [k for k in self._resources if k[0] == group and k[2] == plural]:
            del self._resources[key]

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._resources.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        group, _, version = api_version.rpartition("/")
        for resource in self._resources.values():
            if (resource.group, resource.version, resource.kind) == (group, version, kind):
                return resource
        return None

    def by_plural(self, group: str, plural: str) -> Resource | None:
        """The first version of the resource, or None."""
        for resource in self._resources.values():
            if (resource.group, resource.plural) == (group, plural):
                return resource
        return None

    def by_storage(self, storage: str) -> Resource | None:
        for resource in self._resources.values():
            if resource.stored_in == storage:
                return resource
        return None

    def versions(self) -> dict[str, list[str]]:
        """Versions by group, in the order in which they were registered."""
        found: dict[str, list[str]] = {}
        for resource in self._resources.values():
            listed = found.setdefault(resource.group, [])
            if resource.version not in listed:
                listed.append(resource.version)
        return found
