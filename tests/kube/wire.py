"""The network between a client and the API server, as a TCP relay that a test can break at the byte."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest
from tests.kube.waiting import until


class Wire:
    """Relays to `port` on loopback. `url` is where the client goes.

    `cut_inside(marker)` ends the connection that brings `marker` to the client, in the middle of it;
    `replace(old, new)` changes what passes to the client once; `spoiled` counts both. `freeze()` keeps
    every open connection but lets no byte through any more; `reset()` resets them all; `refuse()` also
    stops listening until `listen()`.
    """

    def __init__(self, port: int, *, scheme: str = "http") -> None:
        self._target = port
        self._scheme = scheme
        self._port = 0
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.Event] = set()
        self._cut: bytes | None = None
        self._replaced: tuple[bytes, bytes] | None = None
        self.spoiled = 0

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._port}"

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def reset(self) -> None:
        for relay in self._relays:
            relay.cancel()

    def refuse(self) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()

    def freeze(self) -> None:
        """The connections of now; later ones flow."""
        for flowing in self._open:
            flowing.clear()

    def cut_inside(self, marker: bytes) -> None:
        self._read_along()
        self._cut = marker

    def replace(self, old: bytes, new: bytes) -> None:
        self._read_along()
        assert len(old) == len(new), "the lengths of chunks have been announced"
        self._replaced = (old, new)

    def _read_along(self) -> None:
        if self._scheme == "https":
            pytest.skip("TLS hides where in the stream we are")

    async def close(self) -> None:
        self.refuse()
        await until(lambda: not self._relays)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        flowing = asyncio.Event()
        flowing.set()
        self._open.add(flowing)
        pumps = (
            asyncio.create_task(self._pump(reader, far_writer, flowing, lambda data: data)),
            asyncio.create_task(self._pump(far_reader, writer, flowing, self._spoil)),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            linger = struct.pack("ii", 1, 0)  # closing says RST, not FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise
        finally:
            self._open.discard(flowing)
            for pump in pumps:
                pump.cancel()
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flowing: asyncio.Event,
        spoil: Callable[[bytes], bytes],
    ) -> None:
        try:
            while data := await reader.read(65536):
                await flowing.wait()
                passed = spoil(data)
                writer.write(passed)
                await writer.drain()
                if len(passed) < len(data):
                    return
        except ConnectionError:
            return

    def _spoil(self, data: bytes) -> bytes:
        if self._replaced is not None and self._replaced[0] in data:
            data = data.replace(*self._replaced)
            self._replaced = None
            self.spoiled += 1
        if self._cut is not None and self._cut in data:
            data = data[: data.index(self._cut) + len(self._cut) // 2]
            self._cut = None
            self.spoiled += 1
        return data
