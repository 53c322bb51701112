"""The real API server behind the direct interface of the sandbox's: a `World` can stand on either."""

import base64
import ssl
import time
import weakref
from collections import Counter
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

import msgspec
from hack.apiserver.processes import RealServer

from nodeeni.api.names import GROUP
from nodeeni.sandbox.kube import ApiError

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BUILTIN_VERSION = "v1"


class ApiServer:
    """As `KubeServer`, as far as it goes; raises its ApiError. The server runs on when this one stops."""

    def __init__(self, server: RealServer) -> None:
        self.host = "127.0.0.1"
        self.server = server
        self._direct = _Direct(self.host, self.server.port, self.server.tls())
        self._audited = 0
        self._counted: Counter[tuple[str, str]] = Counter()
        self._forbidden = 0

    @property
    def port(self) -> int:
        """Where clients are to go."""
        return self.server.port

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.client}"}

    @property
    def authority(self) -> str:
        """The file of the certificate to trust."""
        return str(self.server.certificate)

    def kubeconfig(self, token: str = "") -> str:
        certificate = base64.b64encode(self.server.certificate.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "real", "cluster": {"server": self.url, "certificate-authority-data": certificate}}
            ],
            "users": [{"name": "real", "user": {"token": token or self.server.client}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
            "current-context": "real",
        }
        return msgspec.yaml.encode(config).decode()

    # Running.

    async def start(self) -> None:
        self._audited = self.server.audit_log.stat().st_size

    async def stop(self) -> None:
        self._direct.close()

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """What others than the direct way asked for since the start, by verb and resource."""
        for entry in self.audited():
            ref = entry.get("objectRef", {})
            resource = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
            self._counted[entry["verb"], resource] += 1
            self._forbidden += entry.get("responseStatus", {}).get("code") == 403
        return self._counted.copy()

    @property
    def forbidden(self) -> int:
        """How many of them the rights did not allow."""
        return self._forbidden if self.requests else 0

    def audited(self) -> list[Object]:
        """The entries of the audit log since the last call; a watch's is written when it begins."""
        with self.server.audit_log.open("rb") as log:
            log.seek(self._audited)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._audited += len(whole)
        entries = [msgspec.json.decode(line) for line in whole.splitlines()]
        return [e for e in entries if (e["stage"] == "ResponseStarted") == (e["verb"] == "watch")]

    # Direct access.

    def objects(self, group: str, plural: str) -> list[Object]:
        code, body = self.call("GET", self.path(group, plural))
        if code != 200:
            raise _refusal(code, body)
        kind, version = body["kind"].removesuffix("List"), body["apiVersion"]
        items = [item for item in body["items"] if not is_the_servers_own(item)]
        return [{"apiVersion": version, "kind": kind, **item} for item in items]

    def get(self, group: str, plural: str, name: str, namespace: str = "") -> Object | None:
        code, body = self.call("GET", self.path(group, plural, name, namespace))
        if code == 404:
            return None
        return _accepted(code, body)

    def create(self, obj: Object) -> Object:
        group, plural, namespaced = self._kind(obj)
        namespace = obj.get("metadata", {}).get("namespace", "default") if namespaced else ""
        code, body = self.call(
            "POST", self.path(group, plural, "", namespace) + "?fieldValidation=Strict", obj
        )
        if code == 409 and obj["kind"] == "Namespace":
            return _accepted(*self.call("GET", self.path(group, plural, obj["metadata"]["name"])))
        if code == 409 and obj["kind"] == "CustomResourceDefinition":
            code, body = self._replace_definition(obj)
        made = _accepted(code, body)
        if obj["kind"] == "CustomResourceDefinition":
            self._wait_until_served(obj)
        if obj.get("status") and made.get("status") != obj["status"] and obj["kind"] != "Event":
            name = made["metadata"]["name"]
            return self.patch(
                group, plural, name, {"status": obj["status"]}, namespace=namespace, subresource="status"
            )
        return made

    def apply(self, obj: Object) -> Object:
        group, plural, namespaced = self._kind(obj)
        namespace = obj.get("metadata", {}).get("namespace", "default") if namespaced else ""
        name = obj["metadata"]["name"]
        if self.get(group, plural, name, namespace) is None:
            return self.create(obj)
        return self.patch(group, plural, name, obj, namespace=namespace)

    def patch(
        self, group: str, plural: str, name: str, patch: Object, *, namespace: str = "", subresource: str = ""
    ) -> Object:
        path = self.path(group, plural, name, namespace) + (f"/{subresource}" if subresource else "")
        return _accepted(*self.call("PATCH", path, patch, MERGE_PATCH))

    def delete(self, group: str, plural: str, name: str, *, namespace: str = "") -> bool:
        path = self.path(group, plural, name, namespace)
        body = _accepted(*self.call("DELETE", path))
        return body.get("kind") == "Status" or "deletionTimestamp" not in body["metadata"]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        token: str = "",
        user: str = "",
    ) -> tuple[int, Any]:
        """One request as the administrator, whom the audit log leaves out, or as the token or user given."""
        headers = {"Authorization": f"Bearer {token or self.server.admin}", "Content-Type": content_type}
        if user:
            headers["Impersonate-User"] = user
        data = None if body is None else msgspec.json.encode(body)
        return self._direct.ask(method, path, data, headers)

    def path(self, group: str, plural: str, name: str = "", namespace: str = "") -> str:
        version = "v1alpha1" if group == GROUP else BUILTIN_VERSION
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        path += f"/namespaces/{namespace}" if namespace else ""
        return f"{path}/{plural}" + (f"/{name}" if name else "")

    def etcd(self, path: str, body: Object) -> Object:
        """One request to etcd itself, over its JSON gateway."""
        connection = HTTPConnection(self.host, self.server.etcd_port, timeout=30)
        connection.request("POST", path, msgspec.json.encode(body))
        answer: Object = msgspec.json.decode(connection.getresponse().read())
        connection.close()
        return answer

    # Inside.

    def _kind(self, obj: Object) -> tuple[str, str, bool]:
        version, kind = obj["apiVersion"], obj["kind"]
        group = version.rpartition("/")[0]
        path = f"/apis/{version}" if group else f"/api/{version}"
        _, listed = self.call("GET", path)
        for entry in listed["resources"] if isinstance(listed, dict) and "resources" in listed else ():
            if entry["kind"] == kind and "/" not in entry["name"]:
                return group, entry["name"], entry["namespaced"]
        raise ApiError(404, "NotFound", "the server could not find the requested resource")

    def _replace_definition(self, obj: Object) -> tuple[int, Any]:
        path = f"{CRDS}/{obj['metadata']['name']}"
        _, there = self.call("GET", path)
        version = {"resourceVersion": there["metadata"]["resourceVersion"]}
        return self.call("PUT", path, {**obj, "metadata": {**obj["metadata"], **version}})

    def _wait_until_served(self, definition: Object) -> None:
        """Until it is established, answers, and is discovered: three controllers of the API server's own."""
        spec = definition["spec"]
        version = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
        plural = spec["names"]["plural"]
        crd = f"{CRDS}/{definition['metadata']['name']}"

        def served() -> bool:
            _, there = self.call("GET", crd)
            conditions = {c["type"]: c["status"] for c in there.get("status", {}).get("conditions") or []}
            if (
                conditions.get("Established") != "True"
                or self.call("GET", f"{version}/{plural}?limit=1")[0] != 200
            ):
                return False
            code, listed = self.call("GET", version)
            return code == 200 and plural in [resource["name"] for resource in listed["resources"]]

        wait_until(served)


class _Direct:
    """A connection that stays open."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._connection = HTTPSConnection(host, port, context=tls, timeout=30)
        weakref.finalize(self, self._connection.close)

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        try:
            return self._once(method, path, data, headers)
        except (HTTPException, OSError):  # the server has closed it: it opens anew
            self._connection.close()
            return self._once(method, path, data, headers)

    def _once(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        content = response.read()
        is_object = content[:1] == b"{" and "watch=true" not in path  # a watch is many, one a line
        return response.status, msgspec.json.decode(content) if is_object else content


def _accepted(code: int, body: Any) -> Object:
    if code >= 400:
        raise _refusal(code, body)
    accepted: Object = body
    return accepted


def _refusal(code: int, body: Any) -> ApiError:
    if not isinstance(body, dict):
        return ApiError(code, "", str(body))
    return ApiError(code, body.get("reason", ""), body.get("message", ""), body.get("details"))


def is_the_servers_own(item: Object) -> bool:
    """The Lease that it keeps of itself, in kube-system: nothing that anybody made."""
    return "apiserver.kubernetes.io/identity" in item["metadata"].get("labels", {})


def wait_until(holds: Any, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the API server did not get there")
        time.sleep(0.02)
