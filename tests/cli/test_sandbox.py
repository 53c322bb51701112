"""The sandbox as a person uses it: the lines that it prints, kubectl, the AWS command line and `nodeeni
controller`, with v1.1.0's README followed word for word."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import ROOT, Started, nodeeni, started, until
from tests.needs import NO_KERNELS, program

from nodeeni.sandbox.hosts import probe

INTERFACES = (
    "Reservations[*].Instances[*].NetworkInterfaces[*]."
    "[NetworkInterfaceId,Attachment.DeviceIndex,Status,SubnetId]"
)


class Person:
    """Types commands into a shell that has the lines which the sandbox printed."""

    def __init__(self, sandbox: Started, scratch: Path) -> None:
        exports = re.findall(r"^  export (\w+)=(\S+)$", sandbox.output, re.MULTILINE)
        self.environment = {
            **os.environ,
            **dict(exports),
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
        }

    def types(self, command: str, **variables: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def asks(self, command: str, **variables: str) -> Any:
        return json.loads(self.types(command, **variables))

    def eni_id(self) -> str:
        return self.types(
            "kubectl get nodeeni multus-eni-config -o jsonpath='{.status.attachments[0].eniID}'"
        )


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Started]:
    flags = ["--nodes", "2", "--fast", *(["--agents"] if probe().possible else [])]
    with started("sandbox", *flags, log=tmp_path / "sandbox", environment={"TMPDIR": str(tmp_path)}) as one:
        until(lambda: "Then, for example:" in one.output)
        yield one


def test_the_checks_of_the_readme_of_v1_1_0_work_word_for_word(sandbox: Started, tmp_path: Path) -> None:
    program("kubectl")
    program("aws")
    person = Person(sandbox, tmp_path)
    nodes = person.types("kubectl get nodes -l ng=multi-eni -o name").split()
    assert len(nodes) == 2
    node = nodes[1].removeprefix("node/")
    controller = started(
        "controller",
        *("--metrics-addr", "127.0.0.1:0", "--read-lag", "1s"),
        log=tmp_path / "controller",
        environment=person.environment,
    )
    with controller as running:
        person.types("kubectl apply -f examples/multus-eni.yaml")
        person.types("kubectl wait nodeeni multus-eni-config --for=condition=Ready --timeout=30s")

        eni_id = person.eni_id()
        assert re.fullmatch(r"eni-[0-9a-f]{17}", eni_id)
        described = person.asks(
            "aws ec2 describe-network-interfaces --network-interface-ids $ENI_ID", ENI_ID=eni_id
        )
        (interface,) = described["NetworkInterfaces"]
        assert interface["Status"] == "in-use"
        assert interface["Description"] == "Multus ENI for secondary network interfaces"
        assert interface["Attachment"]["DeviceIndex"] == 2
        assert interface["Attachment"]["DeleteOnTermination"] is True
        attached = person.asks(
            f'aws ec2 describe-instances --instance-ids $INSTANCE_ID --query "{INTERFACES}"',
            INSTANCE_ID=interface["Attachment"]["InstanceId"],
        )
        assert [eni_id, 2, "in-use", "subnet-0f59b4f14737be9ad"] in attached[0][0]
        assert [index for _, index, _, _ in attached[0][0]] == [0, 2]

        person.types(f"kubectl label node {node} ng-")
        until(lambda: len(_attachments(person)) == 1)
        assert node not in {entry["nodeID"] for entry in _attachments(person)}

        person.types("kubectl delete nodeeni multus-eni-config --timeout=30s")
        left = person.asks(
            "aws ec2 describe-network-interfaces --filters Name=tag:NodeENI,Values=multus-eni-config"
        )
        assert left["NetworkInterfaces"] == []
        assert running.end() == 0


def test_its_lines_put_our_programs_on_the_path_after_those_of_the_terminal(
    sandbox: Started, tmp_path: Path
) -> None:
    (file,) = tmp_path.glob("nodeeni-sandbox-*/env")
    told = re.findall(r"^  (export PATH=.*)$", sandbox.output, re.MULTILINE)
    assert told == file.read_text().splitlines()[-1:]
    done = subprocess.run(
        ["/bin/sh", "-c", f". {file}; echo $PATH"],
        env={"PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().split(":") == ["/bin", str(Path(sys.prefix, "bin"))]


@pytest.mark.skipif(not probe().possible, reason=f"{NO_KERNELS}{probe().reason}")
def test_a_command_runs_in_the_kernel_of_a_node(sandbox: Started, tmp_path: Path) -> None:
    (command,) = re.findall(r"^  (\S+/on-\S+ ip link)$", sandbox.output, re.MULTILINE)
    shown = Person(sandbox, tmp_path).types(command)
    assert re.findall(r"^\d+: (\w+)", shown, re.MULTILINE) == ["lo", "eth0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_and_takes_its_directory_along(
    number: signal.Signals, sandbox: Started, tmp_path: Path
) -> None:
    assert list(tmp_path.glob("nodeeni-sandbox-*/kubeconfig"))
    assert sandbox.end(number) == 0
    assert sandbox.output.splitlines()[-1] == "ending"
    assert not list(tmp_path.glob("nodeeni-sandbox-*"))


def test_ports_and_directory_of_ones_own_are_used_and_the_directory_stays(tmp_path: Path) -> None:
    kube, ec2 = _free_port(), _free_port()
    directory = tmp_path / "mine"
    flags = ("--kube-port", str(kube), "--ec2-port", str(ec2), "--directory", str(directory), "--no-kernels")
    with started("sandbox", *flags, log=tmp_path / "output") as sandbox:
        until(lambda: "Then, for example:" in sandbox.output)
        assert f"  kubernetes  http://127.0.0.1:{kube}\n" in sandbox.output
        assert f"  EC2         http://127.0.0.1:{ec2}\n" in sandbox.output
        assert f"server: http://127.0.0.1:{kube}\n" in (directory / "kubeconfig").read_text()
        assert sandbox.end() == 0
    assert {path.name for path in directory.iterdir()} == {"env", "kubeconfig"}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--nodes", "0"), "argument --nodes: '0' is not a whole number from 1 up"),
        (("--kube-port", "70000"), "argument --kube-port: '70000' is not a port: write 0 (any) to 65535"),
        (("--zones", "4"), "argument --zones: invalid choice: '4'"),
        (("--nope",), "unrecognized arguments: --nope"),
        (("--directory", "/dev/null/here"), "--directory /dev/null/here: Not a directory"),
    ],
)
def test_a_flag_that_cannot_be_used_is_one_line_and_status_2(flags: tuple[str, ...], complaint: str) -> None:
    done = nodeeni("sandbox", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"nodeeni sandbox: {complaint}")
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = nodeeni("sandbox", "--ec2-port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"nodeeni sandbox: --ec2-port {port}: Address already in use; another port, or 0 for a free one\n"
    )


def _attachments(person: Person) -> list[dict[str, Any]]:
    found = person.asks("kubectl get nodeeni multus-eni-config -o json")
    attachments: list[dict[str, Any]] = found["status"]["attachments"]
    return attachments


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
