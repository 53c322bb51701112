"""Credentials from a program that the kubeconfig names (`aws eks get-token` on EKS).

The protocol is client.authentication.k8s.io: the program gets KUBERNETES_EXEC_INFO and prints an
ExecCredential with a bearer token and, usually, its expiry.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec

from nodeeni.kube.errors import ConfigError, Unauthorized

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# Seconds for one run: the AWS command line, started cold on a busy node, takes several.
TIMEOUT = 25.0


class ExecPlugin(msgspec.Struct, frozen=True):
    """The program to run; `info` is what it finds in KUBERNETES_EXEC_INFO."""

    command: str
    args: tuple[str, ...]
    env: dict[str, str]
    info: str
    hint: str

    @classmethod
    def read(cls, raw: dict[str, Any], cluster: dict[str, Any]) -> "ExecPlugin":
        """From a kubeconfig user's `exec`; raises ConfigError when we cannot run it."""
        version = raw.get("apiVersion")
        command = raw.get("command")
        if version not in API_VERSIONS:
            raise ConfigError(f"exec apiVersion {version!r} is not supported; use {API_VERSIONS[0]}")
        if not command:
            raise ConfigError("exec names no command")
        if raw.get("interactiveMode") == "Always":
            raise ConfigError(f"exec command {command} wants a terminal (interactiveMode: Always)")
        spec: dict[str, Any] = {"interactive": False}
        if raw.get("provideClusterInfo"):
            spec["cluster"] = {
                key: cluster[key]
                for key in ("server", "tls-server-name", "certificate-authority-data", "proxy-url")
                if key in cluster
            }
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
        return cls(
            command=command,
            args=tuple(raw.get("args") or ()),
            env={pair["name"]: pair["value"] for pair in raw.get("env") or ()},
            info=msgspec.json.encode(info).decode(),
            hint=str(raw.get("installHint") or "").strip(),
        )


class _CredentialStatus(msgspec.Struct, rename="camel"):
    token: str = ""
    expiration_timestamp: datetime | None = None


class _Credential(msgspec.Struct):
    status: _CredentialStatus


class ExecAuth(httpx2.Auth):
    """Puts the program's token on each request; runs it again when the token expires or is refused.

    Requests that need a new token at the same time share one run.
    """

    def __init__(self, plugin: ExecPlugin) -> None:
        self._plugin = plugin
        self._credential = _CredentialStatus()
        self._running = asyncio.Lock()

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        refused = ""
        for _ in range(2):
            token = await self._token(refused)
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if response.status_code != 401:
                return
            refused = token

    async def _token(self, refused: str) -> str:
        async with self._running:
            expiry = self._credential.expiration_timestamp
            expired = expiry is not None and datetime.now(UTC) >= expiry
            if self._credential.token in ("", refused) or expired:
                self._credential = await self._run()
            return self._credential.token

    async def _run(self) -> _CredentialStatus:
        plugin = self._plugin
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.args,
                env={**os.environ, **plugin.env, "KUBERNETES_EXEC_INFO": plugin.info},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Unauthorized(f"exec command {plugin.command}: {error}; {plugin.hint}") from error
        try:
            async with asyncio.timeout(TIMEOUT):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise Unauthorized(f"exec command {plugin.command} took more than {TIMEOUT:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = complaint.decode("utf-8", "replace").strip()[:500]
            raise Unauthorized(f"exec command {plugin.command} ended with {process.returncode}: {said}")
        return self._read(output)

    def _read(self, output: bytes) -> _CredentialStatus:
        try:
            status = msgspec.json.decode(output, type=_Credential).status
        except msgspec.DecodeError as error:
            raise Unauthorized(f"exec command {self._plugin.command} printed no ExecCredential") from error
        if not status.token:
            raise Unauthorized(
                f"exec command {self._plugin.command} gave no token (certificates are not supported)"
            )
        return status
