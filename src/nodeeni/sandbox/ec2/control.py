"""The simulator's own endpoints under /_sandbox/, for other processes: faults in, calls and interfaces out.

POST   /_sandbox/faults      {"action": "AttachNetworkInterface", "code": "InternalError", "times": 2}
GET    /_sandbox/faults      those not yet spent
DELETE /_sandbox/faults
POST   /_sandbox/clock       {"ahead": 600}: EC2's clock is so many seconds ahead of this machine's
GET    /_sandbox/calls       ?action=...; the counts are in `counts`
GET    /_sandbox/interfaces
GET    /_sandbox/instances
"""

from typing import Any

import msgspec
from aiohttp import web

from .calls import Calls
from .clock import Clock
from .faults import Fault, Faults
from .scene import Scene


class _Ahead(msgspec.Struct, forbid_unknown_fields=True):
    ahead: float


def control_routes(scene: Scene, faults: Faults, calls: Calls, clock: Clock) -> list[web.RouteDef]:
    async def add_fault(request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=f"{error}\n")
        faults.add(fault)
        return _json(fault)

    async def list_faults(_: web.Request) -> web.Response:
        return _json(faults.pending())

    async def clear_faults(_: web.Request) -> web.Response:
        faults.clear()
        return _json([])

    async def set_clock(request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=_Ahead)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=f"{error}\n")
        clock.ahead = asked.ahead
        return _json(asked)

    async def list_calls(request: web.Request) -> web.Response:
        action = request.query.get("action")
        shown = list(calls) if action is None else calls.of(action)
        counts: dict[str, dict[str, int]] = {}
        for (name, code), count in calls.by_code.items():
            counts.setdefault(name, {})[code] = count
        return _json({"counts": counts, "throttled": calls.throttled, "calls": shown})

    async def list_interfaces(_: web.Request) -> web.Response:
        return _json([msgspec.to_builtins(each) | {"status": each.status} for each in scene.interfaces()])

    async def list_instances(_: web.Request) -> web.Response:
        return _json(scene.instances())

    return [
        web.post("/_sandbox/faults", add_fault),
        web.get("/_sandbox/faults", list_faults),
        web.delete("/_sandbox/faults", clear_faults),
        web.post("/_sandbox/clock", set_clock),
        web.get("/_sandbox/calls", list_calls),
        web.get("/_sandbox/interfaces", list_interfaces),
        web.get("/_sandbox/instances", list_instances),
    ]


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
