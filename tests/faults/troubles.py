"""Each fault of the sandbox at each action: one whole life of an interface in which that fault comes once.

A life visits every call that changes something: applied, edited, label off and on, deleted.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.contract.processes import real_is_wanted
from tests.faults.processes import Controller, Zygote
from tests.faults.situation import NAME, Situation, lagging, situated

from nodeeni.api.names import GROUP
from nodeeni.sandbox.ec2.faults import Fault as EC2Fault
from nodeeni.sandbox.kube.faults import Fault as KubeFault

AT_ONCE = 1 if real_is_wanted() else 12  # lives, which wait more than they work; a real server is one world
LATE = 60.0  # seconds for each stage of a life

EC2_ACTIONS = (
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "CreateTags",
    "DeleteTags",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeInstanceTypes",
    "DescribeSubnets",
    "DescribeSecurityGroups",
)
_HTML = "<html><body>Bad Gateway</body></html>"

# What goes wrong, by name; {} stands for the action.
EC2_FAULTS: dict[str, EC2Fault] = {
    "throttled twice": EC2Fault(action="", code="RequestLimitExceeded", times=2),
    "InternalError before the work": EC2Fault(action="", code="InternalError"),
    "InternalError after the work": EC2Fault(action="", code="InternalError", phase="after"),
    "Unavailable": EC2Fault(action="", code="Unavailable"),
    "a code that nobody knows": EC2Fault(action="", code="NeverHeardOf", phase="after"),
    "connection lost before the work": EC2Fault(action="", drop=True),
    "connection lost after the work": EC2Fault(action="", drop=True, phase="after"),
    "answered 1.5 s late": EC2Fault(action="", delay=1.5, phase="after"),
    "a proxy's page instead of an answer": EC2Fault(action="", status=502, body=_HTML, phase="after"),
    "half an answer": EC2Fault(action="", status=200, body="<Response><net", phase="after"),
    "never answered": EC2Fault(action="", hang=True, phase="after"),
}
STUCK = ("AttachNetworkInterface", "DetachNetworkInterface")

KUBE_REQUESTS = (
    ("list", "nodes"),
    ("list", "nodeenis"),
    ("list", "eninodes"),
    ("watch", "nodes"),
    ("watch", "nodeenis"),
    ("watch", "eninodes"),
    ("patch", "nodeenis"),
    ("patch", "nodeenis/status"),
    ("create", "eninodes"),
    ("patch", "eninodes"),
    ("delete", "eninodes"),
    ("create", "events"),
)
KUBE_FAULTS: dict[str, KubeFault] = {
    "409": KubeFault(status=409),
    "410": KubeFault(status=410),
    "429, again in 1 s": KubeFault(status=429, retry_after=1, times=2),
    "500": KubeFault(status=500, times=2),
    "503": KubeFault(status=503, times=2),
    "connection lost before the work": KubeFault(drop="before"),
    "connection lost after the work": KubeFault(drop="after"),
    "answered 1.5 s late": KubeFault(delay=1.5),
}


class Trouble(NamedTuple):
    """`cause(at)` plans the fault; `where` is the request that it meets."""

    fault: str
    where: str
    cause: Callable[[Situation], object]


class Outcome(NamedTuple):
    fault: str
    where: str
    met: bool
    faults: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join(self.faults) if self.faults else "right" if self.met else "right; not met"


def troubles() -> list[Trouble]:
    """Every fault at every request."""
    return [*_ec2_troubles(), *_stuck(), *_kube_troubles()]


def _ec2_troubles() -> list[Trouble]:
    return [
        Trouble(name, f"EC2 {action}", _planned_at_ec2(fault, action))
        for name, fault in EC2_FAULTS.items()
        for action in EC2_ACTIONS
    ]


def _stuck() -> list[Trouble]:
    return [
        Trouble("hangs for ever", f"EC2 {action}", _planned_at_ec2(EC2Fault(action="", stuck=True), action))
        for action in STUCK
    ]


def _kube_troubles() -> list[Trouble]:
    return [
        Trouble(name, f"Kubernetes {verb} {resource}", _planned_at_kube(fault, verb, resource))
        for name, fault in KUBE_FAULTS.items()
        for verb, resource in KUBE_REQUESTS
    ]


def _planned_at_ec2(fault: EC2Fault, action: str) -> Callable[[Situation], object]:
    return lambda at: at.ec2.faults.add(msgspec.structs.replace(fault, action=action))


def _planned_at_kube(fault: KubeFault, verb: str, resource: str) -> Callable[[Situation], object]:
    return lambda at: at.kube.faults.plan(dataclasses.replace(fault, verb=verb, resource=resource))


# -- a life ------------------------------------------------------------------------------------------


Stage = Callable[[Situation], Awaitable[None]]


async def _applied(at: Situation) -> None:
    node = await at.node()
    at.plant_cni(node)
    at.apply(tags={"team": "radio"})
    at.plant_look_alike(NAME, node.name)


async def _edited(at: Situation) -> None:
    at.apply(description="edited", deleteOnTermination=False, tags={"team": None, "cost": "1"}, mtu=9001)
    # What is right in EC2 may be so before the ENINode is.
    await at.until(lambda: {entry.get("mtu") for entry in _listed(at)} == {9001}, timeout=LATE)


def _listed(at: Situation) -> list[dict[str, Any]]:
    found = at.kube.objects(GROUP, "eninodes")
    return [entry for eninode in found for entry in eninode["spec"].get("interfaces", [])]


async def _label_off(at: Situation) -> None:
    for node in at.world.nodes:
        at.world.label(node, ng=None)


async def _label_on(at: Situation) -> None:
    for node in at.world.nodes:
        at.world.label(node, ng="multi-eni")


async def _deleted(at: Situation) -> None:
    at.delete()


LIFE: tuple[Stage, ...] = (_applied, _edited, _label_off, _label_on, _deleted)
FLAGS = ("--undo-attach-after=3s", "--force-detach-after=3s")


async def live(zygote: Zygote, directory: Path, chosen: Sequence[Trouble], mutant: str = "") -> Outcome:
    """One life with these troubles in it."""
    async with situated(zygote, directory, mutant=mutant, settings=lagging()) as at:
        for trouble in chosen:
            trouble.cause(at)
        faults: list[str] = []
        async with await at.start(*FLAGS) as controller:
            for stage in LIFE:
                await stage(at)
                faults = await at.righted(LATE)
                if faults:
                    faults = [f"{stage.__name__.strip('_')}: {text}" for text in faults]
                    break
            faults += _ended_early(controller)
        left = at.ec2.faults.pending() or at.kube.faults.planned
        fault, where = " and ".join({t.fault: None for t in chosen}), " and ".join(t.where for t in chosen)
        return Outcome(fault, where, not left, tuple(faults))


def _ended_early(controller: Controller) -> list[str]:
    return [] if controller.running else ["the controller has ended"]


async def live_through(zygote: Zygote, directory: Path, lives: Sequence[Sequence[Trouble]]) -> list[Outcome]:
    """Several at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, chosen: Sequence[Trouble]) -> Outcome:
        async with gate:
            return await live(zygote, directory / str(number), chosen)

    return await asyncio.gather(*(one(number, chosen) for number, chosen in enumerate(lives)))
