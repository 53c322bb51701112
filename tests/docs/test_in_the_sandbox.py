"""The commands of the docs as a person types them, word for word, in the shell of `nodeeni sandbox`.

Each test takes its lines from the page. Words in capitals stand for what the reader puts in (`NODE`).
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import Started, started, until
from tests.docs.pages import PAGES, ROOT, Block, inline, shell
from tests.needs import NO_KERNELS, program

from nodeeni.sandbox.ec2 import Fault
from nodeeni.sandbox.ec2.denials import DENIALS
from nodeeni.sandbox.hosts import probe

NODEENI, NODE_LABEL = "multus-eni-config", "ng=multi-eni"
FIRST_NODE = "ip-10-1-0-4.us-west-2.compute.internal"
GONE = "5f1c6f0e-0000-4000-8000-000000000000"  # the cluster of the page on uninstalling
# Multus' own, as far as it is needed to take a definition.
MULTUS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
    "spec": {
        "group": "k8s.cni.cncf.io",
        "scope": "Namespaced",
        "names": {"plural": "network-attachment-definitions", "kind": "NetworkAttachmentDefinition"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
LOOKING = re.compile(r"kubectl (get|describe|nodeeni) \w|nodeeni (status|plan|doctor)\b")


class Shell:
    """A terminal in the checkout, with the lines that the sandbox printed."""

    def __init__(self, sandbox: Started) -> None:
        (file,) = re.findall(r"^In other terminals, .* \. (\S+)$", sandbox.output, re.MULTILINE)
        sourced = subprocess.run(
            ["sh", "-c", f". {shlex.quote(file)}; env -0"], capture_output=True, check=True
        ).stdout.decode()
        self.environment = dict(line.split("=", 1) for line in sourced.split("\0") if line)

    def types(self, line: str, status: int = 0, **environment: str) -> str:
        """What it printed, on both streams. `$NAME` that a line sets is there for the next."""
        done = subprocess.run(
            ["sh", "-c", f"{line}\nstatus=$?; set >{self._left}; exit $status"],
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == status, f"{line}: {done.returncode}: {done.stdout}{done.stderr}"
        for name, value in re.findall(r"^(ENI_ID)='(.*)'$", self._left.read_text(), re.MULTILINE):
            self.environment[name] = value
        return done.stdout + done.stderr

    @property
    def _left(self) -> Path:
        return Path(self.environment["KUBECONFIG"]).with_name("variables")

    def asks(self, line: str) -> Any:
        return json.loads(self.types(line))

    def runs(self, block: Block, **given: str) -> str:
        return "".join(self.types(filled(line, **given)) for line in block.lines)


def filled(line: str, **given: str) -> str:
    """`NODE` and the like are what the reader puts in."""
    for word, value in given.items():
        line = re.sub(rf"\b{word}\b", value, line)
    return line


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Started]:
    kernels = ["--agents"] if probe().possible else []
    environment = {"TMPDIR": str(tmp_path)}
    with started("sandbox", "--fast", *kernels, log=tmp_path / "sandbox", environment=environment) as running:
        until(lambda: "Then, for example:" in running.output)
        yield running


@pytest.fixture
def terminal(sandbox: Started) -> Shell:
    for name in ("kubectl", "aws", "jq"):
        program(name)
    return Shell(sandbox)


@contextmanager
def controller(terminal: Shell, *flags: str) -> Iterator[Started]:
    (line,) = shell("docs/sandbox.md", "The controller").lines
    _, command, *given = line.split()
    log = Path(terminal.environment["KUBECONFIG"]).with_name("controller.log")
    given[given.index("127.0.0.1:8080")] = "127.0.0.1:0"  # as many as there are tests at once
    with started(command, *given, *flags, log=log, environment=terminal.environment) as running:
        yield running


def attached(terminal: Shell) -> None:
    terminal.types("kubectl apply -f examples/multus-eni.yaml")
    terminal.types(f"kubectl wait --for=condition=Ready nodeeni/{NODEENI} --timeout=1m")


def test_a_first_nodeeni_by_hand(terminal: Shell) -> None:
    block = shell("docs/sandbox.md", "A NodeENI comes, a label goes")
    with controller(terminal):
        printed = terminal.runs(block)
    assert terminal.environment["ENI_ID"] in printed
    assert f"nodeeni.networking.k8s.aws/{NODEENI} condition met" in printed
    assert f'nodeeni.networking.k8s.aws "{NODEENI}" deleted' in printed
    left = terminal.asks(f"aws ec2 describe-network-interfaces --filters Name=tag:NodeENI,Values={NODEENI}")
    assert left["NetworkInterfaces"] == []


def test_a_network_of_pods(terminal: Shell) -> None:
    helm, *lines, ready, show, ping = shell("docs/pods.md", "From nothing to two pods that ping").lines
    assert helm.startswith("helm upgrade nodeeni charts/nodeeni ")  # its values are rendered in test_pages.py
    terminal.types(f"echo '{json.dumps(MULTUS)}' | kubectl create -f -")
    with controller(terminal):
        printed = "".join(map(terminal.types, lines))
        assert "nodeeni.networking.k8s.aws/pods condition met" in printed
        pods = terminal.asks(f"kubectl get pod {re.findall('-l [^ ]+', ready)[0]} -o json")["items"]
        names = {pod["metadata"]["name"] for pod in pods}
        assert names == {line.split()[2] for line in (show, ping)}, "nothing runs them here"
        node = terminal.asks(f"kubectl get eninode {FIRST_NODE} -o json")
        (interface,) = node["spec"]["interfaces"]
        assert interface["podNetwork"]["prefixes"] == interface["ipv4Prefixes"]
        assert len(interface["ipv4Prefixes"]) == 2


def test_a_removal_is_held_and_released(terminal: Shell) -> None:
    release = shell("docs/concepts.md", "What stays for a while")
    with controller(terminal):
        attached(terminal)
        terminal.types("kubectl label nodes --all ng-")
        terminal.types(f"kubectl wait --for=condition=Degraded nodeeni/{NODEENI} --timeout=1m")
        printed = terminal.runs(shell("docs/disaster-recovery.md", "What the brake does"))
        (hold_id,) = set(re.findall(r"release-hold=(\w+)", printed))
        assert f"RemovalDelayed {hold_id}: " in printed
        terminal.runs(release, NAME=NODEENI, ID=hold_id)
        left = f"aws ec2 describe-network-interfaces --filters Name=tag:NodeENI,Values={NODEENI}"
        until(lambda: terminal.asks(left)["NetworkInterfaces"] == [])


def test_ec2_fails_on_request(terminal: Shell) -> None:
    program("curl")
    with controller(terminal):
        printed = terminal.runs(shell("docs/sandbox.md", "When EC2 fails"))
        assert "NotAuthorized" in printed
        assert terminal.asks("curl -s $AWS_ENDPOINT_URL/_sandbox/faults") == []


def test_every_member_of_a_fault_is_explained() -> None:
    (table,) = re.findall(r"\| member \|.*?\n\n", (ROOT / "docs/sandbox.md").read_text(), re.DOTALL)
    members = {
        name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert members == set(Fault.__struct_fields__)
    assert len(DENIALS) == 2 + 12  # as the row of `denied` counts them


def test_the_first_nodeeni_after_an_install(terminal: Shell) -> None:
    *in_pods, label, apply, watch = shell("docs/install.md", "4. Check, label, apply").lines
    assert all("-n eni-controller-system" in line for line in in_pods)  # the sandbox has none
    terminal.types(f"kubectl label node {FIRST_NODE} ng-")
    with controller(terminal):
        terminal.types(filled(label, NODE=FIRST_NODE))
        terminal.types(apply)
        terminal.types(f"kubectl wait --for=condition=Ready nodeeni/{NODEENI} --timeout=1m")
        assert NODEENI in terminal.types(f"timeout 2 {watch}", status=124)


def test_an_edit_is_looked_at_before_it_is_made(terminal: Shell) -> None:
    printed = terminal.runs(shell("docs/how-to.md", "Changing a live NodeENI"))
    assert "3 actions now" in printed


@pytest.mark.skipif(not probe().possible, reason=f"{NO_KERNELS}{probe().reason}")
def test_a_startup_taint_is_taken_off_when_the_link_is_up(terminal: Shell) -> None:
    key = "nodeeni.networking.k8s.aws/not-ready"
    tainted = f"kubectl get node {FIRST_NODE} -o jsonpath='{{.spec.taints[*].key}}'"
    terminal.types(f"kubectl taint node {FIRST_NODE} {key}:NoSchedule")
    with controller(terminal, "--node-condition", f"--startup-taint={key}", "--require-link-up"):
        terminal.types("kubectl apply -f examples/multus-eni.yaml")
        printed = terminal.runs(shell("docs/how-to.md", "Pods wait for their network"), NODE=FIRST_NODE)
        assert f"node/{FIRST_NODE} condition met" in printed
        gone = f'for i in $(seq 50); do [ -z "$({tainted})" ] && break; sleep 0.1; done; {tainted}'
        assert key not in terminal.types(gone)


def test_kubectl_waits_until_the_eni_is_there(terminal: Shell) -> None:
    with controller(terminal):
        terminal.types("kubectl apply -f examples/multus-eni.yaml")
        assert "condition met" in terminal.runs(shell("docs/gitops.md", "Wait with kubectl"))
        listed = "kubectl get nodeenis -o jsonpath='{.items[0].status.attached}'"
        assert int(terminal.types(listed)) > 0


def test_the_questions_of_troubleshooting_are_answered(terminal: Shell) -> None:
    page = "docs/troubleshooting.md"
    with controller(terminal, "--enable-leader-election"):
        attached(terminal)
        pods, _, lease = shell(page, "The controller does not start, or does nothing").lines
        terminal.types(pods)
        assert "nodeeni-controller-leader-election" in terminal.types(lease)
        printed = terminal.runs(shell(page, "A link stays down"), NODE=FIRST_NODE)
        assert "kind: ENINode" in printed


def test_what_sentences_name_to_look_with_can_be_typed(terminal: Shell) -> None:
    named = {code for page in PAGES for code in inline(page) if LOOKING.match(code) and " -f" not in code}
    assert len(named) >= 12
    with controller(terminal, "--enable-leader-election"):
        attached(terminal)
        for line in sorted(named):
            terminal.types(filled(line, NAME=NODEENI, NODE=FIRST_NODE))


def old_eni(terminal: Shell, *, cluster: str = "") -> tuple[str, str]:
    """An ENI as v1.x made it, attached to the first node, or one of a cluster that is gone: id, and node."""
    tags = {
        "NodeENI": NODEENI,
        "Node": FIRST_NODE,
        "kubernetes.io/cluster/managed-by": "nodeeni-controller",
        **({"nodeeni.networking.k8s.aws/cluster": cluster} if cluster else {}),
    }
    written = ",".join(f"{{Key={key},Value={value}}}" for key, value in tags.items())
    made = terminal.asks(
        "aws ec2 create-network-interface --subnet-id subnet-0f59b4f14737be9ad --groups sg-05da196f3314d4af8 "
        f"--tag-specifications 'ResourceType=network-interface,Tags=[{written}]'"
    )
    eni_id: str = made["NetworkInterface"]["NetworkInterfaceId"]
    provider = terminal.types(f"kubectl get node {FIRST_NODE} -o jsonpath='{{.spec.providerID}}'")
    terminal.types(
        f"aws ec2 attach-network-interface --network-interface-id {eni_id} --device-index 2 "
        f"--instance-id {provider.rpartition('/')[2]}"
    )
    attachment = f"aws ec2 describe-network-interfaces --network-interface-ids {eni_id}"
    until(lambda: '"Status": "attached"' in terminal.types(attachment))
    return eni_id, FIRST_NODE


def test_an_upgrade_is_looked_at_and_an_eni_adopted(terminal: Shell) -> None:
    page = "docs/upgrade.md"
    terminal.types("kubectl apply -f examples/multus-eni.yaml")
    eni_id, node = old_eni(terminal)
    look, adopt = shell(page, "Look first"), shell(page, "Look first", 1)
    apply, plan, doctor = look.lines
    terminal.types(apply)
    assert "DeviceIndexTaken" in terminal.types(plan)
    assert f"{eni_id} ({NODEENI}, in-use)" in terminal.types(doctor)
    printed = terminal.runs(adopt, ENI=eni_id, NODEENI=NODEENI)
    assert f"{eni_id} would be adopted for NodeENI {NODEENI} on node {node}" in printed
    assert f"{eni_id} is adopted for NodeENI {NODEENI} on node {node}" in printed
    with controller(terminal):
        attached(terminal)
        printed = terminal.runs(shell(page, "Check"))
    assert "0 actions now, 0 later, 0 refused" in printed
    told = terminal.asks(f"kubectl get nodeeni {NODEENI} -o json")["status"]["attachments"]
    assert eni_id in {entry["eniID"] for entry in told}


def test_what_a_cluster_that_is_gone_has_left_is_shown_and_removed(terminal: Shell, tmp_path: Path) -> None:
    eni_id, _ = old_eni(terminal, cluster=GONE)
    nowhere = tmp_path / "nowhere"
    nowhere.write_text(
        re.sub(
            r"server: .*", "server: http://127.0.0.1:1", Path(terminal.environment["KUBECONFIG"]).read_text()
        )
    )
    clusters, remove = shell("docs/uninstall.md", "When the cluster is already gone").lines
    assert GONE in terminal.types(clusters, status=2, KUBECONFIG=str(nowhere))
    assert eni_id in terminal.types(remove, status=1, KUBECONFIG=str(nowhere))  # nobody answers its question
    assert f"{eni_id} is gone" in terminal.types(f"{remove} --yes", KUBECONFIG=str(nowhere))
