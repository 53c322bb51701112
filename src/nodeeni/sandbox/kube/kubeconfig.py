"""The kubeconfig that leads to the server."""

import base64
from pathlib import Path

import msgspec


def text(url: str, certfile: str | None, token: str | None) -> str:
    """YAML with one context, which is the current one."""
    cluster = {"server": url}
    if certfile:
        cluster["certificate-authority-data"] = base64.b64encode(Path(certfile).read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": "sandbox", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "current-context": "sandbox",
    }
    return msgspec.yaml.encode(config).decode()
