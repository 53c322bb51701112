"""The chart as helm renders it, and tests that ask for a built image."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.real import kube, kubectl
from tests.needs import program

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "charts" / "nodeeni"
collect_ignore = [] if "NODEENI_IMAGE_ROOT" in os.environ else ["test_built_image.py"]  # make image-check
__all__ = ["kube", "kubectl"]
IMAGE = "registry.example/nodeeni"  # the docs' and the manifests'; nothing is published yet

Object = dict[str, Any]
Template = Callable[..., dict[tuple[str, str], Object]]


@pytest.fixture(scope="session")
def helm() -> str:
    return program("helm")


@pytest.fixture
def template(helm: str) -> Template:
    """Renders the chart with `--set` values and arguments: objects by kind and name. An image is named."""

    def render(*values: str, arguments: tuple[str, ...] = ()) -> dict[tuple[str, str], Object]:
        command = [
            helm,
            "template",
            *(() if "--name-template" in arguments else ("nodeeni",)),
            str(CHART),
            *(() if "--namespace" in arguments else ("--namespace", "eni-controller-system")),
            *arguments,
        ]
        named = any(value.startswith("image.repository=") for value in values) or arguments
        command += [] if named else ["--set", f"image.repository={IMAGE}"]
        command += [part for value in values for part in ("--set", value)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ValueError(done.stderr)
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        return {(document["kind"], document["metadata"]["name"]): document for document in documents}

    return render


def container(workload: Object) -> Object:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)
