"""A node loses its label: its ENI is detached and deleted, and nothing else is touched."""

from .conftest import Stage


async def test_the_interface_goes_and_the_other_nodes_keep_theirs(stage: Stage) -> None:
    leaving, staying = await stage.node(), await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(leaving, staying)
        (kept,) = stage.ours(node=staying)
        stage.world.label(leaving.name, ng=None)
        await stage.until(lambda: not stage.ours(node=leaving))
        await stage.until(lambda: stage.status()["desired"] == 1 and not stage.row(leaving))
        await stage.until(lambda: stage.world.eninode(leaving.name) is None)
        await stage.until(lambda: {"ENIDetached", "ENIDeleted"} <= stage.reasons())
    assert [i.id for i in stage.ours()] == [kept.id]
    assert stage.calls()["DetachNetworkInterface"] == stage.calls()["DeleteNetworkInterface"] == 1


async def test_a_label_that_comes_back_gives_a_new_interface(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        await stage.until_attached(node)
        (first,) = stage.ours()
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: not stage.ours() and not stage.row(node))
        stage.world.label(node.name, ng="multi-eni")
        await stage.until_attached(node)
    (second,) = stage.ours()
    assert second.id != first.id


async def test_a_label_that_flickers_while_attaching_ends_with_what_it_ends_with(stage: Stage) -> None:
    node = await stage.node()
    stage.apply()
    async with stage.controller():
        for _ in range(5):
            stage.world.label(node.name, ng=None)
            await stage.until(lambda: True)
            stage.world.label(node.name, ng="multi-eni")
        await stage.until_attached(node)
        await stage.stays(lambda: len(stage.ours()) <= 1)
        stage.world.label(node.name, ng=None)
        await stage.until(lambda: not stage.ours())
    assert stage.ec2.secondary_interfaces() == []
