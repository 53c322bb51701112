"""`python -m nodeeni.sandbox.machines.enter ENTRANCE COMMAND...`: a command on a machine, as if it ran here.

Its input, output and exit status are this process's, and signals that this one gets go to it.
"""

import base64
import json
import os
import signal
import socket
import sys
import threading
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_PART = 32768


def main(arguments: list[str]) -> int:
    """The command's exit status; 255 if the machine cannot be reached."""
    entrance, *argv = arguments
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(entrance)
    except OSError as error:
        print(f"the machine cannot be reached: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 255
    lock = threading.Lock()

    def tell(**message: Any) -> None:
        with lock:
            connection.sendall(json.dumps(message).encode() + b"\n")

    tell(argv=argv, env=dict(os.environ))
    for number in _SIGNALS:
        signal.signal(number, lambda number, _frame: tell(signal=number))
    threading.Thread(target=_give_input, args=(tell,), daemon=True).start()
    for line in connection.makefile("rb"):
        message = json.loads(line)
        if "fd" in message:
            _write(message["fd"], base64.b64decode(message["data"]))
        elif "status" in message:
            return _ended(message["status"])
        else:
            print(message["error"], file=sys.stderr)  # noqa: T201
    return 255


def _give_input(tell: Any) -> None:
    while True:
        try:
            part = os.read(0, _PART)
        except OSError:
            part = b""
        tell(data=base64.b64encode(part).decode())
        if not part:
            return


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _ended(status: int) -> int:
    """The exit status; where a signal ended the command it ends this process too, as its parent expects."""
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
