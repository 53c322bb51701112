"""How to reach the API server, and as whom: from a kubeconfig, or as a pod in the cluster.

JSON is read by the standard library, anything else by PyYAML, which is imported for it alone: a pod has a
service account and never loads it. What is not known is refused by name: a setting ignored in silence is a
way to the wrong server.
"""

import base64
import binascii
import contextlib
import json
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple


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
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be read: {error}") from error
    try:
        config = _parsed(text)
    except ValueError as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be understood: {error}") from error
    try:
        return _access(config, os.path.dirname(os.path.abspath(path)))
    except KubeconfigError as error:
        raise KubeconfigError(f"kubeconfig {path}: {error}") from error


def _parsed(text: str) -> Any:
    """ValueError, in one line, for what is neither JSON nor YAML."""
    with contextlib.suppress(json.JSONDecodeError):
        return json.loads(text)
    import yaml  # not before: it costs 1 MB, and in a pod nothing needs it

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            """As kubectl, and not as PyYAML, which lets the last of two win."""
            seen = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise ValueError(f"line {key.start_mark.line + 1}: {key.value} for the second time")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


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
        tls_name=_text(cluster, "tls-server-name"),
        verify=cluster.get("insecure-skip-tls-verify") is not True,
        authority_file=None if authority else _file(cluster, "certificate-authority", directory),
        authority=authority.decode("ascii", "replace") if authority else None,
        token_file=_file(user, "tokenFile", directory),
        token=_text(user, "token"),
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


def _text(entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise KubeconfigError(f"{key} is no text: put it into quotes")
    return value


def _file(entry: dict[str, Any], key: str, directory: str) -> str | None:
    name = _text(entry, key)
    return os.path.join(directory, name) if name else None


def _decoded(entry: dict[str, Any], key: str) -> bytes | None:
    if not entry.get(key):
        return None
    try:
        return base64.b64decode(entry[key], validate=True)
    except (binascii.Error, TypeError) as error:
        raise KubeconfigError(f"{key} is not base64: {error}") from error
