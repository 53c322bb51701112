"""The way into a machine, both ends as they are, over a socket pair in the place of the virtio port.

Machines themselves are started by `make nodetest`.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cli.running import nodeeni

from nodeeni.sandbox.machines.channel import LINE, Channel, ChannelError
from nodeeni.sandbox.machines.hosts import Doorkeeper, our_package

GUEST = "import sys; from nodeeni.sandbox.machines.guest import Guest; Guest(int(sys.argv[1])).serve()"


class Guest:
    def __init__(self, channel: Channel, process: asyncio.subprocess.Process, entrance: Path) -> None:
        self.channel, self.process, self._entrance = channel, process, entrance

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    async def enter(self, *argv: str) -> asyncio.subprocess.Process:
        """As a program of the host runs a command on the machine."""
        enter = (sys.executable, "-m", "nodeeni.sandbox.machines.enter", str(self._entrance))
        return await asyncio.create_subprocess_exec(
            *enter, *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GUEST, str(theirs.fileno())), pass_fds=[theirs.fileno()]
    )
    theirs.close()
    channel = Channel()
    channel.open(*await asyncio.open_connection(sock=ours, limit=LINE))
    await asyncio.wait_for(channel.hello.wait(), 10)
    entrance = tmp_path / "entrance"
    server = await asyncio.start_unix_server(Doorkeeper(channel).enter, entrance)
    yield Guest(channel, process, entrance)
    server.close()
    await channel.close()
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_a_command_has_its_output_its_errors_and_its_status(guest: Guest) -> None:
    done = await guest.channel.run(["sh", "-c", "cat; echo wrong >&2; exit 3"], data=b"x" * 100_000)
    assert (done.status, done.output, done.errors) == (3, "x" * 100_000, "wrong\n")


async def test_a_program_that_is_not_there_is_told_as_a_shell_does(guest: Guest) -> None:
    done = await guest.channel.run(["no-such-program"])
    assert (done.status, done.errors) == (127, "no-such-program: No such file or directory\n")


async def test_a_command_that_takes_too_long_is_ended(guest: Guest) -> None:
    with pytest.raises(TimeoutError):
        await guest.channel.run(["sleep", "60"], timeout=0.2)
    assert (await guest.channel.run(["true"])).status == 0


async def test_a_server_of_ours_is_reached_in_the_guest(guest: Guest) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read(100))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await guest.channel.listen("127.0.0.1", port, server.sockets[0].getsockname())
    script = (
        f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.sendall(b'this');"
        " print(s.recv(100).decode(), s.recv(100))"
    )
    done = await guest.channel.run([sys.executable, "-c", script], timeout=10)
    assert done.output == "heard this b''\n"
    server.close()


async def test_of_connections_that_have_ended_nothing_is_left_in_the_guest(guest: Guest) -> None:
    """Whoever ended them: here the program in the guest, as one does that has its answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await guest.channel.listen("127.0.0.1", port, server.sockets[0].getsockname())
    script = (
        "import socket\nfor _ in range(20):\n"
        f" with socket.create_connection(('127.0.0.1', {port})) as s: s.sendall(b'this'); assert s.recv(9)"
    )
    before = guest.open_files()
    assert (await guest.channel.run([sys.executable, "-c", script], timeout=30)).status == 0
    async with asyncio.timeout(30):
        while guest.open_files() != before:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    server.close()


async def test_an_address_that_is_taken_in_the_guest_is_said(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ChannelError, match=f"cannot listen: 127.0.0.1:{port}: Address already in use"):
            await guest.channel.listen("127.0.0.1", port, ("127.0.0.1", 1))


async def test_a_machine_that_goes_takes_its_commands_along(guest: Guest) -> None:
    command = guest.channel.start(["sleep", "60"])
    guest.process.kill()
    with pytest.raises(ChannelError, match="the machine has gone"):
        await asyncio.wait_for(command.wait(), 10)


async def test_entering_gives_input_output_and_status(guest: Guest) -> None:
    process = await guest.enter("sh", "-c", "cat; echo wrong >&2; exit 3")
    assert await process.communicate(b"asked") == (b"asked", b"wrong\n")
    assert process.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_reaches_the_command_and_ends_who_entered_the_same_way(
    guest: Guest, number: signal.Signals
) -> None:
    process = await guest.enter("sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 10) == -number
    assert process.stdin is not None
    process.stdin.close()


async def test_whoever_is_killed_takes_the_command_along(guest: Guest) -> None:
    process = await guest.enter("sh", "-c", "echo $$; exec sleep 60")
    assert process.stdout is not None
    command = Path("/proc") / (await process.stdout.readline()).decode().strip()
    assert command.exists()
    process.kill()
    await process.wait()
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(10):
        while command.exists():  # noqa: ASYNC110  another process's child
            await asyncio.sleep(0.02)


def test_the_manager_starts_from_what_is_brought_to_a_machine(tmp_path: Path) -> None:
    """With the standard library alone beside it; a kubeconfig is read too."""
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=our_package(), check=True)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            script + "; from nodeeni.agent.app import main; main(['--help']); import yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--udev-timeout" in done.stdout


def test_machines_that_cannot_be_had_are_one_line_and_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = nodeeni("sandbox", "--machines", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "nodeeni sandbox: --machines: nodes cannot be machines here: the program `qemu-system-x86_64` is not"
        " installed (Debian: qemu-system-x86, qemu-utils, mmdebstrap, e2fsprogs)\n"
    )
