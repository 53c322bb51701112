"""The image's own files at work: controller and ENI manager out of its root folder, against the sandbox.

`make image-check` builds the folder and names it; nothing outside of it is seen by the two programs. They get
the arguments and the variables of the chart, and of capabilities what the pods get.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.controller.conftest import Stage
from tests.deploy.conftest import Template, container

from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.hosts import Hosts
from nodeeni.sandbox.world import World

ROOT = Path(os.environ.get("NODEENI_IMAGE_ROOT", "/nonexistent"))
START = ("/usr/sbin/chroot", str(ROOT), "/usr/bin/python3.11", "-I", "-m", "nodeeni")
NOBODY = ("/usr/sbin/chroot", "--userspec=65532:65532", *START[1:])

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason="for a built image: make image-check")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with World(quick_settings(), hosts=Hosts()) as world:
        environment = world.environment(ROOT / "tmp" / "kubeconfig")
        yield Stage(world, {**environment, "KUBECONFIG": "/tmp/kubeconfig"})


async def test_an_eni_comes_up_and_goes_again(stage: Stage, template: Template) -> None:
    (ROOT / "var" / "lib" / "nodeeni").mkdir(parents=True, exist_ok=True)
    pods = template("controller.metricsPort=18080", "controller.settings.readLag=200ms")
    assert stage.world.hosts is not None
    node = await stage.node()
    stage.apply(mtu=9001, interfaceName="data0")
    controller = await _start(
        stage, NOBODY, container(pods["Deployment", "eni-controller"]), "eni-controller"
    )
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    # Beyond what the pod has: the right to enter the folder.
    limited = (setpriv, "--bounding-set=-all,+net_admin,+sys_chroot", *START)
    manager = await _start(
        stage,
        stage.world.hosts.command(node.instance_id, limited),
        container(pods["DaemonSet", "eni-manager"]),
        "eni-manager",
        f"--node-name={node.name}",
    )
    try:
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        kernel = {link["ifname"]: link for link in stage.world.hosts.links(node.instance_id)}
        (link,) = [one for one in kernel.values() if "data0" in one.get("altnames", [])]
        assert (link["mtu"], "UP" in link["flags"]) == (9001, True)
        print(f"memory: controller {_rss(controller)} MB, ENI manager {_rss(manager)} MB")
        stage.delete()
        await stage.until_deleted()
    finally:
        for process in (controller, manager):
            process.terminate()
        assert [await process.wait() for process in (controller, manager)] == [0, 0]
    assert (ROOT / "var" / "lib" / "nodeeni" / "spec.json").exists()
    assert stage.ec2.secondary_interfaces() == []


async def _start(
    stage: Stage, start: Sequence[str], pod: dict[str, list[str]], component: str, *more: str
) -> asyncio.subprocess.Process:
    environment = {**stage.environment, "COMPONENT": component, "POD_NAMESPACE": "eni-controller-system"}
    return await asyncio.create_subprocess_exec(*start, *pod["args"], *more, env=environment)


def _rss(process: asyncio.subprocess.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return round(int(line.split()[1]) / 1000)
