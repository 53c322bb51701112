"""How the commands that look reach the cluster: their common flags, and one line for what fails."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from nodeeni.cli import tables
from nodeeni.ec2.errors import EC2Error
from nodeeni.flags import Flags
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import ConfigError, KubeError, NotFound

INSTALL_CRDS = "the custom resources are not installed here: kubectl apply -f deploy/crds"


class NotThere(Exception):
    """What was asked for by name does not exist. One line, exit status 1."""


class Refused(Exception):
    """What was asked for is not done, and why, with the way out. One line, exit status 1."""


def looking_flags(command: str, description: str, *, names: str = "") -> Flags:
    """The flags that all of these commands have. `names`: of what `-o name` prints the names, if it does."""
    flags = Flags(command, description)
    flags.add_argument(
        "--kubeconfig", help="kubeconfig file (default: in-cluster, else ~/.kube/config; variable KUBECONFIG)"
    )
    flags.add_argument("--context", help="context of the kubeconfig (default: its current one)")
    flags.add_argument(
        "-o",
        "--output",
        choices=("table", *tables.DATA, *(("name",) if names else ())),
        default="table",
        help=f"default table; name: {names}" if names else "default table",
    )
    return flags


def run(command: str, work: Coroutine[None, None, int]) -> int:
    """The exit status of `work`; 2 with one line for an unusable kubeconfig, 1 for what cannot be read."""
    try:
        return asyncio.run(work)
    except ConfigError as error:
        print(f"nodeeni {command}: {error}", file=sys.stderr)
        return 2
    except NotFound as error:
        print(f"nodeeni {command}: {error}; {INSTALL_CRDS}", file=sys.stderr)
    except (KubeError, NotThere, Refused) as error:
        print(f"nodeeni {command}: {error}", file=sys.stderr)
    except EC2Error as error:
        print(f"nodeeni {command}: {error}; `nodeeni doctor` tells what is missing", file=sys.stderr)
    return 1


@asynccontextmanager
async def cluster_client(options: Namespace) -> AsyncIterator[KubeClient]:
    """Raises ConfigError."""
    client = KubeClient.connect(options.kubeconfig, context=options.context)
    try:
        yield client
    finally:
        await client.close()
