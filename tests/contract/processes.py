"""Which API server tests meet: `make apitest` names the binary of a real one, in place of the sandbox's."""

import os

from hack.apiserver.processes import BINARY


def real_is_wanted() -> bool:
    return bool(os.environ.get(BINARY))
