"""How to reach the API server, and as whom: from a kubeconfig, or as a pod in the cluster.

The standard library reads no YAML, so `block_yaml.py` reads the part of it that kubeconfigs are written in.
What this does not know it refuses, naming it: a setting ignored in silence is a way to the wrong server.
"""

import base64
import binascii
import json
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

from nodeeni.agent.block_yaml import YAMLError, parse_yaml


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used: one line that says what to change."""


class Access(NamedTuple):
    """Of each pair, a file is read again at every connection, since tokens and authorities are renewed."""

    host: str
    port: int
    path: str = ""  # prefix of every request
    tls: bool = True
    tls_name: str | None = None
    verify: bool = True
    authority_file: str | None = None
    authority: str | None = None  # PEM
    token_file: str | None = None
    token: str | None = None
    certificate_file: str | None = None
    certificate: bytes | None = None  # PEM
    key_file: str | None = None
    key: bytes | None = None  # PEM


def in_cluster(environment: Mapping[str, str], directory: str) -> Access | None:
    """As a pod's service account, whose files are in `directory`; None outside of a cluster."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token = f"{directory}/token"
    if not host or not port or not os.path.exists(token):
        return None
    return Access(host, int(port), authority_file=f"{directory}/ca.crt", token_file=token)


def read_kubeconfig(path: str) -> Access:
    """The current context of a kubeconfig in YAML or JSON. KubeconfigError tells what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        config = json.loads(text) if text.lstrip().startswith("{") else parse_yaml(text)
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be read: {error}") from error
    except (YAMLError, json.JSONDecodeError) as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be understood: {error}") from error
    try:
        return _access(config, os.path.dirname(os.path.abspath(path)))
    except KubeconfigError as error:
        raise KubeconfigError(f"kubeconfig {path}: {error}") from error


def _access(config: Any, directory: str) -> Access:
    if not isinstance(config, dict):
        raise KubeconfigError("it is not a mapping")
    context = _named(config, "contexts", config.get("current-context") or "", "context")
    cluster = _named(config, "clusters", context.get("cluster") or "", "cluster")
    user = _named(config, "users", context["user"], "user") if context.get("user") else {}
    _only(cluster, "cluster", _CLUSTER)
    _only(user, "user", _USER)
    server = urllib.parse.urlsplit(str(cluster.get("server") or ""))
    if server.scheme not in ("http", "https") or not server.hostname:
        raise KubeconfigError(f"server {cluster.get('server')!r} is no http:// or https:// address")
    authority = _decoded(cluster, "certificate-authority-data")
    return Access(
        host=server.hostname,
        port=server.port or (443 if server.scheme == "https" else 80),
        path=server.path.rstrip("/"),
        tls=server.scheme == "https",
        tls_name=cluster.get("tls-server-name"),
        verify=cluster.get("insecure-skip-tls-verify") is not True,
        authority_file=None if authority else _file(cluster, "certificate-authority", directory),
        authority=authority.decode("ascii", "replace") if authority else None,
        token_file=_file(user, "tokenFile", directory),
        token=user.get("token"),
        certificate_file=_file(user, "client-certificate", directory),
        certificate=_decoded(user, "client-certificate-data"),
        key_file=_file(user, "client-key", directory),
        key=_decoded(user, "client-key-data"),
    )


_CLUSTER = frozenset(
    (
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "extensions",
    )
)
_USER = frozenset(
    ("token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data")
)


def _named(config: dict[str, Any], section: str, name: str, kind: str) -> dict[str, Any]:
    if not name:
        raise KubeconfigError(
            "it has no current-context" if kind == "context" else f"its context has no {kind}"
        )
    entries = config.get(section)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind) or {}
            if not isinstance(found, dict):
                break
            return found
    raise KubeconfigError(f"{section} has no usable entry {name!r}")


def _only(entry: dict[str, Any], kind: str, known: frozenset[str]) -> None:
    unknown = sorted(key for key in entry.keys() - known if entry[key] not in (None, {}, ""))
    if unknown:
        raise KubeconfigError(
            f"{kind} has {', '.join(unknown)}, which the node agent cannot use: give it a token, a tokenFile "
            "or a client certificate"
        )


def _file(entry: dict[str, Any], key: str, directory: str) -> str | None:
    return os.path.join(directory, entry[key]) if entry.get(key) else None


def _decoded(entry: dict[str, Any], key: str) -> bytes | None:
    if not entry.get(key):
        return None
    try:
        return base64.b64decode(entry[key], validate=True)
    except (binascii.Error, TypeError) as error:
        raise KubeconfigError(f"{key} is not base64: {error}") from error
