"""SIGTERM in bad moments: the end comes soon and in order."""

import signal
import time
from pathlib import Path

import pytest
from tests.faults.processes import Zygote
from tests.faults.situation import Situation, situated

from nodeeni.sandbox.kube.faults import Fault

LEASED = ("--enable-leader-election", "--lease-duration=3s")
LEASE = ("coordination.k8s.io", "leases", "nodeeni-controller-leader-election")


def _holder(at: Situation) -> str:
    lease = at.kube.get(*LEASE, namespace="eni-controller-system")
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


@pytest.mark.parametrize("api_server", ["answers", "hangs"])
async def test_sigterm_ends_within_10_s_whatever_hangs(
    zygote: Zygote, tmp_path: Path, api_server: str
) -> None:
    async with situated(zygote, tmp_path) as at:
        await at.node()
        at.apply()
        at.ec2.faults.hang("CreateNetworkInterface", phase="after")
        async with await at.start(*LEASED) as controller:
            await at.until(lambda: not at.ec2.faults.pending())
            if api_server == "hangs":
                at.kube.faults.plan(Fault(times=1000, hang=True))
            asked = time.monotonic()
            controller.signal(signal.SIGTERM)
            assert await controller.ended(timeout=15) == 0
            assert time.monotonic() - asked < 10
        at.kube.faults.clear()
        async with await at.start(*LEASED):
            await at.until_right()
        assert at.made == 1


async def test_sigterm_with_nothing_under_way_gives_the_lease_back_at_once(
    zygote: Zygote, tmp_path: Path
) -> None:
    async with situated(zygote, tmp_path) as at:
        await at.node()
        at.apply()
        async with await at.start(*LEASED) as controller:
            await at.until_right()
            asked = time.monotonic()
            controller.signal(signal.SIGTERM)
            assert await controller.ended() == 0
            assert time.monotonic() - asked < 3
            assert _holder(at) == ""
