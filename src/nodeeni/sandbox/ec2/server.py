"""The simulated EC2 (and STS) on loopback: one HTTP endpoint that speaks the Query protocol.

One call goes: signature, token bucket, faults, IAM, the action, the delay of the answer. The work is done at
the call's arrival, the answer is held back: as with EC2, others see the result before the caller does.
"""

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from . import quotas, wire
from .account import Account
from .actions import ACTIONS, Request
from .buckets import Buckets, Rival
from .calls import ABANDONED, CRASHED, DROPPED, OK, Call, Calls
from .clock import Clock
from .control import control_routes
from .denials import denial
from .errors import EC2Error
from .faults import Fault, Faults
from .iam import Policy, questions
from .lifecycle import Lifecycle, NodeKernels
from .paging import unfiltered
from .roles import AGENT_PATH, ASSUME, PodRoles
from .scene import Scene
from .settings import EC2Settings

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_STS_ACTIONS = {"GetCallerIdentity", ASSUME}


class _Dropped(Exception):
    """The connection was cut on request; there is nothing to answer."""


class EC2Server(Scene):
    """Start it, point `AWS_ENDPOINT_URL` at `url`; set the scene with the `add_...` methods."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        region: str = "us-west-2",
        account: str = "123456789012",
        settings: EC2Settings | None = None,
        kernels: NodeKernels | None = None,
    ) -> None:
        self.settings = settings or EC2Settings()
        super().__init__(Account(region, account, self.settings))
        self.lifecycle = Lifecycle(self.account, kernels)
        self.faults = Faults()
        self.calls = Calls()
        self.clock = Clock()
        self.buckets = Buckets(self.settings)
        self.policies: dict[str, Policy] = {}
        """By access key. Who signs with another one may do everything."""
        self.roles = PodRoles(account)
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._url = ""

    @property
    def url(self) -> str:
        return self._url

    async def start(self) -> None:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.add_routes(
            [
                web.post("/", self._serve),
                web.get(AGENT_PATH, self.roles.answer_of_agent),
                *control_routes(self, self.faults, self.calls, self.clock),
            ]
        )
        app.on_response_prepare.append(self._dated)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._host, self._port = self._runner.addresses[0][:2]
        self._url = f"http://{self._host}:{self._port}"

    async def stop(self) -> None:
        await self.lifecycle.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def rival(self, action: str, rate: float) -> Rival:
        """Another program that spends `rate` tokens per second of the action's bucket, until `stop`ped."""
        return Rival(self.buckets, action, rate)

    async def _dated(self, _: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Date"] = self.clock.date()

    # One call

    async def _serve(self, http: web.Request) -> web.Response:
        if http.headers.get("X-Amz-Target") == quotas.TARGET:
            return quotas.list_service_quotas(
                await http.text(), self.account, self.buckets.sizes(), self.settings.rates_told
            )
        arrived = asyncio.get_running_loop().time()
        request_id = str(uuid.uuid4())
        flat = dict(parse_qsl(await http.text(), keep_blank_values=True))
        action = flat.get("Action", "")
        code = CRASHED
        try:
            answer, code = await self._answer(http, action, wire.Parameters(flat), request_id, arrived)
            return answer
        except asyncio.CancelledError:
            code = ABANDONED
            raise
        except _Dropped:
            code = DROPPED
            if http.transport is not None:
                http.transport.abort()
            return web.Response()
        finally:
            seconds = asyncio.get_running_loop().time() - arrived
            shown = {name: value for name, value in flat.items() if name not in ("Action", "Version")}
            self.calls.add(Call(action, arrived, seconds, request_id, code, shown))

    async def _answer(
        self, http: web.Request, action: str, parameters: wire.Parameters, request_id: str, arrived: float
    ) -> tuple[web.Response, str]:
        """The HTTP answer and the code for the log."""
        reply = self.settings.reply_to(action).draw(self.account.random)
        try:
            if action == ASSUME:
                return _xml(self._render(action, request_id, self.roles.assumed(parameters))), OK
            access_key = self._admit(http, action, parameters)
            fault = self.faults.take(action, parameters.flat)
            raw = await _disturb(fault, "before")
            if raw is None:
                body = self._act(access_key, action, parameters, reply, fault)
                raw = await _disturb(fault, "after")
            if raw is not None:
                return raw, str(raw.status)
            if fault is not None and fault.lacks:
                body = _without(body, fault.lacks, fault.item)
            await _until(arrived + reply)
            return _xml(self._render(action, request_id, body)), OK
        except EC2Error as error:
            if error.status < 500:
                await _until(arrived + min(reply, 0.05))  # a refusal is quick
            text = wire.sts_error_xml if action in _STS_ACTIONS else wire.error_xml
            return _xml(text(error, request_id), error.status), error.code

    def _admit(self, http: web.Request, action: str, parameters: wire.Parameters) -> str:
        """The signature's presence, scope and age, then the bucket: a refused signature costs no token.

        Returns the access key.
        """
        header = http.headers.get("Authorization", "")
        if not header:
            raise EC2Error("MissingAuthenticationToken")
        credential = _CREDENTIAL.search(header)
        if credential is None or "Signature=" not in header:
            raise EC2Error("AuthFailure")
        if credential[2] != self.account.region and action not in _STS_ACTIONS:
            raise EC2Error(
                "AuthFailure",
                f"Credential should be scoped to a valid region, not '{credential[2]}': "
                f"this endpoint is {self.account.region}.",
            )
        self.roles.admit(http, credential[1], sts=action in _STS_ACTIONS)
        self.clock.admit(http.headers.get("X-Amz-Date", ""), sts=action in _STS_ACTIONS)
        if not self.buckets.spend(action, unfiltered=unfiltered(action, parameters)):
            raise EC2Error("RequestLimitExceeded")
        return credential[1]

    def _act(
        self, access_key: str, action: str, parameters: wire.Parameters, reply: float, fault: Fault | None
    ) -> Mapping[str, object]:
        spec = ACTIONS.get(action)
        if spec is None:
            raise EC2Error("InvalidAction", f"The action {action} is not valid for this web service.")
        spec.check(parameters)
        if action not in _STS_ACTIONS and (policy := self.policies.get(access_key)):
            policy.admit(self.account, action, parameters)
        if fault is not None and fault.denied is not None:
            for question in questions(self.account, action, parameters):  # none of what does not exist
                raise denial(fault.denied, self.account.id, question.action, question.arn)
        if parameters.boolean("DryRun"):
            raise EC2Error("DryRunOperation")
        stuck = fault is not None and fault.stuck
        return spec.handler(Request(self.account, self.lifecycle, parameters, reply, stuck))

    def _render(self, action: str, request_id: str, body: Mapping[str, object]) -> str:
        if action in _STS_ACTIONS:
            return wire.sts_reply_xml(action, request_id, body)
        return wire.reply_xml(action, request_id, body)


async def _disturb(fault: Fault | None, phase: str) -> web.Response | None:
    """Do what the fault asks for in this phase; an answer given here replaces EC2's."""
    if fault is None or fault.phase != phase:
        return None
    await asyncio.sleep(fault.delay)
    if fault.hang:
        await asyncio.Event().wait()
    if fault.drop:
        raise _Dropped
    if fault.body is not None:
        return web.Response(status=fault.status or 200, text=fault.body)
    if fault.code:
        raise EC2Error(fault.code, fault.message, fault.status)
    return None


def _without(found: Any, member: str, item: str) -> Any:
    """What was found, with that member left out of each structure which has a member `item`."""
    if isinstance(found, Mapping):
        left_out = {member} if item in [v for v in found.values() if isinstance(v, str)] else set()
        return {k: _without(v, member, item) for k, v in found.items() if k not in left_out}
    if isinstance(found, wire.Raw) and f">{item}<" in found:
        return wire.Raw(re.sub(f"<{member}>.*?</{member}>", "", found))
    if isinstance(found, list | tuple):
        return [_without(each, member, item) for each in found]
    return found


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/xml", charset="utf-8")
