"""`make cluster`: a cluster that stays until Ctrl-C, and how to use it."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable

from hack.cluster.cluster import Cluster, Impossible, cluster, prepared

from nodeeni.api.names import NAMESPACE

GUIDE = """\

{nodes} nodes register at {url}. In another terminal, in this folder:

  export KUBECONFIG={kubeconfig} PATH=$PWD/.venv/bin:$PATH
  kubectl get nodes --watch
  helm install nodeeni charts/nodeeni --namespace {namespace} --create-namespace --values {values} --wait
  kubectl -n {namespace} exec deploy/eni-controller -- nodeeni doctor
  kubectl apply -f examples/multus-eni.yaml
  kubectl get nodeeni,eninode

AWS is the sandbox's, as the controller sees it; from here it is at {aws}.
A shell's command on a node: {enter} ip link
Ctrl-C ends all of it, and nothing is left."""


def main() -> int:
    """0 after Ctrl-C; 1 with one line where there can be no cluster."""
    flags = argparse.ArgumentParser(prog="make cluster")
    flags.add_argument("--nodes", type=int, default=2)
    flags.add_argument("--prepare", action="store_true", help="build its parts, and start nothing")
    options = flags.parse_args()
    try:
        asyncio.run(prepared(_timed()) if options.prepare else _stay(options.nodes))
    except Impossible as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


async def _stay(nodes: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    say = _timed()
    async with cluster(nodes, say) as made:
        say("the kubelets have started")
        print(guide(made), flush=True)
        await stop.wait()
        print("\nending", file=sys.stderr)


def _timed() -> Callable[[str], None]:
    began = time.monotonic()
    return lambda text: print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr)


def guide(made: Cluster) -> str:
    return GUIDE.format(
        nodes=len(made.nodes),
        url=made.control_plane.api.url,
        kubeconfig=made.kubeconfig,
        namespace=NAMESPACE,
        values=made.values,
        aws=made.world.ec2.url,
        enter=" ".join(made.machines().command(made.nodes[0].instance_id, [])),
    )


if __name__ == "__main__":
    sys.exit(main())
