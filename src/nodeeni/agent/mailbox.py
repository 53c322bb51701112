"""The newest spec, on its way from the watch's thread to the main thread."""

import os
import threading

from nodeeni.agent.spec import NodeSpec


class Mailbox:
    """`fd`, an eventfd, becomes readable when there is something to take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spec: NodeSpec | None = None
        self._stop = False
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def put(self, spec: NodeSpec) -> None:
        with self._lock:
            self._spec = spec
        os.eventfd_write(self.fd, 1)

    def stop(self) -> None:
        """Ends the loop. Safe in a signal handler: takes no lock."""
        self._stop = True
        os.eventfd_write(self.fd, 1)

    def take(self) -> tuple[NodeSpec | None, bool]:
        """(a new spec or None, whether to stop)."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass
        with self._lock:
            spec, self._spec = self._spec, None
        return spec, self._stop
