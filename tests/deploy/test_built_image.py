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

ROOT = Path(os.environ["NODEENI_IMAGE_ROOT"])
START = ("/usr/sbin/chroot", str(ROOT), "/usr/bin/python3.11", "-I", "-m", "nodeeni")
IN_IMAGE = ("/usr/sbin/chroot", "--userspec=65532:65532", str(ROOT))
NOBODY = (*IN_IMAGE, *START[2:])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    # Metered generously, and told: the controller asks Service Quotas.
    settings = quick_settings(buckets={"AttachNetworkInterface": (80.0, 8.0)}, rates_told=True)
    async with World(settings, hosts=Hosts()) as world:
        environment = world.environment(ROOT / "tmp" / "kubeconfig")
        yield Stage(world, {**environment, "KUBECONFIG": "/tmp/kubeconfig"})


async def test_an_eni_comes_up_and_goes_again(stage: Stage, template: Template) -> None:
    pods = template("controller.metricsPort=18080", "controller.settings.readLag=200ms")
    assert stage.world.hosts is not None
    node = await stage.node()
    stage.apply(mtu=9001, interfaceName="data0")
    log = ROOT / "tmp" / "controller.log"
    controller = await _start(
        stage, NOBODY, container(pods["Deployment", "eni-controller"]), "eni-controller", log=log
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
        log=ROOT / "tmp" / "manager.log",
    )
    try:
        await stage.until(lambda: stage.status().get("linksUp") == 1)
        kernel = {link["ifname"]: link for link in await stage.world.hosts.links(node.instance_id)}
        (link,) = [one for one in kernel.values() if "data0" in one.get("altnames", [])]
        assert (link["mtu"], "UP" in link["flags"]) == (9001, True)
        print(f"memory: controller {_rss(controller)} MB, ENI manager {_rss(manager)} MB")
        assert node.name in await _executed(stage, "status")
        assert "1 of 1 node needs nothing" in await _executed(stage, "plan")
        assert "controller needs" in await _executed(stage, "doctor")
        stage.delete()
        await stage.until_deleted()
    finally:
        for process in (controller, manager):
            process.terminate()
        assert [await process.wait() for process in (controller, manager)] == [0, 0]
    assert stage.ec2.secondary_interfaces() == []
    assert "Service Quotas: AttachNetworkInterface=80/8" in log.read_text()


async def _start(
    stage: Stage, start: Sequence[str], pod: dict[str, list[str]], component: str, *more: str, log: Path
) -> asyncio.subprocess.Process:
    environment = {**stage.environment, "COMPONENT": component, "POD_NAMESPACE": "eni-controller-system"}
    with log.open("wb") as stderr:
        return await asyncio.create_subprocess_exec(
            *start, *pod["args"], *more, env=environment, stderr=stderr
        )


async def _executed(stage: Stage, command: str) -> str:
    """What `kubectl exec deploy/eni-controller -- nodeeni COMMAND` shows; it ends with 0."""
    process = await asyncio.create_subprocess_exec(
        *(*IN_IMAGE, "nodeeni", command),
        env={**stage.environment, "COMPONENT": "eni-controller", "PATH": "/usr/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


def _rss(process: asyncio.subprocess.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return round(int(line.split()[1]) / 1000)
