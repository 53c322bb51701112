"""At most one controller acts at a time, and the next one knows how the last one went."""

import asyncio
import contextlib
import logging
import math
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.kube.waiting import Background, until
from tests.kube.wire import Wire

from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import LeaseLost
from nodeeni.kube.lease import LeaderElection, boot_clock
from nodeeni.sandbox.kube import KubeServer

NAME = "nodeeni-controller-leader-election"


def candidate(client: KubeClient, identity: str, **options: Any) -> LeaderElection:
    timing = {"duration": 1, "deadline": 0.6, "retry": 0.1} | options
    return LeaderElection(client, "kube-system", NAME, identity, **timing)


def lease(server: KubeServer) -> dict[str, Any]:
    found: list[dict[str, Any]] = server.objects("coordination.k8s.io", "leases")
    assert len(found) == 1
    return found[0]


async def test_absent_lease_is_taken_clean(server: KubeServer, client: KubeClient) -> None:
    election = candidate(client, "one", duration=15, deadline=10.0, retry=2.0)
    assert not election.held()
    acquired = await election.acquire()
    assert (acquired.clean, election.held()) == (True, True)
    spec = lease(server)["spec"]
    assert spec == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 0,
        "acquireTime": spec["renewTime"],
        "renewTime": spec["renewTime"],
    }
    assert time.strptime(spec["renewTime"], "%Y-%m-%dT%H:%M:%S.%fZ")


async def test_released_lease_is_taken_at_once_and_clean(server: KubeServer, client: KubeClient) -> None:
    one, two = candidate(client, "one", duration=15), candidate(client, "two", duration=15)
    await one.acquire()
    async with asyncio.TaskGroup() as group:
        second = group.create_task(two.acquire())
        await asyncio.sleep(0.3)
        assert not second.done()
        await one.release()
        assert not one.held()
        released = time.monotonic()
    assert second.result().clean
    assert time.monotonic() - released < 15, "the duration"
    assert lease(server)["spec"]["holderIdentity"] == "two"
    assert lease(server)["spec"]["leaseTransitions"] == 1


async def test_what_a_holder_leaves_is_found_by_the_next_one_and_by_no_other(
    server: KubeServer, client: KubeClient
) -> None:
    one, two, three = (candidate(client, name, leaves={"left"}) for name in ("one", "two", "three"))
    assert (await one.acquire()).idle == math.inf
    await one.release({"left": "words"})
    acquired = await two.acquire()
    assert (dict(acquired.left), acquired.idle < 1) == ({"left": "words"}, True)
    assert "left" not in lease(server)["metadata"].get("annotations", {})
    acquired = await three.acquire()  # two ends without a word
    assert (acquired.clean, acquired.left, acquired.idle > 0.9) == (False, {}, True)


async def test_dead_holder_is_followed_after_the_duration_and_not_clean(client: KubeClient) -> None:
    one, two = candidate(client, "one"), candidate(client, "two")
    await one.acquire()
    died = time.monotonic()
    acquired = await two.acquire()
    assert not acquired.clean
    assert time.monotonic() - died >= 1.0
    assert (one.held(), two.held()) == (False, True)


async def test_renewed_lease_is_kept(server: KubeServer, client: KubeClient, background: Background) -> None:
    one, two = candidate(client, "one"), candidate(client, "two")
    await one.acquire()
    background.start(one.run())
    second = background.start(two.acquire())
    deadline = time.monotonic() + 1.6
    while time.monotonic() < deadline:
        assert one.held()
        await asyncio.sleep(0.02)
    assert not second.done()
    assert lease(server)["spec"]["leaseTransitions"] == 0


async def test_a_standby_says_once_for_whom_it_waits(
    server: KubeServer, client: KubeClient, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nodeeni")
    one, two = candidate(client, "one", duration=15, deadline=10.0), candidate(client, "two", duration=15)
    await one.acquire()

    def said() -> list[str]:
        lines = [record.getMessage() for record in caplog.records]
        return [line for line in lines if line.startswith("waiting")]

    background.start(two.acquire())
    await until(lambda: said() == ["waiting for the lease held by one"])
    reads = server.requests["get", "leases"]
    await until(lambda: server.requests["get", "leases"] > reads + 2)
    server.patch(
        "coordination.k8s.io", "leases", NAME, {"spec": {"holderIdentity": "three"}}, namespace="kube-system"
    )
    await until(lambda: len(said()) == 2)
    assert said() == ["waiting for the lease held by one", "waiting for the lease held by three"]


async def test_renewal_whose_answer_is_lost(
    server: KubeServer, client: KubeClient, background: Background
) -> None:
    one = candidate(client, "one", duration=15, deadline=10.0)
    await one.acquire()
    fault = server.faults.drop("after", verb="patch", resource="leases", times=2)
    background.start(one.run())
    await until(lambda: fault.served == 2)
    before = lease(server)["spec"]["renewTime"]
    await until(lambda: lease(server)["spec"]["renewTime"] > before)
    assert one.held()


@pytest.mark.parametrize("break_it", [Wire.refuse, Wire.freeze])
async def test_server_goes_away(client: KubeClient, wire: Wire, break_it: Any) -> None:
    one = candidate(client, "one", duration=10)
    await one.acquire()
    running = asyncio.create_task(one.run())
    break_it(wire)
    broken = time.monotonic()
    with pytest.raises(LeaseLost):
        await running
    assert not one.held()
    assert time.monotonic() - broken < 10, "the duration: nobody else may have it yet"


async def test_our_own_lease_after_an_outage_is_clean(
    server: KubeServer, client: KubeClient, wire: Wire
) -> None:
    one = candidate(client, "one")
    await one.acquire()
    wire.refuse()
    with pytest.raises(LeaseLost):
        await one.run()
    await wire.listen()
    assert (await one.acquire()).clean
    assert lease(server)["spec"]["leaseTransitions"] == 0


async def test_a_lost_lease_is_regained_where_nobody_had_it_meanwhile(
    server: KubeServer, client: KubeClient, wire: Wire
) -> None:
    one = candidate(client, "one")
    await one.acquire()
    wire.refuse()
    with pytest.raises(LeaseLost):
        await one.run()
    async with asyncio.TaskGroup() as group:
        regaining = group.create_task(one.regain())
        await asyncio.sleep(0.3)
        assert (regaining.done(), one.held()) == (False, False)
        await wire.listen()
    assert one.held()
    assert lease(server)["spec"]["leaseTransitions"] == 0


@pytest.mark.parametrize("afterwards", ["holds it", "gave it back"])
async def test_a_lost_lease_is_not_regained_from_somebody_who_had_it(
    client: KubeClient, afterwards: str
) -> None:
    one, two = candidate(client, "one"), candidate(client, "two")
    await one.acquire()
    await two.acquire()
    if afterwards == "gave it back":
        await two.release()
    with pytest.raises(LeaseLost):
        await one.regain()
    assert not one.held()


async def test_lease_that_somebody_took(server: KubeServer, client: KubeClient) -> None:
    one = candidate(client, "one")
    await one.acquire()
    server.patch(
        "coordination.k8s.io", "leases", NAME, {"spec": {"holderIdentity": "two"}}, namespace="kube-system"
    )
    with pytest.raises(LeaseLost, match="went to two"):
        await one.run()
    assert not one.held()
    await one.release()
    assert lease(server)["spec"]["holderIdentity"] == "two"


async def test_process_that_was_stopped_wakes_up_without_the_lease(client: KubeClient) -> None:
    ahead = 0.0
    one = candidate(client, "one", clock=lambda: boot_clock() + ahead)
    await one.acquire()
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0.15)
    assert one.held()
    ahead = 5.0
    assert not one.held()
    with pytest.raises(LeaseLost):
        await running


async def test_release_after_a_renewal_that_was_cut_off(server: KubeServer, client: KubeClient) -> None:
    one = candidate(client, "one")
    await one.acquire()
    server.patch(
        "coordination.k8s.io", "leases", NAME, {"metadata": {"labels": {"a": "b"}}}, namespace="kube-system"
    )
    await one.release()
    assert lease(server)["spec"]["holderIdentity"] == ""


async def test_release_while_the_server_is_away_does_not_hang(client: KubeClient, wire: Wire) -> None:
    one = candidate(client, "one")
    await one.acquire()
    wire.refuse()
    await one.release()
    assert not one.held()


async def test_never_two_at_once(client: KubeClient, wire: Wire, background: Background) -> None:
    chance = random.Random(7)
    candidates = [candidate(client, f"c{number}") for number in range(3)]
    terms: list[str] = []

    async def live(election: LeaderElection, name: str) -> None:
        while True:
            await election.acquire()
            terms.append(name)
            with contextlib.suppress(LeaseLost, TimeoutError):
                async with asyncio.timeout(chance.uniform(0.1, 0.8)):
                    await election.run()
            if chance.random() < 0.7:
                await election.release()

    for number, election in enumerate(candidates):
        background.start(live(election, f"c{number}"))
    for step in range(300):
        await asyncio.sleep(0.01)
        assert sum(election.held() for election in candidates) <= 1
        if step % 90 == 80:
            wire.reset()
    assert len(terms) >= 3


HOLDER = """
import asyncio, sys
from nodeeni.kube.client import KubeClient
from nodeeni.kube.lease import LeaderElection, boot_clock

async def main():
    client = KubeClient.connect(sys.argv[1])
    election = LeaderElection(client, "kube-system", sys.argv[2], "one", duration=1, deadline=0.6, retry=0.1)
    await election.acquire()
    running = asyncio.create_task(election.run())
    while True:
        now = boot_clock()
        print(now, election.held(), flush=True)
        await asyncio.sleep(0.005)

asyncio.run(main())
"""


async def test_stopped_process_never_thinks_it_holds(server: KubeServer, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(server.kubeconfig())
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(path), NAME), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert b"True" in await holder.stdout.readline()
    holder.send_signal(signal.SIGSTOP)
    client = KubeClient.connect(str(path))
    two = candidate(client, "two")
    await two.acquire()
    woken = boot_clock()
    holder.send_signal(signal.SIGCONT)
    seen: list[bytes] = []
    async for line in holder.stdout:
        moment, held = line.split()
        if float(moment) > woken:
            seen.append(held)
        if len(seen) == 20:
            break
    holder.kill()
    await holder.wait()
    await client.close()
    assert seen == [b"False"] * 20
