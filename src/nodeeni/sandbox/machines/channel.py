"""The host's end of the channel to a guest: commands with their input, output and signals, and connections
that are accepted in the guest and served here. `guest.py` is the other end."""

import asyncio
import base64
import contextlib
import itertools
import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LINE = 1 << 20  # bytes: longer than any that the guest writes
_PART = 32768
_PING_AGAIN = 0.1  # seconds; what was said before the guest listened is lost

Message = dict[str, Any]


class ChannelError(Exception):
    """The guest does not answer, or has gone."""


@dataclass(frozen=True)
class Done:
    status: int
    output: str
    errors: str


class Process:
    """A command in a guest. `status` is its exit status, negative for a signal, once it has ended."""

    def __init__(self, channel: "Channel", number: int, on_output: Callable[[int, bytes], None]) -> None:
        self._channel, self._number, self._on_output = channel, number, on_output
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def status(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    def write(self, data: bytes) -> None:
        """To its standard input; b"" ends that."""
        for start in range(0, len(data), _PART):
            self._channel.say(input=self._number, data=_packed(data[start : start + _PART]))
        if not data:
            self._channel.say(input=self._number, data=None)

    def send_signal(self, number: int) -> None:
        self._channel.say(signal=self._number, number=number)

    async def wait(self) -> int:
        """ChannelError if the guest goes before."""
        return await asyncio.shield(self._ended)

    def hear(self, message: Message) -> None:
        if "output" in message:
            self._on_output(message["fd"], base64.b64decode(message["data"]))
        elif not self._ended.done():
            self._ended.set_result(message["status"])

    def lose(self) -> None:
        if not self._ended.done():
            self._ended.set_exception(ChannelError(self._channel.gone))
            self._ended.exception()  # whoever waits is told; that nobody does is no fault


@dataclass
class _Listener:
    target: tuple[str, int]
    opened: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Channel:
    """Over the socket of QEMU's character device. `hello` is set each time the guest has booted, and as the
    channel ends, so that nobody waits for it then. `gone`: what is told from then on."""

    def __init__(self) -> None:
        self.hello = asyncio.Event()
        self.gone = "the machine has gone"
        self._ended = False
        self._numbers = itertools.count(1)
        self._pongs: dict[int, asyncio.Event] = {}
        self._processes: dict[int, Process] = {}
        self._listeners: dict[int, _Listener] = {}
        self._streams: dict[int, asyncio.Queue[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The reader has to take lines of `LINE` bytes."""
        self._writer = writer
        self.say()  # ends a line that an earlier host may have begun
        self._start(self._read(reader))

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, **message: Any) -> None:
        if self._writer is None or self._ended or self._writer.is_closing():
            raise ChannelError(self.gone)
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def greet(self, timeout: float) -> None:
        """Until the guest answers; sets its clock. ChannelError after `timeout` seconds."""
        number = next(self._numbers)
        answered = self._pongs[number] = asyncio.Event()
        deadline = time.monotonic() + timeout
        while not answered.is_set():
            if time.monotonic() > deadline:
                raise ChannelError(f"the machine has not answered within {timeout:.0f} s")
            self.say(ping=number, now=time.time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(answered.wait(), _PING_AGAIN)

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        on_output: Callable[[int, bytes], None] = lambda _fd, _data: None,
    ) -> Process:
        """Start a command; `on_output` gets what it writes, with 1 or 2 for where to."""
        number = next(self._numbers)
        process = self._processes[number] = Process(self, number, on_output)
        self.say(run=number, argv=list(argv), env=dict(env or {}))
        return process

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        data: bytes = b"",
        timeout: float = 120,
    ) -> Done:
        """Run a command to its end, `data` being its standard input. TimeoutError after `timeout` seconds."""
        written = {1: bytearray(), 2: bytearray()}
        process = self.start(argv, env, lambda fd, part: written[fd].extend(part))
        if data:
            process.write(data)
        process.write(b"")
        try:
            async with asyncio.timeout(timeout):
                status = await process.wait()
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            raise
        output, errors = (bytes(written[fd]).decode(errors="replace") for fd in (1, 2))
        return Done(status, output, errors)

    async def listen(self, address: str, port: int, target: tuple[str, int]) -> None:
        """Connections to that address in the guest are carried to `target` on this machine."""
        number = next(self._numbers)
        listener = self._listeners[number] = _Listener(target)
        self.say(listen=number, address=address, port=port)
        async with asyncio.timeout(30):
            if error := await listener.opened:
                raise ChannelError(f"the machine cannot listen: {error}")

    # What the guest says

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                try:
                    message = json.loads(line)
                except ValueError:
                    continue  # the rest of a line for an earlier host
                self._hear(message)
        except OSError:
            pass
        finally:
            self._ended = True
            self.hello.set()
            for process in self._processes.values():
                process.lose()
            self._processes.clear()

    def _hear(self, message: Message) -> None:
        if "hello" in message:
            self._forget_all()
            self.hello.set()
        elif "pong" in message:
            if answered := self._pongs.pop(message["pong"], None):
                answered.set()
        elif "output" in message or "ended" in message:
            self._hear_process(message)
        elif "listening" in message:
            if listener := self._listeners.get(message["listening"]):
                listener.opened.set_result(message["error"])
        elif "accepted" in message:
            incoming = self._streams[message["stream"]] = asyncio.Queue()
            if listener := self._listeners.get(message["accepted"]):
                self._start(self._serve(message["stream"], incoming, listener.target))
        elif queue := self._streams.get(message.get("stream", 0)):
            queue.put_nowait(base64.b64decode(message["data"] or ""))

    def _forget_all(self) -> None:
        """It has booted: nothing of what ran before is there."""
        for process in self._processes.values():
            process.lose()
        self._processes.clear()
        self._listeners.clear()
        for queue in self._streams.values():
            queue.put_nowait(b"")

    def _hear_process(self, message: Message) -> None:
        number = message["output" if "output" in message else "ended"]
        if process := self._processes.get(number):
            process.hear(message)
        if "ended" in message:
            self._processes.pop(number, None)

    async def _serve(self, key: int, incoming: "asyncio.Queue[bytes]", target: tuple[str, int]) -> None:
        """One connection: what comes from the guest to `target`, and the answers back."""
        try:
            reader, writer = await asyncio.open_connection(*target)
        except OSError:
            self._end(key)
            return
        answers = asyncio.create_task(self._answer(key, reader))
        try:
            while data := await incoming.get():
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            answers.cancel()
            self._end(key)

    def _end(self, key: int) -> None:
        """The guest closes its side when it is told, also where it was the one to end the connection."""
        self._streams.pop(key, None)
        with contextlib.suppress(ChannelError):
            self.say(stream=key, data=None)

    async def _answer(self, key: int, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ChannelError):
            while part := await reader.read(_PART):
                self.say(stream=key, data=_packed(part))
            self.say(stream=key, data=None)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()
