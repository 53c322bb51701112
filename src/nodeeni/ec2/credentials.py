"""Credentials that are not to be had yet are looked for again at each call.

botocore looks once, as a client is made: what it does not find then the client never has, and an agent that
does not answer, as that of EKS Pod Identity on a node that has just started, ends the making.
"""

import asyncio
from typing import Any

from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

_COMPONENT = "credential_provider"


def be_patient(session: AioSession) -> None:
    """For the clients that the session makes from now on."""
    session.register_component(_COMPONENT, _Patient(session.get_component(_COMPONENT)))


class _Patient:
    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver

    async def load_credentials(self) -> Any:
        try:
            found = await self._resolver.load_credentials()
        except CredentialRetrievalError:
            found = None
        return found or _Late(self._resolver)


class _Late(AioCredentials):  # type: ignore[misc]  # aiobotocore has no types
    """Whoever signs a call asks for them as they are now. NoCredentialsError or CredentialRetrievalError."""

    def __init__(self, resolver: Any) -> None:
        super().__init__("", "")
        self._resolver = resolver
        self._found: Any = None
        self._looking = asyncio.Lock()

    async def get_frozen_credentials(self) -> Any:
        async with self._looking:
            self._found = self._found or await self._resolver.load_credentials()
        if self._found is None:
            raise NoCredentialsError
        return await self._found.get_frozen_credentials()
