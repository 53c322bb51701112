"""The real API server as tests meet it: cleared of what others left, and its clients can be troubled."""

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest
from hack.apiserver.processes import the_server
from hack.apiserver.server import CRDS, MERGE_PATCH, ApiServer, is_the_servers_own, wait_until
from tests.contract.proxy import Proxy
from tests.kube.wire import Wire

from nodeeni.api.names import GROUP
from nodeeni.sandbox.kube import Faults

Object = dict[str, Any]

# What tests leave behind; namespaces stay, since a namespace needs a controller in order to go.
LEFTOVERS = [
    ("", "nodes"),
    ("", "events"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "pods"),
    ("apps", "deployments"),
    ("coordination.k8s.io", "leases"),
    (GROUP, "nodeenis"),
    (GROUP, "eninodes"),
]
OWN_NAMESPACES = ("kube-system", "kube-public")  # the API server itself keeps ConfigMaps there


class RealKube(ApiServer):
    """Clients come through a relay, so that connections can be refused and broken, and with `troubled`
    through a proxy that does wrong what a test asks for; the tests' own direct way does not.
    """

    def __init__(self, *, troubled: bool = False) -> None:
        super().__init__(the_server())
        self._wire = Wire(self.server.port)
        self._faults = Faults()
        self._proxy = Proxy(self.server, self._faults) if troubled else None
        self.store = _Store(self)
        self._clear()

    @property
    def port(self) -> int:
        return self._proxy.port if self._proxy else urlsplit(self._wire.url).port or 0

    @property
    def asked(self) -> Faults:
        """The faults that were asked for: none without a proxy."""
        return self._faults

    @property
    def faults(self) -> Faults:
        if self._proxy is None:
            pytest.skip("a real API server does nothing wrong on request")
        return self._faults

    async def start(self) -> None:
        await super().start()
        await (self._proxy.start() if self._proxy else self._wire.listen())

    async def listen(self) -> None:
        await (self._proxy or self._wire).listen()

    def refuse_connections(self) -> None:
        (self._proxy or self._wire).refuse()

    async def stop(self) -> None:
        await (self._proxy.stop() if self._proxy else self._wire.close())
        await super().stop()

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """As the API server counts, or the proxy."""
        return self._proxy.requests.copy() if self._proxy else super().requests

    def _clear(self) -> None:
        for group, plural in LEFTOVERS:
            code, body = self.call("GET", self.path(group, plural))
            for item in body["items"] if code == 200 else ():
                meta = item["metadata"]
                if (plural == "configmaps" and meta["namespace"] in OWN_NAMESPACES) or is_the_servers_own(
                    item
                ):
                    continue
                path = self.path(group, plural, meta["name"], meta.get("namespace", ""))
                if meta.get("finalizers"):
                    self.call("PATCH", path, {"metadata": {"finalizers": None}}, MERGE_PATCH)
                self.call("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        _, definitions = self.call("GET", CRDS)
        for item in definitions["items"]:
            if item["spec"]["group"] != GROUP:
                self._remove_definition(item)

    def _remove_definition(self, item: Object) -> None:
        spec, path = item["spec"], f"{CRDS}/{item['metadata']['name']}"
        collection = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        _, listed = self.call("GET", collection)
        for held in listed["items"] if isinstance(listed, dict) and "items" in listed else ():
            if held["metadata"].get("finalizers"):
                one = f"{collection}/{held['metadata']['name']}"
                self.call("PATCH", one, {"metadata": {"finalizers": None}}, MERGE_PATCH)
        self.call("DELETE", path)
        wait_until(lambda: self.call("GET", path)[0] == 404 and self.call("GET", collection)[0] == 404)


class _Store:
    """What tests ask of the store itself."""

    def __init__(self, kube: RealKube) -> None:
        self._kube = kube

    @property
    def revision(self) -> int:
        return int(self._kube.etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"])

    def compact(self) -> None:
        """Forgets all but the present state, as etcd's compaction every 5 minutes does."""
        self._kube.etcd("/v3/kv/compaction", {"revision": str(self.revision), "physical": True})
