"""An edit in place takes as long as EC2's calls do: until then nobody is told that it is there."""

from pathlib import Path

import pytest

from nodeeni.sandbox.ec2 import Delay, quick_settings

from .conftest import Stage, staged

SLOW = quick_settings(replies={"ModifyNetworkInterfaceAttribute": Delay(1.0), "CreateTags": Delay(1.0)})


def ready_with_generation(stage: Stage, generation: int) -> bool:
    ready = stage.condition("Ready")
    return ready.get("status") == "True" and ready["observedGeneration"] == generation


async def test_ready_waits_until_the_groups_are_right_in_ec2_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(tmp_path, monkeypatch, SLOW) as stage:
        for _ in range(4):
            await stage.node()
        group = stage.ec2.add_security_group(stage.world.vpc)
        stage.apply()
        # Two calls at once: the second half of the nodes waits for the first.
        async with stage.controller("--max-concurrent-nodes=2"):
            await stage.until(lambda: ready_with_generation(stage, 1))
            stage.ec2.faults.delay("ModifyNetworkInterfaceAttribute", 1.0, times=None)  # and done only then
            stage.apply(securityGroupIDs=[group.id])
            seen: set[tuple[str, str]] = set()

            def applied() -> bool:
                status = stage.status()  # of one moment: another look may see the next patch
                conditions = {each["type"]: each for each in status["conditions"]}
                ready = conditions["Ready"]
                seen.add((ready["reason"], ready["message"]))
                done: bool = ready["status"] == "True" and ready["observedGeneration"] == 2
                right = [i for i in stage.ours() if set(i.group_ids) == {group.id}]
                assert not done or len(right) == 4, (status, right)
                if ready["reason"] == "Updating":
                    assert conditions["Progressing"]["status"] == "True"
                    assert conditions["Degraded"]["status"] == "False"
                    assert status["attached"] == 4
                return done

            await stage.until(applied)
        told = {message for reason, message in seen if reason == "Updating"}
        assert "as spec asks on 0 of 4 nodes: the others are being changed in place" in told
        assert "as spec asks on 2 of 4 nodes: the others are being changed in place" in told


async def test_the_row_says_what_is_still_to_be_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(tmp_path, monkeypatch, SLOW) as stage:
        node = await stage.node()
        group = stage.ec2.add_security_group(stage.world.vpc)
        stage.apply(tags={"team": "radio"})
        async with stage.controller():
            await stage.until(lambda: ready_with_generation(stage, 1))
            stage.apply(securityGroupIDs=[group.id], description="edited", tags={"team": "core"})
            await stage.until(lambda: stage.row(node).get("reason") == "Updating")
            row = stage.row(node)
            assert row["status"] == "attached"
            assert row["message"] == "still to be applied: the security groups, the description, tags"
            await stage.until(lambda: ready_with_generation(stage, 2))
            assert "reason" not in stage.row(node)
        (interface,) = stage.ours()
        assert (interface.description, interface.tags["team"]) == ("edited", "core")


async def test_an_edit_whose_look_up_is_refused_is_not_applied(stage: Stage) -> None:
    node = await stage.node()
    group = stage.ec2.add_security_group(stage.world.vpc)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: ready_with_generation(stage, 1))
        stage.ec2.faults.error("DescribeSecurityGroups", "UnauthorizedOperation", times=None)
        stage.apply(securityGroupIDs=[group.id])
        await stage.until(lambda: stage.row(node).get("reason") == "NotAuthorized")
        await stage.stays(lambda: not ready_with_generation(stage, 2))
        assert stage.condition("Ready")["reason"] == "Failing"
        assert stage.row(node)["message"].endswith("stays attached as it was")
        assert stage.status()["attached"] == 1


async def test_an_edit_that_ec2_refuses_is_not_applied(stage: Stage) -> None:
    node = await stage.node()
    group = stage.ec2.add_security_group(stage.world.vpc)
    stage.apply()
    async with stage.controller():
        await stage.until(lambda: ready_with_generation(stage, 1))
        stage.ec2.faults.error("ModifyNetworkInterfaceAttribute", "InternalError", times=3)
        stage.apply(securityGroupIDs=[group.id])
        await stage.until(lambda: stage.row(node).get("reason") == "Updating")
        await stage.until(lambda: ready_with_generation(stage, 2))
    (interface,) = stage.ours()
    assert interface.group_ids == (group.id,)
