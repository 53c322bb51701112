"""A real kube-apiserver with its etcd, on loopback: TLS, RBAC, an audit log.

NODEENI_APISERVER names the binary (`build.sh` prints its path). Tests and benchmarks stand on it.
"""

import atexit
import contextlib
import ctypes
import functools
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

BINARY = "NODEENI_APISERVER"
START_TIMEOUT = 120.0  # seconds: 4 on an idle machine
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork

# Who did what, and was it allowed: one line a request, written before the answer goes out.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [admin, "system:apiserver"]
- level: Metadata
"""


@dataclass(frozen=True)
class RealServer:
    """`admin` and `client` are tokens of cluster administrators; the audit log leaves `admin` out."""

    port: int
    etcd_port: int
    admin: str
    client: str
    directory: Path
    etcd: subprocess.Popen[bytes]
    apiserver: subprocess.Popen[bytes]

    @property
    def certificate(self) -> Path:
        return self.directory / "certs" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def end(self) -> None:
        """Before its time: what it keeps in memory is freed."""
        _end(self.apiserver)
        _end(self.etcd)
        shutil.rmtree(self.directory, ignore_errors=True)


class StartError(RuntimeError):
    """There is no API server, and what its log and etcd's say."""


def the_server() -> RealServer:
    """The one of this process that tests share. Raises StartError, each time the one of the first try."""
    tried = _tried()
    if isinstance(tried, StartError):
        raise StartError(str(tried))
    return tried


@functools.cache
def _tried() -> RealServer | StartError:
    try:
        return start()
    except StartError as error:
        return error


@dataclass(frozen=True)
class Wishes:
    """What a server is to be beside what all are. `users`: more lines of its token file. `flags`: its own.
    `binary`: not the one that NODEENI_APISERVER names; `directory`: not a new one."""

    binary: str = ""
    directory: Path | None = None
    authorization: str = "RBAC"
    users: Sequence[str] = ()
    flags: Sequence[str] = ()


def start(wishes: Wishes = Wishes()) -> RealServer:
    """A new one, ready; it ends with the process. Raises StartError, and then nothing is left of it."""
    with contextlib.ExitStack() as parts:
        server = _start_in(wishes.directory or _directory(parts), parts, wishes)
        _wait_until_ready(server)
        atexit.register(parts.pop_all().close)
    return server


def _directory(parts: contextlib.ExitStack) -> Path:
    memory = Path("/dev/shm")  # etcd syncs each write: that is nothing to wait for here
    directory = Path(tempfile.mkdtemp(prefix="nodeeni-apiserver-", dir=memory if memory.is_dir() else None))
    parts.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _start_in(directory: Path, parts: contextlib.ExitStack, wishes: Wishes) -> RealServer:
    etcd_port, peer_port, port = _free_ports(3)
    etcd = start_program(
        parts,
        directory,
        "etcd",
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
    )
    admin, client = secrets.token_hex(16), secrets.token_hex(16)
    tokens = directory / "tokens.csv"
    masters = [
        f'{token},{name},{name},"system:masters"' for token, name in ((admin, "admin"), (client, "client"))
    ]
    tokens.write_text("".join(f"{line}\n" for line in (*masters, *wishes.users)))
    policy = directory / "audit.yaml"
    policy.write_text(AUDIT_POLICY)
    key = directory / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    apiserver = start_program(
        parts,
        directory,
        wishes.binary or os.environ[BINARY],
        "--allow-privileged=true",  # as clusters have it
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={directory / 'certs'}",
        f"--authorization-mode={wishes.authorization}",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={directory / 'audit.log'}",
        "--audit-log-mode=blocking",
        "--shutdown-delay-duration=0s",
        *wishes.flags,
    )
    return RealServer(port, etcd_port, admin, client, directory, etcd, apiserver)


def start_program(
    parts: contextlib.ExitStack, directory: Path, program: str, *arguments: str
) -> subprocess.Popen[bytes]:
    """It logs to a file of its name in `directory`; it ends with `parts`, at the latest with this process."""
    with (directory / f"{Path(program).name}.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments], stdout=log, stderr=log, preexec_fn=_end_with_parent, cwd=directory
        )
    parts.callback(_end, process)
    return process


def _end_with_parent() -> None:
    """In the child: not even a SIGKILL of the tests leaves a server behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _wait_until_ready(server: RealServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        ended = [p for p in (server.etcd, server.apiserver) if p.poll() is not None]
        if ended or time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-2000:] for path in server.directory.glob("*.log"))
            raise StartError(f"no API server after {START_TIMEOUT:g} s, ended: {len(ended)}\n{logs}")
        with contextlib.suppress(OSError):
            connection = HTTPSConnection("127.0.0.1", server.port, context=server.tls(), timeout=5)
            connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {server.admin}"})
            ready = connection.getresponse().status == 200
            connection.close()
            if ready:
                return
        time.sleep(0.1)
