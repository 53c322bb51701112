"""A certificate for a server with TLS."""

import asyncio
from pathlib import Path
from typing import TypedDict


class Files(TypedDict):
    certfile: str
    keyfile: str


async def certified(directory: Path, name: str) -> Files:
    """`tls.crt`, which is its own authority, and `tls.key`; `name` as in `DNS:kubernetes`, `IP:127.0.0.1`."""
    files = Files(certfile=str(directory / "tls.crt"), keyfile=str(directory / "tls.key"))
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", "/CN=kubernetes", "-addext", f"subjectAltName={name}"),
        *("-keyout", files["keyfile"], "-out", files["certfile"]),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    return files
