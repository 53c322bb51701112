"""The same on a real kube-apiserver and etcd, with kubelets at work."""

from collections.abc import Sequence

from bench.harness import RealBench, real_bench
from bench.kubelet import Kubelets
from bench.result import Promise, Result
from bench.scenarios.attach import attach_all
from bench.scenarios.large import COUNT, SETTINGS, restarted, settle, watched

EVERY = 10.0  # seconds from one heartbeat of a node to its next


async def attach(count: int) -> Sequence[Result]:
    """Nodes of a kubelet's size, all of which send heartbeats meanwhile."""
    async with real_bench() as b:
        await b.nodes(count, large=True)
        await b.start_controller()
        kubelets = Kubelets(b.kubelets, list(b.world.nodes), count / EVERY)
        kubelets.start()
        result = await attach_all(b, count)
        result.figures["heartbeats a second"] = round(await kubelets.stop(), 1)
        return [_on_real(b, result, f"real-attach-{count}")]


async def large() -> Sequence[Result]:
    """The restart, and the steady state after it, on one cluster: it takes minutes to build."""
    async with real_bench(SETTINGS) as b:
        await settle(b)
        restart = await restarted(b)
        await b.stop_controller()
        steady = await watched(b, COUNT / EVERY)
        return [_on_real(b, result, "real-large-5000") for result in (restart, steady)]


def _on_real(b: RealBench, result: Result, command: str) -> Result:
    result.name, result.command = f"real-{result.name}", f"python -m bench {command}"
    result.title = f"On a real API server: {result.title}"
    result.figures["requests that the rights refused"] = b.forbidden()
    result.promises.append(Promise("requests that the rights refused", b.forbidden(), 0, "exactly"))
    return result
