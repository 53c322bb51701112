"""Each fault of the sandbox, met by every call of a life at once; alone by each call in `make chaos`.

On a real API server, which has room for one life at a time, those whose outcome it decides too.
"""

from pathlib import Path

import pytest
from tests.contract.processes import real_is_wanted
from tests.faults.processes import Zygote
from tests.faults.troubles import EC2_FAULTS, KUBE_FAULTS, Trouble, live_through, troubles

ON_A_REAL_SERVER = ("connection lost after the work", "409")
SLOW = ("never answered",)  # each of its calls is waited for 30 s: the long form alone


@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", ["EC2", "Kubernetes"])
async def test_every_call_meets_each_fault_once(zygote: Zygote, tmp_path: Path, server: str) -> None:
    by_fault: dict[str, list[Trouble]] = {}
    for trouble in troubles():
        of_interest = not real_is_wanted() or trouble.fault in ON_A_REAL_SERVER
        if of_interest and trouble.where.startswith(server) and trouble.fault not in SLOW:
            by_fault.setdefault(trouble.fault, []).append(trouble)
    outcomes = await live_through(zygote, tmp_path, list(by_fault.values()))
    assert [outcome for outcome in outcomes if outcome.faults or not outcome.met] == []


def test_every_fault_stands_at_every_call() -> None:
    assert len(EC2_FAULTS) * 12 + 2 + len(KUBE_FAULTS) * 12 == len(troubles())
