"""A NodeENI of the same name with another uid: restored from a backup, or its finalizer taken off by hand."""

from nodeeni.api.names import FINALIZER

from .conftest import NAME, Stage

FLAGS = ("--resync-period=300ms", "--orphan-grace-period=100ms")


def torn_away(stage: Stage) -> None:
    """Deleted without its finalizer: nothing was removed for it."""
    stage.guard.torn_away |= {
        n["metadata"]["uid"] for n in stage.kube.objects("networking.k8s.aws", "nodeenis")
    }
    stage.kube.patch("networking.k8s.aws", "nodeenis", NAME, {"metadata": {"finalizers": []}})
    stage.delete()


async def test_what_fits_is_taken_over_by_tagging(stage: Stage) -> None:
    nodes = [await stage.node() for _ in range(3)]
    stage.apply()
    async with stage.controller("--orphan-grace-period=1h"):
        await stage.until_attached(*nodes)
        before = {i.id: i for i in stage.ours()}
        calls = stage.calls()
    old = stage.world.nodeeni(NAME)
    assert old is not None
    torn_away(stage)
    stage.apply()
    new = stage.world.nodeeni(NAME)
    assert new is not None
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    async with stage.controller(*FLAGS):
        await stage.until_attached(*nodes)
        uid = "nodeeni.networking.k8s.aws/uid"
        await stage.until(lambda: {i.tags[uid] for i in stage.ours()} == {new["metadata"]["uid"]})
        await stage.stays(lambda: {i.id for i in stage.ours()} == before.keys(), seconds=0.7)  # two resyncs
        assert stage.calls() - calls == {"CreateTags": 3}
        for interface in stage.ours():
            assert interface.attachment == before[interface.id].attachment
            assert interface.mac == before[interface.id].mac
        stage.delete()
        await stage.until_deleted()
    assert stage.ec2.secondary_interfaces() == []


async def test_while_the_controller_works_and_within_the_grace(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--resync-period=300ms", "--orphan-grace-period=1h"):
        await stage.until_attached(node)
        (before,) = stage.ours()
        calls = stage.calls()
        torn_away(stage)
        if stage.world.nodeeni(NAME) is not None:  # the controller put the finalizer back in between
            torn_away(stage)
        await stage.until(lambda: stage.world.nodeeni(NAME) is None)
        stage.apply()
        await stage.until_attached(node)
        await stage.stays(lambda: [i.id for i in stage.ours()] == [before.id], seconds=0.7)
    assert stage.ec2.interface(before.id).attachment == before.attachment
    assert "DetachNetworkInterface" not in stage.calls() - calls


async def test_what_does_not_fit_goes_the_ordinary_way(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller("--orphan-grace-period=1h"):
        await stage.until_attached(node)
    (before,) = stage.ours()
    torn_away(stage)
    stage.apply(deviceIndex=3)
    async with stage.controller(*FLAGS):
        await stage.until(lambda: stage.row(node).get("deviceIndex") == 3)
        await stage.until_attached(node)
        assert [i.id for i in stage.ours()] == [before.id], "it moves, as after an edit"
    assert len(stage.ec2.secondary_interfaces()) == 1
    assert FINALIZER in (stage.world.nodeeni(NAME) or {})["metadata"]["finalizers"]
