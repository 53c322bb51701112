"""`nodeeni controller`: settings in, controller running, exit status out."""

import asyncio
import os
import sys
from collections.abc import Sequence

from nodeeni import logs
from nodeeni.controller import app
from nodeeni.kube.errors import ConfigError
from nodeeni.settings import controller_settings


def main(arguments: Sequence[str]) -> int:
    """Run until a signal: 0; 1 when the lease was lost; 2 when a setting cannot be used (UsageError)."""
    settings = controller_settings(arguments, os.environ)
    logs.configure(settings.verbosity, settings.log_format)
    try:
        return asyncio.run(app.run(settings, os.environ))
    except ConfigError as error:
        print(f"nodeeni controller: {error}", file=sys.stderr)
    except OSError as error:
        host, port = settings.metrics_addr
        print(f"nodeeni controller: --metrics-addr {host}:{port}: {error.strerror}", file=sys.stderr)
    return 2
