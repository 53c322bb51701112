"""What a write is about, how it is to be done, and what came of it."""

from dataclasses import dataclass, field

from nodeeni.sandbox.kube.resources import Resource
from nodeeni.sandbox.kube.status import Object
from nodeeni.sandbox.kube.storage import Key


@dataclass(slots=True)
class Options:
    """How a write is done. `field_validation` is Strict, Warn or Ignore; `by_patch` says that the object
    is what a patch made; `warnings` collects what the response's Warning headers say."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    field_validation: str = "Warn"
    by_patch: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Deletion:
    """The DeleteOptions that matter here. `propagation` is Background, Foreground or Orphan."""

    uid: str | None = None
    resource_version: str | None = None
    propagation: str = "Background"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: the resource, the key, and `status` if it is about that subresource."""

    resource: Resource
    key: Key
    subresource: str = ""

    @property
    def storage(self) -> str:
        return self.resource.stored_in


@dataclass(frozen=True, slots=True)
class Written:
    """The object after the write; `created` says that the write made it."""

    obj: Object
    created: bool = False
