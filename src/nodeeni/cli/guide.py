"""What `nodeeni sandbox` tells and leaves for other terminals: environment, ways into kernels, commands."""

import os
import shlex
import sys
from pathlib import Path

from nodeeni.cli.kernels import Kernels
from nodeeni.cli.stage import Stage
from nodeeni.sandbox.world import WorldNode

ENVIRONMENT = "env"  # a file of `export` lines
_NODES_TOLD = 10
_INTO_OUR_USER_NAMESPACE = ("nsenter", "--user=/proc/{pid}/ns/user", "--preserve-credentials")


def write_environment(stage: Stage) -> None:
    lines = _exports(stage)
    (stage.directory / ENVIRONMENT).write_text("\n".join(lines) + "\n")


def write_entrances(stage: Stage, *, started_over: bool) -> None:
    """A script for each node that runs a command in its kernel."""
    assert stage.hosts is not None, "an entrance leads into a kernel"
    first = [part.format(pid=os.getpid()) for part in _INTO_OUR_USER_NAMESPACE] if started_over else []
    for node in stage.world.nodes.values():
        argv = [*first, *stage.hosts.command(node.instance_id, [])]
        entrance = _entrance(stage.directory, node)
        entrance.write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
        entrance.chmod(0o755)


def guide(stage: Stage, kernels: Kernels, page: str = "") -> str:
    """Only commands that work as they are written."""
    return "\n".join(
        [
            "nodeeni sandbox: an API server and an EC2 on this machine, until Ctrl-C",
            "",
            f"  kubernetes  {stage.world.kube.url}",
            f"  EC2         {stage.world.ec2.url}",
            *([f"  page        {page}"] if page else []),
            *_nodes(stage),
            f"  agents      {_agents(stage, kernels)}",
            "",
            f"In other terminals, first these lines, or: . {stage.directory / ENVIRONMENT}",
            "",
            *(f"  {line}" for line in _exports(stage)),
            "",
            "The controller, in a terminal of its own (reads do not lag here, so 3s is enough):",
            "",
            "  nodeeni controller --metrics-addr 127.0.0.1:8080 --read-lag 3s",
            "",
            "Then, for example:",
            "",
            *(f"  {command}" for command in _commands(stage)),
        ]
    )


def _exports(stage: Stage) -> list[str]:
    environment = stage.world.environment(stage.kubeconfig)
    given = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    # For terminals without `nodeeni`, and without what `make tools` puts beside it; it comes last.
    programs = Path(sys.prefix, "bin")
    return [*given, f'export PATH="$PATH":{shlex.quote(str(programs))}']


def _nodes(stage: Stage) -> list[str]:
    nodes = list(stage.world.nodes.values())
    told = [f"{node.name}  {node.instance_id}" for node in nodes[:_NODES_TOLD]]
    if len(nodes) > _NODES_TOLD:
        told.append(f"and {len(nodes) - _NODES_TOLD} more: kubectl get nodes -L ng")
    return [f"  {'nodes' if number == 0 else '':<12}{line}" for number, line in enumerate(told)]


def _agents(stage: Stage, kernels: Kernels) -> str:
    if stage.agents:
        return f"one on each node, logs: {stage.directory}/agent-*.log"
    if kernels.usable:
        return "none; `nodeeni sandbox --agents` runs one on each node"
    return f"none, for nodes have no kernels here: {kernels.reason}"


def _commands(stage: Stage) -> list[str]:
    node = next(iter(stage.world.nodes.values()))
    eni = "-o jsonpath='{.status.attachments[0].eniID}'"
    commands = [
        "kubectl apply -f examples/multus-eni.yaml",
        "kubectl wait --for=condition=Ready nodeeni/multus-eni-config",
        "kubectl get nodeenis,eninodes",
        f"ENI_ID=$(kubectl get nodeeni multus-eni-config {eni})",
        "aws ec2 describe-network-interfaces --network-interface-ids $ENI_ID",
        "kubectl events",
        f"kubectl label node {node.name} ng-",
        "kubectl delete nodeeni multus-eni-config",
    ]
    if stage.hosts is not None:
        commands.insert(4, f"{_entrance(stage.directory, node)} ip link")
    if stage.hosts is not None and not stage.agents:
        commands.insert(1, f"{_entrance(stage.directory, node)} nodeeni manager --node-name {node.name} &")
    return commands


def _entrance(directory: Path, node: WorldNode) -> Path:
    return directory / f"on-{node.name.partition('.')[0]}"
