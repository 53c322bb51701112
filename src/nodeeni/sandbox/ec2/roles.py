"""Temporary credentials for pods: by a token of their service account, from STS (IRSA) or from the agent of
EKS Pod Identity. They are good for `lifetime` seconds, the token as long as it is trusted: kubelet writes a
new one in time.

Sources: STS API Reference, AssumeRoleWithWebIdentity; EKS User Guide, "How EKS Pod Identity works".
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aiohttp import web

from .errors import EC2Error
from .wire import Parameters

ASSUME = "AssumeRoleWithWebIdentity"
AGENT_PATH = "/v1/credentials"
"""Of the agent; `AWS_CONTAINER_CREDENTIALS_FULL_URI` is this server's url and it."""

_SESSION_HEADER = "X-Amz-Security-Token"
_TEMPORARY = "ASIA"  # how their access keys begin


class _Session(NamedTuple):
    access_key: str
    token: str
    ends: float  # of time.time()

    def ends_at(self) -> str:
        return (datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.ends)).strftime("%Y-%m-%dT%H:%M:%SZ")


class PodRoles:
    def __init__(self, account_id: str) -> None:
        self.lifetime = 3600.0
        self.given: dict[str, int] = {}
        """How often credentials were given for each token."""
        self._role = f"arn:aws:sts::{account_id}:assumed-role/nodeeni"
        self._trusted: set[str] = set()
        self._sessions: dict[str, _Session] = {}

    def trust(self, *tokens: str) -> None:
        """These, and no others from now on."""
        self._trusted = set(tokens)

    def admit(self, http: web.Request, access_key: str, *, sts: bool) -> None:
        """Temporary credentials are looked at; those of a user always fit."""
        if not access_key.startswith(_TEMPORARY):
            return
        session = self._sessions.get(access_key)
        if session is None or http.headers.get(_SESSION_HEADER) != session.token:
            raise EC2Error("InvalidClientTokenId" if sts else "AuthFailure")
        if session.ends < time.time():
            raise EC2Error("ExpiredToken" if sts else "RequestExpired")

    def assumed(self, parameters: Parameters) -> dict[str, object]:
        """The answer of STS, which takes the call unsigned."""
        session = self._session(parameters.text("WebIdentityToken"))
        return {
            "Credentials": {
                "AccessKeyId": session.access_key,
                "SecretAccessKey": "sandbox",
                "SessionToken": session.token,
                "Expiration": session.ends_at(),
            },
            "AssumedRoleUser": {"AssumedRoleId": "AROASANDBOX:nodeeni", "Arn": f"{self._role}/pod"},
        }

    async def answer_of_agent(self, http: web.Request) -> web.Response:
        try:
            session = self._session(http.headers.get("Authorization", ""))
        except EC2Error as error:
            return web.Response(status=error.status, text=error.message)
        return web.json_response(
            {
                "AccessKeyId": session.access_key,
                "SecretAccessKey": "sandbox",
                "Token": session.token,
                "Expiration": session.ends_at(),
            }
        )

    def _session(self, token: str) -> _Session:
        if token not in self._trusted:
            raise EC2Error("InvalidIdentityToken", "The provided token could not be validated.")
        self.given[token] = self.given.get(token, 0) + 1
        key = _TEMPORARY + secrets.token_hex(8).upper()
        session = _Session(key, secrets.token_urlsafe(30), time.time() + self.lifetime)
        self._sessions[key] = session
        return session
