"""What tools that wait make of each state of a NodeENI: the states, the runs, the table of docs/gitops.md.

`make waits` runs it. Statuses are those that our own code makes of rows; judges are the tools themselves, or
the libraries that they are made with.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from tests.plan.build import attachment, interface, nodeeni

from nodeeni.api.crd import manifests
from nodeeni.api.names import API_VERSION, GROUP
from nodeeni.api.reasons import RowReason
from nodeeni.plan.refusal import Refusal
from nodeeni.plan.report import links_note, nodeeni_status
from nodeeni.plan.rows import Row, State
from nodeeni.plan.tally import Tally
from nodeeni.sandbox.kube import KubeServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gitops.md"
JUDGES, HELM = "NODEENI_JUDGES", "NODEENI_HELM4"  # paths of the programs; hack/waiting/build.sh, hack/helm.sh
PATIENCE = 6.0  # seconds that Helm and kubectl are given
AT_ONCE = 3  # Helms
NOW = "2026-01-01T00:00:01Z"
Object = dict[str, Any]

SPEC = {
    "nodeSelector": {"ng": "multi"},
    "subnetID": "subnet-0f59b4f14737be9ad",
    "securityGroupIDs": ["sg-05da196f3314d4af8"],
}


def row(node: str, state: State = State.ATTACHED, **changes: Any) -> Row:
    stands = state in (State.ATTACHED, State.DETACHING)
    made = interface(f"eni-{node}", node=node, attached=attachment(2)) if stands else None
    at = Row(uid="uid-multus", nodeeni="multus", node=node, generation=1, interface=made, state=state)
    return msgspec.structs.replace(at, **changes)


def failed(node: str, reason: RowReason) -> Row:
    return row(node, State.FAILED, reason=reason, message="why, and the way out")


def told(*rows: Row, for_long: bool = False, link: str = "", unread: RowReason | None = None) -> Object:
    """The status that our controller makes of these rows."""
    status = nodeeni_status(
        nodeeni(),
        Tally({each.node: each for each in rows}),
        None,
        links_note({"n1": link} if link else {}),
        NOW,
        lambda at: for_long and at.waits_for_a_person,
        trouble=Refusal(reason=unread, message="why, and the way out") if unread else None,
        unread=unread is not None,
    )
    made: Object = msgspec.to_builtins(status)
    return made


FULL, NOWHERE, AWAY = RowReason.INSTANCE_FULL, RowReason.SUBNET_NOT_FOUND, RowReason.EC2_UNREACHABLE
WAITS = row("n2", reason=RowReason.TO_BE_REPLACED, message="to be replaced as the spec asks")
EDITED = "attached everywhere, and edited since: no controller has looked at that"
# None: nobody writes a status.
STATES: dict[str, Object | None] = {
    "no controller has looked at it": None,
    "the first ENIs are on their way": told(row("n1", State.ATTACHING), row("n2", State.CREATING)),
    "attached on every node": told(row("n1"), row("n2")),
    "no node matches": told(),
    EDITED: told(row("n1"), row("n2")),
    "an edit goes from node to node": told(row("n1", State.DETACHING), WAITS),
    "a node leaves, the others have theirs": told(row("n1"), row("n2", State.DETACHING, wanted=False)),
    "attached everywhere, a link is not as asked": told(row("n1"), link="mtu 9001 is too much"),
    "one instance is full, the others have theirs": told(row("n1"), failed("n2", FULL), for_long=True),
    "only a person can help, for less than 2 minutes": told(row("n1"), failed("n2", NOWHERE)),
    "the same for longer": told(row("n1"), failed("n2", NOWHERE), for_long=True),
    "EC2 cannot be read, all were attached": told(row("n1"), unread=AWAY, for_long=True),
    "EC2 cannot be read, and only a person could help a node": told(
        failed("n1", NOWHERE), unread=AWAY, for_long=True
    ),
}


def table() -> list[str]:
    """The lines of the page's table, from a run of all judges."""
    return asyncio.run(_table())


def shown() -> list[str]:
    """The lines that stand on the page."""
    lines = PAGE.read_text().splitlines()
    start = lines.index(HEADING)
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("|"))
    return lines[start:end]


HEADING = (
    "| it stands so | kstatus, as Flux waits | `helm install --wait`, Helm 4 | Argo CD | `kubectl wait` |"
)


async def _table() -> list[str]:
    server = KubeServer()
    for manifest in manifests().values():
        server.create(manifest)
    await server.start()
    with tempfile.TemporaryDirectory(prefix="nodeeni-waiting-") as home:
        (Path(home) / "kubeconfig").write_text(server.kubeconfig())
        turns = asyncio.Semaphore(AT_ONCE)
        runs = [
            _tried(server, Path(home), f"state-{number}", state, turns) for number, state in enumerate(STATES)
        ]
        tried = await asyncio.gather(*runs)
        verdicts = await _judged(Path(home), [_object(server, f"state-{n}") for n in range(len(STATES))])
    await server.stop()
    lines = [HEADING, "|---|---|---|---|---|"]
    for state, (helm, kubectl), verdict in zip(STATES, tried, verdicts, strict=True):
        lines.append(f"| {state} | {verdict['kstatus']} | {helm} | {verdict['argo']} | {kubectl} |")
    return lines


def _object(server: KubeServer, name: str) -> Object:
    found = server.get(GROUP, "nodeenis", name)
    assert found is not None
    return found


async def _tried(
    server: KubeServer, home: Path, name: str, state: str, turns: asyncio.Semaphore
) -> tuple[str, str]:
    """What Helm says that installs it, and kubectl after that, while a controller reports that state."""
    async with turns:
        reporting = asyncio.create_task(_report(server, name, state))
        helm = await _installed(home, name)
        reporting.cancel()
        wait = ("wait", "--for=condition=Ready", f"nodeeni/{name}", f"--timeout={PATIENCE:g}s")
        code, _, _ = await _run("kubectl", *wait, home=home)
        return helm, "ends well" if code == 0 else "waits"


async def _report(server: KubeServer, name: str, state: str) -> None:
    """As a controller does it, once it sees the object."""
    status = STATES[state]
    if status is None:
        return
    while server.get(GROUP, "nodeenis", name) is None:  # noqa: ASYNC110  Helm makes it, behind a socket
        await asyncio.sleep(0.01)
    if state == EDITED:
        server.patch(GROUP, "nodeenis", name, {"spec": {"mtu": 1500}})
    server.patch(GROUP, "nodeenis", name, {"status": status}, subresource="status")


async def _installed(home: Path, name: str) -> str:
    chart = home / name
    (chart / "templates").mkdir(parents=True)
    about = {"apiVersion": "v2", "name": name, "version": "0.1.0"}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    made = {"apiVersion": API_VERSION, "kind": "NodeENI", "metadata": {"name": name}, "spec": SPEC}
    (chart / "templates" / "nodeeni.yaml").write_text(yaml.safe_dump(made))
    install = ("install", name, str(chart), "--wait", f"--timeout={PATIENCE:g}s")
    code, errors, seconds = await _run(os.environ[HELM], *install, home=home)
    if code == 0:
        return "ends well"
    assert "not ready. status:" in errors, errors
    return "waits" if seconds >= PATIENCE else "fails at once"


async def _run(program: str, *arguments: str, home: Path) -> tuple[int, str, float]:
    """(exit status, standard error, seconds)."""
    started = time.monotonic()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")}
    process = await asyncio.create_subprocess_exec(
        *(program, *arguments),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode(), time.monotonic() - started


async def _judged(home: Path, objects: list[Object]) -> list[dict[str, str]]:
    script = home / "health.lua"
    script.write_text(argo_script())
    process = await asyncio.create_subprocess_exec(
        *(os.environ[JUDGES], str(script)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate("\n".join(map(json.dumps, objects)).encode())
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def argo_script() -> str:
    """That of the page, as Argo CD reads it out of its ConfigMap."""
    (text,) = _yaml_blocks(PAGE.read_text())
    config: Object = yaml.safe_load(text)
    script: str = config["data"]["resource.customizations.health.networking.k8s.aws_NodeENI"]
    return script


def _yaml_blocks(page: str) -> Iterator[str]:
    for part in page.split("```yaml\n")[1:]:
        yield part.split("```")[0]


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().replace("\n".join(shown()), "\n".join(table())))
