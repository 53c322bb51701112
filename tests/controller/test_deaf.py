"""A process that is there and hears nothing is restarted by its probe; one whose servers are away is not."""

import asyncio
import time

import aiohttp
from tests.controller.conftest import Stage
from tests.ports import free_port


async def healthz(port: int) -> tuple[int, str]:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientConnectionError:
        return 0, ""


async def until_healthz_is(port: int, status: int) -> str:
    """What it says then."""
    async with asyncio.timeout(60):
        while (answer := await healthz(port))[0] != status:  # noqa: ASYNC110  it is asked over a socket
            await asyncio.sleep(0.02)
    return answer[1]


async def test_a_server_that_does_not_believe_us_fails_healthz_until_it_does(stage: Stage) -> None:
    port = free_port()
    async with stage.controller(f"--metrics-addr=127.0.0.1:{port}", "--deaf-timeout=3s"):
        assert await until_healthz_is(port, 200) == (
            "[+]nodes ok\n[+]nodeenis.networking.k8s.aws ok\n[+]eninodes.networking.k8s.aws ok\n"
        )
        stage.kube.faults.fail(401, verb="watch", resource="nodes", times=1000)
        stage.kube.faults.fail(401, verb="list", resource="nodes", times=1000)
        stage.kube.faults.break_watches("reset", "nodes")
        said = await until_healthz_is(port, 503)
        assert said.startswith("[-]nodes cannot be watched for ")
        assert "[+]nodeenis.networking.k8s.aws ok\n" in said
        stage.kube.faults.planned.clear()
        await until_healthz_is(port, 200)


async def test_an_api_server_and_an_ec2_that_are_away_are_no_reason_to_restart(stage: Stage) -> None:
    port = free_port()
    async with stage.controller(f"--metrics-addr=127.0.0.1:{port}", "--deaf-timeout=500ms"):
        await until_healthz_is(port, 200)
        stage.kube.faults.fail(503, times=1000)
        stage.kube.faults.break_watches("reset")
        stage.ec2.faults.error("DescribeNetworkInterfaces", "Unavailable", times=None)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert (await healthz(port))[0] == 200
            await asyncio.sleep(0.02)
