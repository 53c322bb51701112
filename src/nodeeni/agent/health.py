"""`/healthz` and `/metrics` on a small listener of its own; not opened unless `--metrics-addr` is set."""

import socket
import time
from collections.abc import Callable

from nodeeni.agent.counters import Counters

_REQUEST = 8192
_PATIENCE = 2.0  # seconds for a client to say what it wants


def listen(address: tuple[str, int]) -> socket.socket:
    """OSError if the address cannot be had."""
    host, port = address
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


class Health:
    def __init__(self, listener: socket.socket, counters: Counters, silence_allowed: float) -> None:
        """Healthy while the main loop's last beat is at most `silence_allowed` seconds old."""
        self._listener = listener
        self._counters = counters
        self._silence_allowed = silence_allowed
        self._pages: dict[str, Callable[[], tuple[str, str]]] = {
            "/healthz": self._healthz,
            "/metrics": self._metrics,
        }

    def run(self) -> None:
        """One client at a time, for as long as the process lives."""
        while True:
            client, _ = self._listener.accept()
            client.settimeout(_PATIENCE)
            with client:
                try:
                    self._serve(client)
                except OSError:
                    continue  # a client that went away is its own affair

    def _serve(self, client: socket.socket) -> None:
        request, deadline = b"", time.monotonic() + _PATIENCE
        while b"\r\n\r\n" not in request and len(request) < _REQUEST:
            if time.monotonic() > deadline:
                return  # kubelet's probe waits behind this one
            part = client.recv(_REQUEST)
            if not part:
                return
            request += part
        words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        page = self._pages.get(words[1].split("?")[0]) if len(words) == 3 and words[0] == "GET" else None
        status, text = page() if page else ("404 Not Found", "try /healthz or /metrics\n")
        body = text.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    def _healthz(self) -> tuple[str, str]:
        silence = self._counters.silence()
        if silence > self._silence_allowed:
            return "503 Service Unavailable", f"the main loop has been silent for {silence:.0f} s\n"
        return "200 OK", "ok\n"

    def _metrics(self) -> tuple[str, str]:
        return "200 OK", self._counters.text()
