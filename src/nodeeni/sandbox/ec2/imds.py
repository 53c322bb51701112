"""The metadata service (IMDSv2) of one simulated instance: region, identity, interfaces, credentials.

Version 1 (no session token) is refused, as on EKS nodes. Clients find it by
`AWS_EC2_METADATA_SERVICE_ENDPOINT`.
"""

import json
import secrets
import socket
import time
from datetime import UTC, datetime, timedelta

from aiohttp import web

from .account import Account
from .model import Instance, Interface

_ROLE = "sandbox-node-role"
_LONGEST_TTL = 21600
# Each names the same data here; what a version came with is not told apart.
_VERSIONS = (
    *("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15"),
    *("2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12"),
    *("2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02"),
    *("2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03"),
    *("2021-03-23", "2021-07-15", "2022-09-24", "latest"),
)
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"


class Imds:
    """`url` is the endpoint once started, by default on a free port of 127.0.0.1, or on a socket given."""

    def __init__(self, account: Account, instance_id: str) -> None:
        self._account = account
        self._instance_id = instance_id
        self._tokens: dict[str, float] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, listening: socket.socket | None = None
    ) -> None:
        app = web.Application()
        app.add_routes([web.put("/latest/api/token", self._token), web.get("/{path:.*}", self._get)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        if listening is None:
            await web.TCPSite(self._runner, host, port).start()
        else:
            await web.SockSite(self._runner, listening).start()
        address = self._runner.addresses[0]
        self.url = f"http://{address[0]}:{address[1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        ttl = request.headers.get(_TTL_HEADER, "")
        if "X-Forwarded-For" in request.headers:
            return web.Response(status=403)
        if not ttl.isdigit() or not 1 <= int(ttl) <= _LONGEST_TTL:
            return web.Response(status=400)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(ttl)
        return web.Response(text=token, headers={_TTL_HEADER: ttl})

    async def _get(self, request: web.Request) -> web.Response:
        expires = self._tokens.get(request.headers.get(_TOKEN_HEADER, ""))
        if expires is None or expires < time.monotonic():
            return web.Response(status=401)
        version, _, path = request.match_info["path"].strip("/").partition("/")
        if not version:
            return web.Response(text="\n".join(_VERSIONS))
        found = self._find(path) if version in _VERSIONS else None
        return web.Response(status=404) if found is None else web.Response(text=found)

    def _find(self, path: str) -> str | None:
        """The document at `path` of any version, or the listing of what is below it, a directory's name
        ending in `/`."""
        tree = self._tree()
        if path in tree:
            return tree[path]
        prefix = f"{path}/" if path else ""
        below = [key.removeprefix(prefix) for key in tree if key.startswith(prefix)]
        names = dict.fromkeys(f"{rest.split('/')[0]}/" if "/" in rest else rest for rest in below)
        return "\n".join(names) if names else None

    def _tree(self) -> dict[str, str]:
        instance = self._account.instance(self._instance_id)
        interfaces = self._account.interfaces_of(instance.id)
        data = {
            "ami-id": instance.image_id,
            "hostname": instance.private_dns_name,
            "iam/security-credentials/" + _ROLE: _credentials(),
            "instance-id": instance.id,
            "instance-type": instance.type,
            "local-hostname": instance.private_dns_name,
            "local-ipv4": instance.private_ip,
            "mac": interfaces[0].mac if interfaces else "",
            "placement/availability-zone": instance.zone,
            "placement/region": self._account.region,
        }
        for interface in interfaces:
            for name, value in self._interface(interface).items():
                data[f"network/interfaces/macs/{interface.mac}/{name}"] = value
        tree = {f"meta-data/{name}": value for name, value in data.items()}
        tree["dynamic/instance-identity/document"] = self._identity(instance)
        return tree

    def _interface(self, interface: Interface) -> dict[str, str]:
        account, attachment = self._account, interface.attachment
        vpc = account.vpcs[interface.vpc_id]
        return {
            "device-number": str(attachment.device_index if attachment else 0),
            "network-card": str(attachment.network_card_index if attachment else 0),
            "interface-id": interface.id,
            "local-hostname": "".join(map(account.dns_name, interface.private_ips[:1])),
            **_lists(interface),
            "mac": interface.mac,
            "owner-id": account.id,
            "security-group-ids": "\n".join(interface.group_ids),
            "subnet-id": interface.subnet_id,
            "subnet-ipv4-cidr-block": account.subnets[interface.subnet_id].cidr,
            "vpc-id": interface.vpc_id,
            "vpc-ipv4-cidr-block": vpc.cidr,
        }

    def _identity(self, instance: Instance) -> str:
        document = {
            "accountId": self._account.id,
            "architecture": "x86_64",
            "availabilityZone": instance.zone,
            "imageId": instance.image_id,
            "instanceId": instance.id,
            "instanceType": instance.type,
            "pendingTime": instance.launched_at,
            "privateIp": instance.private_ip,
            "region": self._account.region,
            "version": "2017-09-30",
        }
        return json.dumps(document, indent=2)


def _lists(interface: Interface) -> dict[str, str]:
    """Of a kind that it has none of, there is no such path."""
    lists = {
        "local-ipv4s": interface.private_ips,
        "ipv4-prefix": interface.ipv4_prefixes,
        "ipv6s": interface.ipv6_addresses,
        "ipv6-prefix": interface.ipv6_prefixes,
    }
    return {name: "\n".join(held) for name, held in lists.items() if held}


def _credentials() -> str:
    """Any will do: the simulator looks for a signature and does not verify it."""
    now = datetime.now(UTC)
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIASANDBOX000000000",
            "SecretAccessKey": "sandbox",
            "Token": "sandbox",
            "Expiration": (now + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
