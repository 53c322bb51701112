"""The controller's HTTP endpoints, asked as kubelet and Prometheus ask them."""

import asyncio
import socket
import time

import aiohttp


class Probe:
    """Asks the controller as kubelet and Prometheus do."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    @property
    def flag(self) -> str:
        return f"--metrics-addr={self.address}"

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.address}{path}") as answer:
            return answer.status, await answer.text()

    async def until(self, status: int, part: str = "", timeout: float = 15.0) -> str:
        """Wait until /readyz answers so."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                found, text = await self.get("/readyz")
            except aiohttp.ClientConnectionError:
                found, text = 0, "not listening yet"
            if found == status and part in text:
                return text
            assert time.monotonic() < deadline, f"/readyz says {found}: {text}"
            await asyncio.sleep(0.05)
