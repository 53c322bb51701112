"""Where the cluster is and who we are there: from a kubeconfig, or from the pod's service account.

lightkube knows the fields and makes TLS contexts and authentication of them. What it lacks is added here:
the merging of several files that `KUBECONFIG` may list, paths relative to the file that holds them, proxies
named by the file, and (in `exec_plugin.py`) version `v1` of exec plugins, which `aws eks` writes today.
"""

import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import yaml
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from nodeeni.kube.errors import ConfigError
from nodeeni.kube.exec_plugin import ExecAuth, ExecPlugin

DEFAULT_KUBECONFIG = "~/.kube/config"
# Paths that are relative to the file which names them, by section and key.
_PATHS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}


class Connection(msgspec.Struct, frozen=True):
    """All that an HTTP client needs to talk to the API server as us.

    `server_name` is the name to expect in the certificate where it is not the URL's host; `use_proxy_env`
    tells whether HTTPS_PROXY and its like apply.
    """

    url: str
    tls: ssl.SSLContext
    auth: httpx2.Auth | None = None
    proxy: str | None = None
    server_name: str | None = None
    use_proxy_env: bool = True


def find(kubeconfig: str | None, *, service_account: str = SERVICE_ACCOUNT) -> Connection:
    """The connection that kubectl would make: the files given (one path or several, as in `KUBECONFIG`),
    else `KUBECONFIG`, else the pod's service account, else `~/.kube/config`.

    Raises ConfigError with one line that says what to change.
    """
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if given:
        return _from_files(given)
    if "KUBERNETES_SERVICE_HOST" in os.environ and Path(service_account, "token").exists():
        return _in_cluster(service_account)
    if not Path(DEFAULT_KUBECONFIG).expanduser().is_file():
        raise ConfigError(
            f"no cluster to talk to: this is no pod, and {DEFAULT_KUBECONFIG} does not exist; "
            "give --kubeconfig or set KUBECONFIG"
        )
    return _from_files(DEFAULT_KUBECONFIG)


def _in_cluster(service_account: str) -> Connection:
    try:
        config = KubeConfig.from_service_account(service_account).get()
    except (LightkubeConfigError, OSError, KeyError) as error:
        raise ConfigError(
            f"the pod's service account in {service_account} is not usable ({error}); "
            "see automountServiceAccountToken of the pod"
        ) from error
    assert config is not None
    return _connection(config, {}, {}, service_account)


def _from_files(given: str) -> Connection:
    merged = _merge(given)
    context_name = merged.get("current-context")
    if not context_name:
        raise ConfigError(f"{given} names no current-context; set one with `kubectl config use-context NAME`")
    contexts = _by_name(merged, "contexts", "context")
    if context_name not in contexts:
        raise ConfigError(f"{given} has no context {context_name!r}, its current-context")
    context = contexts[context_name]
    cluster = _member(merged, "cluster", context, given)
    user = _member(merged, "user", context, given) if context.get("user") else {}
    try:
        config = KubeConfig.from_dict(
            {
                "current-context": context_name,
                "contexts": [{"name": context_name, "context": context}],
                "clusters": [{"name": context["cluster"], "cluster": cluster}],
                "users": [{"name": context.get("user"), "user": {**user, "exec": None}}],
            }
        ).get()
    except (LightkubeConfigError, msgspec.ValidationError, KeyError) as error:
        raise ConfigError(f"{given}: context {context_name!r} is not usable: {error}") from error
    assert config is not None
    return _connection(config, cluster, user, given)


def _connection(
    config: SingleConfig, cluster: dict[str, Any], user: dict[str, Any], source: str
) -> Connection:
    url = config.cluster.server
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"{source}: cluster server {url!r} is no http or https URL")
    try:
        return Connection(
            url=url,
            tls=verify_cluster(config.cluster, config.user or User(), config.abs_file),
            auth=ExecAuth(ExecPlugin.read(user["exec"], cluster))
            if user.get("exec")
            else user_auth(config.user),
            proxy=cluster.get("proxy-url"),
            server_name=cluster.get("tls-server-name"),
            use_proxy_env=not _is_near(url),
        )
    except (LightkubeConfigError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{source}: credentials of context {config.context_name!r}: {error}") from error


def _is_near(url: str) -> bool:
    """Whether the server is on loopback or is the pod's own cluster: no proxy stands in between."""
    host = urlsplit(url).hostname or ""
    if host in ("localhost", os.environ.get("KUBERNETES_SERVICE_HOST")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _merge(given: str) -> dict[str, Any]:
    """The files of a `KUBECONFIG` list as one: what is named first stands, as in kubectl."""
    paths = [Path(part).expanduser() for part in given.split(os.pathsep) if part]
    present = [path for path in paths if path.is_file()]
    if not present:
        raise ConfigError(f"kubeconfig {given} does not exist; give an existing file with --kubeconfig")
    merged: dict[str, Any] = {}
    for path in present:
        content = _read(path)
        if content.get("current-context"):
            merged.setdefault("current-context", content["current-context"])
        for section in ("contexts", "clusters", "users"):
            merged.setdefault(section, []).extend(content.get(section) or [])
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).replace("\n", " ")
        raise ConfigError(f"kubeconfig {path} cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"kubeconfig {path} holds no configuration; write one with `aws eks update-kubeconfig`"
        )
    for kind, keys in _PATHS.items():
        for entry in content.get(f"{kind}s") or []:
            _make_absolute(entry.get(kind) or {}, keys, path.parent)
    return content


def _make_absolute(values: dict[str, Any], keys: tuple[str, ...], folder: Path) -> None:
    for key in keys:
        if values.get(key):
            values[key] = str(folder / values[key])
    plugin = values.get("exec") or {}
    if os.sep in plugin.get("command", ""):
        plugin["command"] = str(folder / plugin["command"])


def _by_name(merged: dict[str, Any], section: str, key: str) -> dict[str, dict[str, Any]]:
    return {entry.get("name"): entry.get(key) or {} for entry in reversed(merged[section])}


def _member(merged: dict[str, Any], kind: str, context: dict[str, Any], given: str) -> dict[str, Any]:
    name = context.get(kind)
    members = _by_name(merged, f"{kind}s", kind)
    if name not in members:
        raise ConfigError(f"{given} has no {kind} {name!r}, which its current context names")
    return members[name]
