"""Ports for programs that are told theirs before they start."""

import socket


def free_port() -> int:
    """On loopback, a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
