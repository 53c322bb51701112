"""The other end of the channel, a program of the guest: runs commands and carries connections for the host.

Standard library of the guest's Python, and started by systemd before the network; one JSON object a line over
a virtio port, bytes in base64. What the host says: `ping`, `run`, `input`, `signal`, `listen`, `stream`; what
it is told: `hello`, `pong`, `output`, `ended`, `listening`, `accepted`, `stream` (see `channel.py`).
"""

import base64
import contextlib
import glob
import itertools
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PORT_NAME = "nodeeni"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNHEARD = 0.02  # seconds between looks at a port that nobody has opened on the host
_PART = 32768  # bytes


class Guest:
    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._streams: dict[int, socket.socket] = {}
        self._numbers = itertools.count(1)

    def serve(self) -> None:
        self.say(hello=float(Path("/proc/uptime").read_text().split()[0]))
        buffer = b""
        while True:
            try:
                part = os.read(self._port, _PART)
            except OSError:
                part = b""
            if not part:
                time.sleep(_UNHEARD)
                continue
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # the rest of a line whose sender went away
                    self._hear(json.loads(line))

    def say(self, **message: Any) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._port, data) :]

    def _hear(self, message: dict[str, Any]) -> None:
        if "ping" in message:
            time.clock_settime(time.CLOCK_REALTIME, message["now"])  # a snapshot's clock is of its own day
            self.say(pong=message["ping"])
        elif "run" in message:
            self._run(message["run"], message["argv"], message["env"])
        elif "input" in message:
            self._input(message["input"], message["data"])
        elif "signal" in message:
            process = self._processes.get(message["signal"])
            if process is not None:
                process.send_signal(message["number"])
        elif "listen" in message:
            self._listen(message["listen"], message["address"], message["port"])
        elif "stream" in message:
            self._carry(message["stream"], message["data"])

    # Commands

    def _run(self, number: int, argv: list[str], env: dict[str, str]) -> None:
        try:
            process = subprocess.Popen(
                argv,
                env={"PATH": _PATH, "HOME": "/root", **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self.say(output=number, fd=2, data=_packed(f"{argv[0]}: {error.strerror}\n".encode()))
            self.say(ended=number, status=127)
            return
        self._processes[number] = process
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            threading.Thread(target=self._tell, args=(number, fd, pipe.fileno()))
            for fd, pipe in ((1, process.stdout), (2, process.stderr))
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._wait, args=(number, process, readers)).start()

    def _tell(self, number: int, fd: int, pipe: int) -> None:
        while part := os.read(pipe, _PART):
            self.say(output=number, fd=fd, data=_packed(part))

    def _wait(self, number: int, process: subprocess.Popen[bytes], readers: list[threading.Thread]) -> None:
        status = process.wait()
        for reader in readers:
            reader.join(1)  # a child of it may hold the pipe on
        self._processes.pop(number)
        self.say(ended=number, status=status)

    def _input(self, number: int, data: str | None) -> None:
        process = self._processes.get(number)
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError):  # it reads no more
            if data is None:
                process.stdin.close()
            else:
                process.stdin.write(base64.b64decode(data))
                process.stdin.flush()

    # Connections of programs in the guest, served on the host

    def _listen(self, number: int, address: str, port: int) -> None:
        try:
            listening = socket.create_server((address, port), backlog=128)
        except OSError as error:
            self.say(listening=number, error=f"{address}:{port}: {error.strerror}")
            return
        self.say(listening=number, error="")
        threading.Thread(target=self._accept, args=(number, listening)).start()

    def _accept(self, number: int, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            key = next(self._numbers)
            self._streams[key] = connection
            self.say(accepted=number, stream=key)
            threading.Thread(target=self._listen_to, args=(key, connection)).start()

    def _listen_to(self, key: int, connection: socket.socket) -> None:
        try:
            while part := connection.recv(_PART):
                self.say(stream=key, data=_packed(part))
        except OSError:
            pass
        self.say(stream=key, data=None)

    def _carry(self, key: int, data: str | None) -> None:
        connection = self._streams.get(key)
        if connection is None:
            return
        with contextlib.suppress(OSError):  # the program has gone
            if data is not None:
                connection.sendall(base64.b64decode(data))
                return
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        self._streams.pop(key, None)


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _find_port() -> str:
    while True:
        for name in glob.glob("/sys/class/virtio-ports/*/name"):
            if Path(name).read_text().strip() == PORT_NAME:
                return "/dev/" + name.split("/")[-2]
        time.sleep(_UNHEARD)


if __name__ == "__main__":
    Guest(os.open(_find_port(), os.O_RDWR)).serve()
