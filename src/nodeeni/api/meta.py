"""Object metadata: the fields of Kubernetes' ObjectMeta that this program reads, and no others.

msgspec drops what is not named here while decoding, which is what keeps 5,000 Nodes of 10 KB small.
`gc=False`, here and elsewhere: what is data alone is in no cycle, and Python's garbage collector, which
stops everything else, need not look at it.
"""

from collections.abc import Mapping

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, gc=False):
    """An owner, as far as it is told apart from others."""

    kind: str = ""
    uid: str = ""


class ObjectMeta(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def deleting(self) -> bool:
        return self.deletion_timestamp is not None
