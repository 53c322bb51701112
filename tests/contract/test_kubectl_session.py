"""One session of kubectl, word for word: what it prints is the same with the sandbox and a real API server.

Recorded and compared as in `test_answers.py`.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
from tests.contract.recorded import compared, definitions
from tests.contract.scenes import eninode, interface, node, nodeeni
from tests.contract.servers import new_server
from tests.needs import program
from tests.sandbox.kube.clients import Kubectl

EXAMPLES = Path(__file__).parents[2] / "examples"
OLDER = Path(__file__).parents[1] / "api" / "data"
STATUS = {
    "desired": 1,
    "attached": 1,
    "linksUp": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "AllAttached",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
    "attachments": [{"nodeID": "n", "eniID": "eni-1", "status": "attached"}],
}
_SAMPLE = "multus-eni-config"
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UID"),
    (re.compile(r'((?i:resource ?version)"?: *"?)\d+'), r"\1VERSION"),
    (re.compile(r"(?m)\b(\d+[smh])+( ago)?$"), "AGE"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} [+-]\d{4}"), "TIME"),
    (re.compile(r"/tmp/kubectl-edit-\d+"), "EDITED"),
    (re.compile(r"[ \t]+"), " "),
)

# What kubectl makes of field names in `describe`; 1.35 alone writes `Subnet Id`, all others `Subnet ID`.
_LABELS = re.compile(r"(?m)^( *[A-Z][\w ]*):")


class Session:
    """Runs commands and notes what came out, without what changes with the clock."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.lines: list[dict[str, Any]] = []

    async def run(self, *words: str, **env: str) -> None:
        code, out, err = await self.kubectl.run(*words, **env)
        if words[0] == "describe":
            out = _LABELS.sub(lambda label: label[0].lower(), out)
        shown = [self._without_places(word) for word in words]
        self.lines.append(
            {"request": " ".join(shown), "code": code, "out": self._steady(out), "err": self._steady(err)}
        )

    def _steady(self, text: str) -> list[str]:
        for pattern, word in _CHANGING:
            text = pattern.sub(word, text)
        return self._without_places(text).splitlines()

    def _without_places(self, text: str) -> str:
        """What is recorded on one machine is compared on others."""
        places = {str(self.kubectl.home): "HOME", str(EXAMPLES): "examples", str(OLDER): "older"}
        for place, word in places.items():
            text = text.replace(place, word)
        return text


async def play(session: Session) -> None:
    run, file = session.run, session.kubectl.file
    sample = str(EXAMPLES / "multus-eni.yaml")
    await run("get", "nodeenis")
    await run("apply", "-f", sample)
    await run("apply", "-f", sample)
    await run("get", "neni", _SAMPLE)
    await run("get", "nodeeni", _SAMPLE, "-o", "wide")
    await run("get", "nodeeni", _SAMPLE, "-o", "yaml")
    await run("diff", "-f", sample)
    changed = file("changed.yaml", nodeeni(_SAMPLE, mtu=9001))
    await run("apply", "-f", changed, "--dry-run=server")
    await run("apply", "-f", changed)
    refused: list[dict[str, Any]] = [{"nodeSelector": {}}, {"mtu": 68}, {"subnetID": None}, {"colour": "red"}]
    for number, bad in enumerate(refused):
        await run("apply", "-f", file(f"bad-{number}.yaml", nodeeni("bad", **bad)))
    await run("apply", "--server-side", "-f", changed)
    await run("patch", "nodeeni", _SAMPLE, "--type=merge", "-p", '{"spec":{"mtu":1500}}')
    await run("apply", "--server-side", "--field-manager=other", "-f", changed)
    status = msgspec.json.encode({"status": STATUS}).decode()
    await run("patch", "nodeeni", _SAMPLE, "--subresource=status", "--type=merge", "-p", status)
    await run("get", "nodeeni", _SAMPLE, "-o", "jsonpath={.status.attachments[0].eniID}")
    await run("get", "nodeeni", "-o", "custom-columns=N:.metadata.name,READY:.status.conditions[0].status")
    await run("wait", "--for=condition=Ready", f"nodeeni/{_SAMPLE}", "--timeout=5s")
    await run("describe", "nodeeni", _SAMPLE)
    await run("label", "nodeeni", _SAMPLE, "team=a")
    await run("get", "nodeeni", "-l", "team=a", "-o", "name")
    await run("annotate", "nodeeni", _SAMPLE, "why=because")
    await run("edit", "nodeeni", _SAMPLE, EDITOR="sed -i s/mtu:.1500/mtu:\\ 68/")
    await run("explain", "nodeeni.spec.deviceIndexPolicy")
    await run("explain", "nodeeni.status.conditions")
    await run("explain", "eninode.spec")
    await run("api-resources", "--api-group=networking.k8s.aws", "--no-headers")
    await run("create", "-f", file("node.yaml", node("n", ng="multi-eni")))
    await run("label", "node", "n", "ng-")
    await run("label", "node", "n", "ng=multi-eni")
    await run("get", "node", "-l", "ng=multi-eni", "-o", "name")
    await run("create", "-f", file("eninode.yaml", eninode("n", interface(1), interface(2))))
    await run("get", "enin")
    await run("get", "eninode", "n", "-o", "jsonpath={.spec.interfaces[*].eniID}")
    await run("create", "-f", file("again.yaml", eninode("n")))
    await run("replace", "-f", file("again.yaml", eninode("n")))
    await run("delete", "eninode", "n")
    await run("delete", "nodeeni", _SAMPLE)
    await run("get", "nodeeni", _SAMPLE)
    await run("delete", "nodeeni", "nope")
    await run("delete", "nodeeni", "nope", "--ignore-not-found")
    await run("delete", "node", "n")
    for version in ("v1.1.0", "v1.3.8"):
        await run("apply", "-f", str(OLDER / f"nodeeni-{version}.json"), "--validate=strict")
        await run("patch", "nodeeni", _SAMPLE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        await run("delete", "nodeeni", _SAMPLE)


async def test_kubectl_prints_what_it_prints_with_a_real_api_server(tmp_path: Path) -> None:
    program("kubectl")
    server = new_server()
    for manifest in definitions().values():
        server.create(manifest)
    await server.start()
    session = Session(Kubectl(tmp_path, server.kubeconfig()))
    await play(session)
    await server.stop()
    compared("kubectl_session", session.lines)
