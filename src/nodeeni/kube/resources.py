"""The kinds that this program talks about, as the paths of the API server."""

import msgspec

from nodeeni.api import names


class Resource(msgspec.Struct, frozen=True):
    """One kind by its API group (empty for the core group), version and plural."""

    group: str
    version: str
    plural: str
    namespaced: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL path of the collection, or of one object; without a namespace, of all namespaces."""
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        return f"{path}/{subresource}" if subresource else path

    def described(self, subresource: str = "") -> str:
        """As a role and kubectl write it: `nodeenis.networking.k8s.aws/status`."""
        text = f"{self.plural}.{self.group}" if self.group else self.plural
        return f"{text}/{subresource}" if subresource else text


NODES = Resource("", "v1", "nodes")
NAMESPACES = Resource("", "v1", "namespaces")
EVENTS = Resource("", "v1", "events", namespaced=True)
DAEMONSETS = Resource("apps", "v1", "daemonsets", namespaced=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", namespaced=True)
NODEENIS = Resource(names.GROUP, names.VERSION, "nodeenis")
ENINODES = Resource(names.GROUP, names.VERSION, "eninodes")
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
