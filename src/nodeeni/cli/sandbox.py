"""`nodeeni sandbox`: both servers kept running, and what a person needs to play with them by hand."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from argparse import SUPPRESS, Namespace
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from nodeeni.cli import web
from nodeeni.cli.guide import guide, write_entrances, write_environment
from nodeeni.cli.kernels import STARTED_OVER, Kernels, find_kernels
from nodeeni.cli.stage import Stage, fast_settings
from nodeeni.flags import Flags, UsageError, port, positive_int, typed
from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.hosts import Hosts, NodeHosts
from nodeeni.sandbox.machines.hosts import Machines, why_impossible
from nodeeni.sandbox.machines.images import ImageError
from nodeeni.sandbox.world import WorldNode

LOOPBACK = "127.0.0.1"


def main(arguments: Sequence[str]) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP: 0."""
    options = _parse(arguments)
    ports = {"--kube-port": options.kube_port, "--ec2-port": options.ec2_port, "--web": options.web or 0}
    for flag, number in ports.items():
        _check_port(flag, number)
    kernels = find_kernels("sandbox", arguments, wanted=options.kernels and not options.machines)
    if options.machines:
        kernels = _machines()
    if options.agents and not kernels.usable:
        raise UsageError(f"--agents: nodes cannot have kernels of their own here: {kernels.reason}")
    with _directory(options.directory) as directory:
        asyncio.run(_keep(options, kernels, directory))
    return 0


def _parse(arguments: Sequence[str]) -> Namespace:
    flags = Flags("sandbox", "Keep an API server and an EC2 running on loopback, to play with by hand.")
    flags.add_argument(
        "--nodes", type=typed(positive_int), default=3, help="nodes, labelled ng=multi-eni (default 3)"
    )
    flags.add_argument(
        "--zones", choices=("1", "2", "3"), default="1", help="zones that the nodes are in (default 1)"
    )
    flags.add_argument(
        "--kube-port", type=typed(port), default=0, help="API server's port (default: a free one)"
    )
    flags.add_argument("--ec2-port", type=typed(port), default=0, help="EC2's port (default: a free one)")
    flags.add_argument("--directory", type=Path, help="where the kubeconfig goes (default: a temporary one)")
    flags.add_argument("--fast", action="store_true", help="EC2 ten times as fast as the real one")
    flags.add_argument("--agents", action="store_true", help="run the ENI manager on each node")
    flags.add_argument(
        "--no-kernels", dest="kernels", action="store_false", help="nodes without kernels of their own"
    )
    flags.add_argument(
        "--machines",
        type=typed(positive_int),
        help="so many nodes that are machines: guests with Debian's kernel and udev",
    )
    web.add_flag(flags)
    flags.add_argument(STARTED_OVER, action="store_true", help=SUPPRESS)
    return flags.parse_args(list(arguments))


def _machines() -> Kernels:
    if reason := why_impossible():
        raise UsageError(f"--machines: nodes cannot be machines here: {reason}")
    return Kernels(True)


def _check_port(flag: str, number: int) -> None:
    try:
        socket.create_server((LOOPBACK, number)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)  # without the address that Python adds
        raise UsageError(f"{flag} {number}: {reason}; another port, or 0 for a free one") from error


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """The one given, which stays, or a temporary one."""
    if given is None:
        temporary = Path(tempfile.mkdtemp(prefix="nodeeni-sandbox-"))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary)
        return
    try:
        given.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--directory {given}: {error.strerror}") from error
    yield given.absolute()


async def _keep(options: Namespace, kernels: Kernels, directory: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stage = Stage(
        directory,
        fast_settings() if options.fast else EC2Settings(),
        hosts=_hosts(options, kernels),
        kube_port=options.kube_port,
        ec2_port=options.ec2_port,
    )
    async with _started(stage):
        await _add_nodes(stage, options)
        write_environment(stage)
        if stage.hosts is not None:
            write_entrances(stage, started_over=options.in_user_namespace)
        async with _page(stage, options.web) as page:
            print(guide(stage, kernels, page), flush=True)
            await stop.wait()
            print("\nending", file=sys.stderr)


@contextlib.asynccontextmanager
async def _page(stage: Stage, at: int | None) -> AsyncIterator[str]:
    """Its URL; empty where nobody asked for it."""
    if at is None:
        yield ""
        return
    async with web.shown(stage, at, "nodeeni sandbox") as url:
        yield url


@contextlib.asynccontextmanager
async def _started(stage: Stage) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(stage)
        except ImageError as error:
            raise UsageError(f"--machines: {error}") from error
        yield


def _hosts(options: Namespace, kernels: Kernels) -> NodeHosts | None:
    if options.machines:
        return Machines(say=lambda text: print(text, file=sys.stderr))
    return Hosts() if kernels.usable else None


async def _add_nodes(stage: Stage, options: Namespace) -> None:
    for number in range(options.machines or options.nodes):
        zone = "abc"[number % int(options.zones)]
        node: WorldNode = await stage.world.add_node(zone=zone, labels={"ng": "multi-eni"})
        if stage.hosts is not None:
            await stage.hosts.bring(node.instance_id, stage.kubeconfig)
        if options.agents:
            await stage.start_agent(node)
