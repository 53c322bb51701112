"""The sandbox's API server and a real one give the same answers.

The answers of a real kube-apiserver are recorded beside this file, so that each run compares with it: `make
test` the sandbox's, `make apitest` the real one's of today. `make apitest RECORD=1` records anew.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.contract.custom_scenes import CUSTOM_SCENES
from tests.contract.recorded import compared, definitions
from tests.contract.scenes import SCENES
from tests.contract.servers import new_server, session
from tests.contract.transcript import Transcript
from tests.sandbox.kube.clients import Client


@pytest.fixture
async def transcript() -> AsyncIterator[Transcript]:
    server = new_server()
    for manifest in definitions().values():
        server.create(manifest)
    await server.start()
    async with session(server) as http:
        http.headers["User-Agent"] = "contract/1.0"
        yield Transcript(Client(http))
    await server.stop()


@pytest.mark.parametrize("scene", [*SCENES, *CUSTOM_SCENES], ids=lambda scene: scene.__name__)
async def test_answers_are_those_of_a_real_api_server(
    transcript: Transcript, scene: Callable[[Transcript], Awaitable[None]]
) -> None:
    await scene(transcript)
    compared(scene.__name__, transcript.lines())
