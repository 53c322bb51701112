"""`make soak`: an hour in which everything happens at once, to 60 nodes and 4 NodeENIs that overlap.

The steps are those of the chaos, with what takes longer among them: EC2 that answers 503 for 40 s, throttling
storms, an API server that is away for seconds, objects that are made again within a second. The guard looks
at EC2 and at every status all the time; each second the memory, descriptors and lines of the controllers,
EC2's calls and the writes to the API server are noted. Then it is calm, and all has to be right within 60 s
of the next resync. Curves and outcome go into docs/reliability.md.
"""

import argparse
import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from tests.faults import processes
from tests.faults.chaos import LEASED, Chaos
from tests.faults.curves import Sample, drawn, said, written
from tests.faults.right import is_ending
from tests.faults.situation import Situation, situated

from nodeeni.sandbox.ec2 import EC2Settings
from nodeeni.sandbox.ec2.faults import Fault
from nodeeni.sandbox.ec2.settings import Delay

NODES = 60
NODEENIS = 4
STALE = 0.6  # seconds by which describes lag; the controllers are told --read-lag=2s
RESYNC = 30.0  # seconds
CONVERGES = RESYNC + 60.0  # seconds
FLAGS = (
    "--read-lag=2s",
    f"--resync-period={RESYNC:g}s",
    "--node-grace-period=5s",
    "--label-grace=500ms",
    "--mass-removal-delay=10s",
    "--force-detach-after=10s",
    "--orphan-grace-period=5s",
)
STORM, THROTTLED = 40.0, 15.0  # seconds
PAUSE = (0.2, 2.0)  # seconds between two steps


class Soak(Chaos):
    """The chaos at the pace of a cluster that is used, and with what lasts."""

    nodes, nodeenis = NODES, NODEENIS

    def __init__(self, at: Situation, seed: int) -> None:
        super().__init__(at, seed)
        self.leased = True
        self.samples: list[Sample] = []
        self._lines = 0
        self._read_to = 0
        self._began = time.monotonic()

    async def live(self, minutes: float) -> list[str]:
        """So many minutes of it, then calm; what was wrong."""
        beside = [asyncio.create_task(self._note_forever())]
        try:
            await self.populate()
            beside.append(asyncio.create_task(self.keep_running()))  # as a kubelet does
            end, step = time.monotonic() + minutes * 60, 0
            while time.monotonic() < end:
                self.seeded(step)
                step += 1
                await asyncio.sleep(self.random.uniform(*PAUSE))
                await self._step()
            return await self.calm(CONVERGES)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def choices(self) -> list[tuple[int, Callable[[], object]]]:
        return [*super().choices(), (2, self._storm), (3, self._throttle_for_long), (3, self._make_again)]

    # What lasts

    def _storm(self) -> None:
        self.at.ec2.faults.add(Fault(action="*", code="Unavailable", times=None, lasts=STORM))

    def _throttle_for_long(self) -> None:
        action = self.random.choice(("*", "CreateNetworkInterface", "AttachNetworkInterface", "Describe*"))
        self.at.ec2.faults.add(Fault(action=action, code="RequestLimitExceeded", times=None, lasts=THROTTLED))

    async def _api_server_away(self) -> None:
        self.at.kube.refuse_connections()
        await asyncio.sleep(self.random.uniform(1.0, 15.0))
        await self.at.kube.listen()

    def _make_again(self) -> None:
        """A NodeENI is deleted, and applied again within a second."""
        number = self.random.randrange(self.nodeenis)
        if self.at.world.nodeeni(f"n{number}") is not None:
            self.at.delete(f"n{number}")
            asyncio.get_running_loop().call_later(self.random.uniform(0.1, 1.0), self._apply_if_gone, number)

    def _apply_if_gone(self, number: int) -> None:
        if self.at.world.nodeeni(f"n{number}") is None:
            self._apply(number)

    async def _start(self) -> None:
        self._controllers.append(await self.at.start(*FLAGS, *LEASED))

    # What is noted

    async def _note_forever(self) -> None:
        while True:
            self.samples.append(self._sample())
            await asyncio.sleep(1.0)

    def _sample(self) -> Sample:
        running = [each.pid for each in self._controllers if each.running]
        calls = self.at.ec2.calls
        requests = self.at.kube.requests
        return Sample(
            at=time.monotonic() - self._began,
            memory=max((_memory(pid) for pid in running), default=0.0),
            descriptors=max((_descriptors(pid) for pid in running), default=0),
            lines=self._count_lines(),
            calls=calls.by_action.total(),
            writes=sum(n for (verb, what), n in requests.items() if verb in _WRITES and what != "leases"),
            nodes=sum(not is_ending(self.at.world, n) for n in self.at.kube.objects("", "nodes")),
            interfaces=len(self.at.ec2.secondary_interfaces()),
        )

    def _count_lines(self) -> int:
        if self.at.log.exists():
            with self.at.log.open("rb") as log:
                log.seek(self._read_to)
                more = log.read()
            self._lines += more.count(b"\n")
            self._read_to += len(more)
        return self._lines


_WRITES = ("create", "update", "patch", "delete")


def _memory(pid: int) -> float:
    """MiB resident; 0 for a process that has just gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


async def soak(directory: Path, seed: int, minutes: float) -> tuple[Soak, list[str]]:
    settings = EC2Settings(
        stale_reads=STALE,
        attaching=Delay(1.5, spread=1 / 3, tail=4.0, tail_probability=0.1),
        detaching=Delay(2.0, spread=1 / 3),
        seed=seed,
    )
    async with processes.zygote() as zygote, situated(zygote, directory, settings=settings) as at:
        run = Soak(at, seed)
        return run, await run.live(minutes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # connections that were cut on purpose
    directory = Path(tempfile.mkdtemp(prefix="nodeeni-soak-"))  # stays, to be read
    run, faults = asyncio.run(soak(directory, given.seed, given.minutes))
    (directory / "samples.json").write_bytes(msgspec.json.encode(run.samples))
    length = (given.seed, given.minutes)
    told = said(run.samples, *length, run.steps, run.killed, run.at.made, faults)
    written(drawn(run.samples, *length), told, *length)
    print(*(faults or ("right",)), f"the controllers' log: {run.at.log}", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
