"""Every code of the error table, met once at its call by the real controller: waited out by the rule of its
class, and in the end the interface is attached, the only one there is.
"""

import pytest

from nodeeni.controller import memory
from nodeeni.ec2.errors import ErrorClass, RetryRule, classify
from nodeeni.plan import places, refusal

from .conftest import Stage

CREATE, ATTACH, MODIFY = (
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
)
DETACH, DELETE = "DetachNetworkInterface", "DeleteNetworkInterface"
NOT_RUNNING = "Instance 'i-1' is not 'running' or 'stopped'."
IN_USE = "Network interface 'eni-1' is currently in use."
TAKEN = "Instance 'i-1' already has an interface attached at device index '2'."

# Call, code, message: every row of the table in the project's notes on EC2, at the calls that answer it.
COMING = [
    *((call, "RequestLimitExceeded", "") for call in (CREATE, ATTACH, MODIFY)),
    (ATTACH, "ThrottlingException", ""),
    (ATTACH, "InvalidNetworkInterfaceID.NotFound", ""),
    (MODIFY, "InvalidNetworkInterfaceID.NotFound", ""),
    (ATTACH, "InvalidNetworkInterface.InUse", ""),
    (ATTACH, "InvalidParameterValue", IN_USE),
    (ATTACH, "InvalidParameterValue", TAKEN),
    (ATTACH, "AttachmentLimitExceeded", ""),
    (CREATE, "InsufficientFreeAddressesInSubnet", ""),
    (CREATE, "InsufficientCidrBlocks", ""),
    (CREATE, "NetworkInterfaceLimitExceeded", ""),
    (CREATE, "SomethingElseLimitExceeded", ""),
    (CREATE, "InvalidSubnetID.NotFound", ""),
    (CREATE, "InvalidGroup.NotFound", ""),
    (CREATE, "InvalidSecurityGroupID.NotFound", ""),
    (ATTACH, "InvalidParameterCombination", "not in the same availability zone"),
    (ATTACH, "IncorrectState", NOT_RUNNING),
    (ATTACH, "InvalidInstanceID.NotFound", ""),
    (MODIFY, "InvalidAttachmentID.NotFound", ""),
    (ATTACH, "OperationNotPermitted", ""),
    *((call, "UnauthorizedOperation", "") for call in (CREATE, ATTACH, MODIFY)),
    (CREATE, "AuthFailure", ""),
    (CREATE, "RequestExpired", ""),
    (CREATE, "IdempotentParameterMismatch", ""),
    *((call, "InternalError", "") for call in (CREATE, ATTACH, MODIFY)),
    (CREATE, "Unavailable", ""),
    (CREATE, "ServiceUnavailable", ""),
    (CREATE, "NeverHeardOf", ""),
]
GOING = [
    *((call, code, "") for call in (DETACH, DELETE) for code in ("RequestLimitExceeded", "InternalError")),
    *((call, "UnauthorizedOperation", "") for call in (DETACH, DELETE)),
    (DETACH, "OperationNotPermitted", ""),
    (DETACH, "IncorrectState", "attachment is in the 'attaching' state"),
    (DELETE, "InvalidParameterValue", IN_USE),
    (DELETE, "InvalidNetworkInterface.InUse", ""),
    (DELETE, "NeverHeardOf", ""),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rules wait for in seconds and minutes is tenths of a second here."""
    for error_class in ErrorClass:
        monkeypatch.setattr(error_class, "retry", RetryRule(first=0.1, factor=1.5, most=0.4))
    for name in ("SUBNET_AVOIDED", "INDEX_TAKEN", "INSTANCE_FULL", "QUOTA_PROBE"):
        monkeypatch.setattr(memory, name, 0.3)
    for name in ("FULL_RETRY", "INDEX_RETRY", "SUBNET_RETRY"):
        monkeypatch.setattr(places, name, 0.3)
    monkeypatch.setattr(refusal, "UNRESOLVED_RETRY", 0.3)


def _name(case: tuple[str, str, str]) -> str:
    call, code, message = case
    error_class = classify(code, message)
    return f"{call.removesuffix('NetworkInterface')}-{code}-{error_class.value if error_class else 'unknown'}"


@pytest.mark.parametrize("case", COMING, ids=_name)
async def test_an_interface_comes_all_the_same(stage: Stage, case: tuple[str, str, str]) -> None:
    call, code, message = case
    node = await stage.node()
    stage.ec2.faults.error(call, code, message=message)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(
            lambda: all(i.attachment and i.attachment.delete_on_termination for i in stage.ours())
        )
        assert stage.ec2.faults.pending() == []
    assert len(stage.ec2.secondary_interfaces()) == 1


@pytest.mark.parametrize("case", GOING, ids=_name)
async def test_an_interface_goes_all_the_same(stage: Stage, case: tuple[str, str, str]) -> None:
    call, code, message = case
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        stage.ec2.faults.error(call, code, message=message)
        stage.delete()
        await stage.until_deleted()
        assert stage.ec2.faults.pending() == []
    assert stage.ec2.secondary_interfaces() == []


@pytest.mark.parametrize("call", [DETACH, DELETE])
async def test_what_is_gone_already_is_done(stage: Stage, call: str) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.stays(lambda: True, seconds=0.3)  # beyond the lag, in which NotFound proves nothing
        (interface,) = stage.ours()
        if call == DETACH:
            stage.ec2.account.release(interface)
        stage.ec2.faults.delay(call, 0.1)
        stage.delete()
        if call == DELETE:
            await stage.until(lambda: stage.ours()[0].attachment is None)
            stage.ec2.remove_interface(interface.id)
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
