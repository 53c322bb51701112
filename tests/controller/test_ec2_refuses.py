"""EC2 refuses, loses and throttles calls: each class of the error table through the real controller."""

import asyncio

import pytest

from nodeeni.controller import memory
from nodeeni.ec2.errors import ErrorClass, RetryRule
from nodeeni.sandbox.ec2.faults import Fault

from .conftest import OpenStage, Stage


async def test_a_throttled_create_comes_through_and_nothing_is_doubled(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(4)]
    stage.ec2.faults.error("CreateNetworkInterface", "RequestLimitExceeded", times=3)
    stage.ec2.faults.error("AttachNetworkInterface", "Throttling", times=3)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
    assert len(stage.ours()) == 4
    assert not any(reason.endswith("Failed") for reason in stage.reasons())


async def test_small_buckets_are_spent_and_not_overdrawn(metered_stage: Stage) -> None:
    stage = metered_stage
    nodes = [await stage.node() for _ in range(15)]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(*nodes)
    assert len(stage.ours()) == 15


@pytest.mark.parametrize(
    "action",
    [
        "CreateNetworkInterface",
        "AttachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
        "DetachNetworkInterface",
        "DeleteNetworkInterface",
    ],
)
@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_reply_that_is_lost(stage: Stage, action: str, phase: str) -> None:
    node = await stage.node()
    stage.ec2.faults.drop(action, phase)  # type: ignore[arg-type]
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(lambda: stage.calls()["ModifyNetworkInterfaceAttribute"] > 0)
        assert len(stage.ec2.secondary_interfaces()) == 1
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: not stage.row(node) and stage.status().get("desired") == 0)
    assert stage.ec2.secondary_interfaces() == []
    assert stage.ec2.faults.pending() == []


@pytest.mark.parametrize("code", ["InternalError", "Unavailable", "SomethingNew"])
async def test_an_unknown_outcome_is_found_out_with_the_same_token(stage: Stage, code: str) -> None:
    node = await stage.node()
    body = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors><RequestID>r</RequestID></Response>"
    stage.ec2.faults.add(Fault(action="CreateNetworkInterface", status=500, body=body, phase="after"))
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
    assert len(stage.ec2.secondary_interfaces()) == 1
    tokens = {c.parameters["ClientToken"] for c in stage.ec2.calls.of("CreateNetworkInterface")}
    assert len(tokens) == 1


async def test_a_full_subnet_gives_way_to_the_next_candidate(stage: Stage) -> None:
    small = stage.ec2.add_subnet(stage.world.vpc, "a", "10.30.0.0/28")
    nodes = [await stage.node() for _ in range(4)]
    stage.ec2.faults.error(
        "CreateNetworkInterface",
        "InsufficientFreeAddressesInSubnet",
        times=None,
        SubnetId=stage.world.subnets["a"].id,
    )
    stage.apply(subnetIDs=[small.id])
    async with stage.controller():
        await stage.until_attached(*nodes)
    assert {i.subnet_id for i in stage.ours()} == {small.id}


async def test_no_address_anywhere_is_reported(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("CreateNetworkInterface", "InsufficientFreeAddressesInSubnet", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "SubnetFull")
    assert "no free address is left" in stage.row(node)["message"]
    assert stage.ours() == []


async def test_a_used_up_quota_pauses_creating_in_the_whole_cluster_and_says_so(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(6)]
    stage.ec2.faults.error("CreateNetworkInterface", "NetworkInterfaceLimitExceeded", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.condition("Degraded").get("reason") == "QuotaExceeded")
        tried = stage.calls()["CreateNetworkInterface"]
        await stage.stays(lambda: stage.calls()["CreateNetworkInterface"] == tried)
    assert tried <= len(nodes)
    assert "quota" in stage.condition("Degraded")["message"]


async def test_a_used_up_quota_is_told_where_it_is_waited_for_and_nowhere_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "QUOTA_PROBE", 0.5)
    monkeypatch.setattr(ErrorClass.QUOTA, "retry", RetryRule(first=0.5, factor=1, most=0.5))
    node, other = await stage.node(), await stage.node(matching=False)
    stage.world.label(other.name, extra="yes")
    stage.apply("a")
    async with stage.controller():
        await stage.until(lambda: stage.condition("Ready", "a").get("status") == "True")
        stage.ec2.faults.error("CreateNetworkInterface", "NetworkInterfaceLimitExceeded", times=None)
        stage.apply("b", deviceIndex=3)
        stage.apply("c", nodeSelector={"extra": "yes"})
        await stage.until(
            lambda: {stage.condition("Degraded", name).get("reason") for name in "bc"} == {"QuotaExceeded"}
        )
        stage.apply("a", description="edited")
        await stage.until(lambda: stage.ours("a")[0].description == "edited")
        # Beyond a probe or two: it is said all the time.
        await stage.stays(
            lambda: (
                [stage.condition("Degraded", name)["status"] for name in "abc"] == ["False", "True", "True"]
            ),
            seconds=2,
        )
        stage.ec2.faults.clear()
        await stage.until_attached(node, name="b")
        await stage.until_attached(other, name="c")
        await stage.until(
            lambda: {stage.condition("Degraded", name)["status"] for name in "abc"} == {"False"}
        )


async def test_a_missing_permission_names_the_iam_action_to_grant(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("AttachNetworkInterface", "UnauthorizedOperation", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        await stage.until(lambda: "ENIAttachmentFailed" in stage.reasons())
    assert "grant ec2:AttachNetworkInterface" in stage.condition("Degraded")["message"]


async def test_what_ec2_said_is_whole_in_the_log_and_said_once_however_many_wait(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nodeeni")
    nodes = [await stage.node() for _ in range(4)]
    fault = Fault(action="CreateNetworkInterface", denied="service control policy, with its ARN", times=None)
    stage.ec2.faults.add(fault)
    stage.apply()
    async with stage.controller():
        for node in nodes:
            await stage.until(lambda node=node: stage.row(node).get("reason") == "NotAuthorized")  # type: ignore[misc]
        said = stage.row(nodes[0])["message"]
    assert "an explicit deny in the service control policy arn:aws:organizations::" in said
    assert "Encoded" not in said
    start = "EC2 refused CreateNetworkInterface: UnauthorizedOperation: You are not authorized"
    (line,) = [record for record in caplog.records if record.getMessage().startswith(start)]
    assert "Encoded authorization failure message: " in line.getMessage()
    assert line.__dict__["request_id"]


@pytest.mark.parametrize(
    ("action", "error_class", "code"),
    [
        ("CreateNetworkInterface", ErrorClass.DENIED, "UnauthorizedOperation"),
        ("AttachNetworkInterface", ErrorClass.DENIED, "UnauthorizedOperation"),
        ("CreateNetworkInterface", ErrorClass.REJECTED, "TagPolicyViolation"),
        ("DescribeSubnets", ErrorClass.DENIED, "UnauthorizedOperation"),
    ],
)
async def test_the_first_that_is_granted_ends_the_wait_of_all(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, action: str, error_class: ErrorClass, code: str
) -> None:
    """One tries for all of them, so that none of the others waits for a time of its own."""
    monkeypatch.setattr(error_class, "retry", RetryRule(first=1, factor=1, most=1))
    nodes = [await stage.node() for _ in range(4)]
    stage.ec2.faults.error(action, code, times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: all(stage.row(node).get("reason") for node in nodes))
        tried = stage.ec2.calls.by_action[action]
        await stage.until(lambda: stage.ec2.calls.by_action[action] >= tried + 2)
        stage.ec2.faults.clear()
        await stage.until_attached(*nodes)
    assert len(stage.ec2.secondary_interfaces()) == 4


async def test_an_edit_ends_the_wait_of_the_nodeeni_also_where_the_call_stays_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ErrorClass.DENIED, "retry", RetryRule(first=600, factor=1, most=600))
    node = await stage.node()
    stage.ec2.faults.error("CreateNetworkInterface", "UnauthorizedOperation")
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        await stage.stays(lambda: stage.calls()["CreateNetworkInterface"] == 1)
        stage.apply(interfaceName="data9")
        await stage.until_attached(node)
    assert len({call.parameters["ClientToken"] for call in stage.ec2.calls.of("CreateNetworkInterface")}) == 1


async def test_a_managed_instance_is_reported_and_left_alone(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("AttachNetworkInterface", "OperationNotPermitted", times=None)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: stage.row(node).get("reason") == "NotPermitted")
        await stage.stays(lambda: stage.calls()["AttachNetworkInterface"] == 1)
    assert "EKS Auto Mode" in stage.row(node)["message"]


async def test_a_failed_modify_never_undoes_an_attach_and_is_repaired(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.error("ModifyNetworkInterfaceAttribute", "InternalError", times=2)
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        await stage.until(
            lambda: all(i.attachment and i.attachment.delete_on_termination for i in stage.ours())
        )
    assert "DetachNetworkInterface" not in stage.calls()


async def test_a_token_used_with_other_parameters_finds_the_interface_by_tag(stage: Stage) -> None:
    node = await stage.node()
    stage.ec2.faults.drop("CreateNetworkInterface", "after")
    stage.ec2.faults.error("CreateNetworkInterface", "Unavailable", times=1)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: len(stage.ours()) == 1)
        stage.apply(description="another one")  # the next try carries the same token, and other parameters
        await stage.until_attached(node)
        await stage.until(lambda: stage.ours()[0].description == "another one")
    assert len(stage.ec2.secondary_interfaces()) == 1


async def test_what_ec2_does_not_know_everywhere_yet_is_looked_for_and_not_attached_again_and_again(
    open_stage: OpenStage,
) -> None:
    """After the first NotFound one look for all shows them, and no Attach is spent before."""
    not_found = ("AttachNetworkInterface", "InvalidNetworkInterfaceID.NotFound")
    async with open_stage(stale_reads=1.0, stale_lookups=True) as stage:
        nodes = [await stage.node() for _ in range(12)]
        await asyncio.sleep(1.1)  # until the instances themselves are shown
        stage.apply("first")
        async with stage.controller("--read-lag=1500ms"):
            await stage.until_attached(*nodes, name="first")
            refused = [call.parameters["NetworkInterfaceId"] for call in stage.ec2.calls.of(*not_found)]
            assert 0 < len(refused) == len(set(refused)), "none is tried twice in vain"
            stage.apply("second", deviceIndex=3)
            await stage.until_attached(*nodes, name="second")
            assert len(stage.ec2.calls.of(*not_found)) == len(refused)
    assert stage.calls()["CreateNetworkInterface"] == 24


async def test_reads_that_lag_never_make_a_second_interface(lagging_stage: Stage) -> None:
    stage = lagging_stage
    nodes = [await stage.node() for _ in range(3)]
    await stage.stays(lambda: True, seconds=1.1)  # until the instances themselves are shown
    stage.apply()
    async with stage.controller("--read-lag=1500ms", "--resync-period=300ms"):
        await stage.until_attached(*nodes)
        await stage.stays(lambda: len(stage.ours()) == 3, seconds=2)
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []
    assert stage.calls()["CreateNetworkInterface"] == 3
