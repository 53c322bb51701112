"""The API server as this agent uses it: one object listed, watched and its status patched.

Blocking calls, for threads of their own. Errors leave here as types; credentials are read anew at each
connection.
"""

import http.client
import json
import os
import random
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from nodeeni.agent.kubeconfig import Access
from nodeeni.agent.spec import JSON

_COLLECTION = "/apis/networking.k8s.aws/v1alpha1/eninodes"
_ANSWER_WITHIN = 20.0  # seconds for a request that is not a watch
# The server ends a watch after this many seconds; spread, so that a cluster's agents do not come at once.
_WATCH_SECONDS = (240, 480)
# Seconds. The server sends a bookmark about once a minute: a watch without a word for so long leads nowhere,
# even where a middle box keeps the connection alive.
SILENCE = 150.0
_LONGEST_LINE = 4 << 20  # twice what etcd can hold


class ApiError(Exception):
    """The API server could not be reached or did not do it; trying again later may help."""


class Gone(ApiError):
    """The resource version is too old to watch from: list anew."""


class NotFound(ApiError):
    """No such object, or the cluster does not know ENINodes (yet)."""


class Unauthorized(ApiError):
    """The token was refused: it is read again with the next connection."""


class Forbidden(ApiError):
    """The account lacks a right, or speaks for a node that is not its own."""


_ERRORS = {401: Unauthorized, 403: Forbidden, 404: NotFound, 410: Gone}


class ENINodeApi:
    """This node's ENINode, by connections that are opened for one purpose each."""

    def __init__(self, access: Access, node_name: str, keepalive: float, *, silence: float = SILENCE) -> None:
        """A connection whose other end vanished without a word is given up after twice `keepalive` seconds:
        by the kernel, so that nothing here has to wake up for it. A watch on which nothing comes for
        `silence` seconds ends."""
        self._access = access
        self._keepalive = (
            (socket.TCP_KEEPIDLE, max(1, round(keepalive))),
            (socket.TCP_KEEPINTVL, max(1, round(keepalive / 3))),
            (socket.TCP_KEEPCNT, 3),
        )
        self._name = node_name
        self._silence = silence

    def open(self) -> http.client.HTTPConnection:
        access = self._access
        try:
            if not access.tls:
                connection = http.client.HTTPConnection(access.host, access.port, timeout=_ANSWER_WITHIN)
            else:
                connection = _tls_connection(access)
            connection.connect()
        except OSError as error:
            raise ApiError(f"{access.host}:{access.port}: {error}") from error
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in self._keepalive:
            connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return connection

    def list(self, connection: http.client.HTTPConnection) -> tuple[JSON | None, str]:
        """(the object or None, the resource version to watch from)."""
        answer = self._json(self._send(connection, "GET", self._query(limit="1")))
        items = answer.get("items") or [None]
        return items[0], str((answer.get("metadata") or {}).get("resourceVersion") or "")

    def watch(self, connection: http.client.HTTPConnection, version: str) -> Iterator[tuple[str, JSON]]:
        """(type, object) of each event until the server ends the watch: ADDED, MODIFIED, DELETED, BOOKMARK.
        Raises Gone, and ApiError when the connection breaks."""
        seconds = random.randint(*_WATCH_SECONDS)
        query = self._query(
            watch="true", allowWatchBookmarks="true", resourceVersion=version, timeoutSeconds=str(seconds)
        )
        response = self._send(connection, "GET", query)
        connection.sock.settimeout(self._silence)
        while line := self._line(response):
            try:
                event = json.loads(line)
                kind, found = event["type"], event["object"]
            except (ValueError, KeyError, TypeError) as error:
                raise ApiError(f"not a watch event: {line[:100]!r}") from error
            if kind == "ERROR":
                raise _ERRORS.get(found.get("code"), ApiError)(str(found.get("message") or found))
            yield kind, found

    def patch_status(self, patch: JSON) -> JSON:
        """Merge-patch the status; returns the object as it is now. NotFound if it went."""
        connection = self.open()
        try:
            path = f"{_COLLECTION}/{urllib.parse.quote(self._name)}/status"
            return self._json(self._send(connection, "PATCH", path, json.dumps(patch)))
        finally:
            connection.close()

    def _query(self, **parameters: str) -> str:
        parameters["fieldSelector"] = f"metadata.name={self._name}"
        return f"{_COLLECTION}?{urllib.parse.urlencode(parameters)}"

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "nodeeni-manager"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, self._access.path + path, body, headers)
            response = connection.getresponse()
            if response.status >= 300:
                detail = response.read(1 << 16).decode(errors="replace")
                raise _ERRORS.get(response.status, ApiError)(
                    f"{response.status} {response.reason}: {detail[:300]}"
                )
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{method} {path}: {error!r}") from error
        return response

    def _token(self) -> str | None:
        if self._access.token_file is None:
            return self._access.token
        try:
            with open(self._access.token_file, encoding="ascii") as file:
                return file.read().strip()
        except OSError as error:
            raise ApiError(f"token: {error}") from error

    @staticmethod
    def _json(response: http.client.HTTPResponse) -> JSON:
        try:
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"answer not understood: {error!r}") from error
        if not isinstance(answer, dict):
            raise ApiError("answer is no object")
        return answer

    @staticmethod
    def _line(response: http.client.HTTPResponse) -> bytes:
        try:
            return response.readline(_LONGEST_LINE)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"watch broken: {error!r}") from error


def _tls_connection(access: Access) -> http.client.HTTPSConnection:
    context = _tls_context(access)
    if access.tls_name is None:
        return http.client.HTTPSConnection(access.host, access.port, timeout=_ANSWER_WITHIN, context=context)
    return _NamedHTTPSConnection(access, context)


class _NamedHTTPSConnection(http.client.HTTPSConnection):
    """Expects the certificate of `tls-server-name`, not that of the address."""

    def __init__(self, access: Access, context: ssl.SSLContext) -> None:
        super().__init__(access.host, access.port, timeout=_ANSWER_WITHIN, context=context)
        self._context_of_name = context
        self._tls_name = access.tls_name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context_of_name.wrap_socket(self.sock, server_hostname=self._tls_name)


def _tls_context(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.authority or access.authority_file:
        context.load_verify_locations(access.authority_file, cadata=access.authority)
    else:
        context.load_default_certs()
    with (
        _Pem(access.certificate, access.certificate_file) as certificate,
        _Pem(access.key, access.key_file) as key,
    ):
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    return context


class _Pem:
    """A path to PEM text for `load_cert_chain`, which reads files only; given text stays in memory."""

    def __init__(self, text: bytes | None, path: str | None) -> None:
        self._text = text
        self._path = path
        self._fd: int | None = None

    def __enter__(self) -> str | None:
        if self._text is None:
            return self._path
        self._fd = os.memfd_create("pem")
        os.write(self._fd, self._text)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            os.close(self._fd)


def status_of(eninode: Mapping[str, Any]) -> JSON:
    return dict(eninode.get("status") or {})
