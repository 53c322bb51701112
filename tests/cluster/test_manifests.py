"""Without Helm: the one file."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.operator import PATIENCE, ROOT, Operator, timed

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORKLOADS = ("deployment/eni-controller", "daemonset/eni-manager")
Object = dict[str, Any]


def named(operator: Operator, *files: str) -> str:
    """With this tree's image, and where AWS is."""
    values = yaml.safe_load(operator.cluster.values.read_text())
    documents = [d for file in files for d in yaml.safe_load_all(Path(ROOT, "deploy", file).read_text()) if d]
    for document in documents:
        if document["kind"] in ("Deployment", "DaemonSet"):
            (pod,) = document["spec"]["template"]["spec"]["containers"]
            pod["image"] = f"{values['image']['repository']}:{values['image']['tag']}"
            if document["kind"] == "Deployment":
                pod["env"] += values["controller"]["env"]
    return yaml.safe_dump_all(documents)


async def rolled_out(operator: Operator) -> None:
    for workload in WORKLOADS:
        await operator.kubectl("rollout", "status", workload, f"--timeout={PATIENCE}")


async def test_the_one_file(bare: Operator) -> None:
    async with timed("kubectl apply of deploy/install.yaml, until both are rolled out"):
        await bare.run("kubectl", "apply", "--server-side", "-f", "-", stdin=named(bare, "install.yaml"))
        await rolled_out(bare)
    await bare.apply()
    await bare.until_up(2)
    await bare.agree()
    told = await bare.doctor()
    assert {line[0] for line in told} == {"✓"}, told
    await bare.delete()
    await bare.remove_all()
    kinds = "namespaces,crds,clusterroles,clusterrolebindings,validatingadmissionpolicies"
    left = await bare.run("kubectl", "get", kinds, "-o", "name")
    assert [name for name in left.split() if "eni" in name] == []
