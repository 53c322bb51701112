"""A release of f7e1c1b, the first whole one of this program, with ENIs attached, is upgraded to this tree."""

import subprocess
from pathlib import Path

import pytest
from tests.cluster.operator import ROOT, WAIT, Operator, timed

from nodeeni.api.names import NAMESPACE

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORMER = "f7e1c1b"


def chart_of(commit: str, directory: Path) -> Path:
    archive = subprocess.run(
        ["git", "archive", commit, "charts/nodeeni"], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "x", "-C", directory], input=archive.stdout, check=True)
    return directory / "charts" / "nodeeni"


async def test_a_release_of_the_former_program(bare: Operator, tmp_path: Path) -> None:
    await bare.cluster.load_image_of(FORMER)
    async with timed(f"helm install of {FORMER}, until a NodeENI's links are up"):
        await bare.run(
            *("helm", "install", "nodeeni", str(chart_of(FORMER, tmp_path)), "--namespace", NAMESPACE),
            *("--create-namespace", "--values", str(bare.cluster.values), "--set", f"image.tag={FORMER}"),
            *WAIT,
        )
        await bare.apply()
        await bare.until_up(2)
    await bare.agree()
    before, calls = bare.attached(), bare.changing_calls()
    assert len(before) == 2

    async with timed("helm upgrade --wait to this tree"):
        await bare.install()
    await bare.until_up(2)
    running = [*await bare.pods("eni-controller"), *await bare.pods("eni-manager")]
    images = {pod["spec"]["containers"][0]["image"] for pod in running}
    assert images == {"localhost/nodeeni:tree"}
    assert (bare.attached(), bare.changing_calls()) == (before, calls)
    await bare.agree()
    await bare.doctor()
    await bare.delete()
