"""Whether a controller leads, as its lease tells: for `nodeeni status` and `nodeeni doctor`."""

import datetime

import msgspec

from nodeeni.api import names
from nodeeni.cli.findings import Finding, note, right, wrong
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import KubeError, NotFound
from nodeeni.kube.resources import LEASES

_CHECK = "controller"


class _LeaseSpec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    renew_time: str | None = None
    lease_duration_seconds: int | None = None


class _Lease(msgspec.Struct):
    spec: _LeaseSpec


async def leader(client: KubeClient) -> Finding:
    """Who leads. Without leader election there is no lease, so its absence proves nothing."""
    try:
        found = (await client.get(LEASES, names.LEASE, _Lease, namespace=names.NAMESPACE)).spec
    except NotFound:
        return note(_CHECK, f"no lease {names.LEASE}: not started, or without --enable-leader-election")
    except KubeError as error:
        return note(_CHECK, f"the lease cannot be read: {error}")
    if not found.holder_identity or not found.renew_time:
        return wrong(_CHECK, f"nobody holds the lease: see `kubectl -n {names.NAMESPACE} get pods`")
    renewed = datetime.datetime.fromisoformat(found.renew_time)
    silent = (datetime.datetime.now(datetime.UTC) - renewed).total_seconds()
    if silent > (found.lease_duration_seconds or 15):
        return wrong(
            _CHECK, f"{found.holder_identity} has not renewed the lease for {silent:.0f} s: is it up?"
        )
    return right(_CHECK, f"{found.holder_identity} holds the lease")
