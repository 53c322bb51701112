"""Flags in, demo played, exit status out: 0 all came and all went, 1 something did not, 130 Ctrl-C."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from argparse import SUPPRESS, Namespace
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console

from nodeeni.cli import web
from nodeeni.cli.demo import screen
from nodeeni.cli.demo.observer import StepFailed
from nodeeni.cli.demo.scenes import NODES_SHOWN, Scenes
from nodeeni.cli.demo.summary import print_summary
from nodeeni.cli.kernels import Kernels, find_kernels
from nodeeni.cli.stage import Stage, fast_settings
from nodeeni.flags import Flags, UsageError
from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.hosts import Hosts

MANIFEST = "multus-eni.yaml"
LOG_TAIL = 12  # lines shown of the controller's log when something fails


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    kernels = find_kernels("demo", arguments, wanted=options.kernels)
    directory = Path(tempfile.mkdtemp(prefix="nodeeni-demo-"))
    try:
        status = asyncio.run(_until_signal(options, kernels, directory))
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = 130
        print("\nstopped; nothing is left running", file=sys.stderr)
    if status != 1:
        shutil.rmtree(directory)
    return status


def _parse(arguments: Sequence[str]) -> Namespace:
    flags = Flags("demo", "See it work in a minute: no AWS, no cluster, no root needed.")
    flags.add_argument(
        "--fast", action="store_true", help="a simulated EC2 ten times as fast as the real one"
    )
    flags.add_argument(
        "--no-kernels", dest="kernels", action="store_false", help="leave the nodes' kernels and agents out"
    )
    web.add_flag(flags)
    flags.add_argument("--in-user-namespace", action="store_true", help=SUPPRESS)
    return flags.parse_args(list(arguments))


async def _until_signal(options: Namespace, kernels: Kernels, directory: Path) -> int:
    """SIGTERM and a closed terminal are met as Ctrl-C is: everything that was started is ended."""
    playing = asyncio.current_task()
    assert playing is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    return await _play(options, kernels, directory)


async def _play(options: Namespace, kernels: Kernels, directory: Path) -> int:
    console = screen.console()
    settings = fast_settings() if options.fast else EC2Settings()
    with screen.Screen(console) as shown:
        _introduce(shown, kernels)
        async with (
            Stage(directory, settings, hosts=Hosts() if kernels.usable else None) as stage,
            _page(stage, shown, options.web),
        ):
            scenes = Scenes(stage, shown, _manifest())
            try:
                left = await scenes.play()
            except StepFailed as failure:
                shown.settle()
                _show_failure(console, str(failure), directory)
                return 1
            assert scenes.observer is not None
            milestones = list(scenes.observer.milestones.values())
            print_summary(console, stage.world.ec2.calls, milestones, left, settings)
            if not kernels.usable:
                console.print(f"left out: {_left_out(kernels)}\n", markup=False, soft_wrap=True)
            if left.nothing:
                console.print("everything came up, and everything is gone again", style="bold green")
                return 0
            _show_failure(console, "something is left", directory)
            return 1


@contextlib.asynccontextmanager
async def _page(stage: Stage, shown: screen.Screen, at: int | None) -> AsyncIterator[None]:
    """Where somebody asked for it: it stays after the last scene, until Ctrl-C."""
    if at is None:
        yield
        return
    try:
        async with web.shown(stage, at, "nodeeni demo") as url:
            shown.note("page", url)
            yield
            shown.note("page", f"{url} stays until Ctrl-C")
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    except OSError as error:
        raise UsageError(f"--web {at}: {error.strerror}; another port, or 0 for a free one") from error


def _introduce(shown: screen.Screen, kernels: Kernels) -> None:
    shown.title("nodeeni demo: three nodes, one NodeENI; nothing leaves this machine")
    shown.note("simulated", "API server and EC2, on loopback, with EC2's limits and delays")
    if kernels.usable:
        shown.note("real", f"1 controller, {NODES_SHOWN} node agents, links in network namespaces")
    else:
        shown.note("real", "1 controller")
        shown.note("left out", _left_out(kernels))


def _left_out(kernels: Kernels) -> str:
    return f"agents and the nodes' kernels: {kernels.reason}"


def _manifest() -> Path:
    """Of the installed package, else of the checkout that this is."""
    here = Path(__file__).parent
    installed = here / MANIFEST
    return installed if installed.exists() else here.parents[3] / "examples" / MANIFEST


def _show_failure(console: Console, what: str, directory: Path) -> None:
    console.print(f"\nFAILED: {what}", style="bold red", markup=False)
    log = directory / "controller.log"
    if log.exists():
        for line in log.read_text(errors="replace").splitlines()[-LOG_TAIL:]:
            console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print(f"logs: {directory}{os.sep}*.log", markup=False, soft_wrap=True)
