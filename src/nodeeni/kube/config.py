"""Where the cluster is and who we are there: from a kubeconfig, or from the pod's service account.

lightkube knows the fields and makes TLS contexts and authentication of them. What it lacks is added here:
the merging of several files that `KUBECONFIG` may list, paths relative to the file that holds them, proxies
named by the file, and (in `exec_plugin.py`) version `v1` of exec plugins, which `aws eks` writes today.
"""

import base64
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

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
    tells whether HTTPS_PROXY and its like apply. `files` are those that all this was read from.
    """

    url: str
    tls: ssl.SSLContext
    auth: httpx2.Auth | None = None
    proxy: str | None = None
    server_name: str | None = None
    use_proxy_env: bool = True
    files: tuple[str, ...] = ()

    @property
    def by_proxy(self) -> bool:
        """Whether a proxy stands between us and the server, or may stand there."""
        return self.proxy is not None or (self.use_proxy_env and bool(getproxies()))


class _Named(msgspec.Struct):
    """An entry of one of a kubeconfig's three lists: its name, and one of the three."""

    name: str
    context: dict[str, Any] | None = None
    cluster: dict[str, Any] | None = None
    user: dict[str, Any] | None = None


class _File(msgspec.Struct):
    current_context: str = msgspec.field(default="", name="current-context")
    contexts: list[_Named] | None = None
    clusters: list[_Named] | None = None
    users: list[_Named] | None = None

    def members(self, kind: str) -> dict[str, dict[str, Any]]:
        """Contexts, clusters or users by name; of two with one name, the first."""
        entries: list[_Named] = getattr(self, f"{kind}s") or []
        return {entry.name: getattr(entry, kind) or {} for entry in reversed(entries)}


def find(
    kubeconfig: str | None, *, context: str | None = None, service_account: str = SERVICE_ACCOUNT
) -> Connection:
    """The connection that kubectl would make: the files given (one path or several, as in `KUBECONFIG`),
    else `KUBECONFIG`, else the pod's service account, else `~/.kube/config`. `context` names one of a file's
    contexts; the default is its current one.

    Raises ConfigError with one line that says what to change.
    """
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if given:
        return _from_files(given, context)
    if not context and "KUBERNETES_SERVICE_HOST" in os.environ and Path(service_account, "token").exists():
        return _in_cluster(service_account)
    if not Path(DEFAULT_KUBECONFIG).expanduser().is_file():
        raise ConfigError(
            f"no cluster to talk to: this is no pod, and {DEFAULT_KUBECONFIG} does not exist; "
            "give --kubeconfig or set KUBECONFIG"
        )
    return _from_files(DEFAULT_KUBECONFIG, context)


def _in_cluster(service_account: str) -> Connection:
    try:
        config = KubeConfig.from_service_account(service_account).get()
    except (LightkubeConfigError, OSError, KeyError) as error:
        raise ConfigError(
            f"the pod's service account in {service_account} is not usable ({error}); "
            "see automountServiceAccountToken of the pod"
        ) from error
    assert config is not None
    # Its token is read at each request.
    return _connection(config, {}, {}, service_account, (str(Path(service_account, "ca.crt")),))


def _from_files(given: str, wanted: str | None) -> Connection:
    merged = _merge(given)
    context_name = wanted or merged.current_context
    if not context_name:
        raise ConfigError(f"{given} names no current-context; set one with `kubectl config use-context NAME`")
    context = merged.members("context").get(context_name)
    if context is None:
        known = ", ".join(sorted(merged.members("context"))) or "none"
        raise ConfigError(f"{given} has no context {context_name!r}; it has {known}")
    cluster = _named_by(context, "cluster", merged, given)
    user = _named_by(context, "user", merged, given) if context.get("user") else {}
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
    return _connection(
        config, cluster, user, given, (*map(str, _paths(given)), *_certificates(cluster, user))
    )


def _certificates(cluster: dict[str, Any], user: dict[str, Any]) -> list[str]:
    """A tokenFile is none of them: it is read at each request."""
    named = [cluster.get("certificate-authority"), user.get("client-certificate"), user.get("client-key")]
    return [path for path in named if path]


def _connection(
    config: SingleConfig,
    cluster: dict[str, Any],
    user: dict[str, Any],
    source: str,
    files: tuple[str, ...],
) -> Connection:
    url = config.cluster.server
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"{source}: cluster server {url!r} is no http or https URL")
    try:
        _check_data(cluster)
        _check_data(user)
        return Connection(
            url=url,
            tls=_tls(config, url),
            auth=ExecAuth(ExecPlugin.read(user["exec"], cluster))
            if user.get("exec")
            else user_auth(config.user),
            proxy=cluster.get("proxy-url"),
            server_name=cluster.get("tls-server-name"),
            use_proxy_env=not _is_near(url),
            files=files,
        )
    except (ConfigError, LightkubeConfigError, OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{source}: credentials of context {config.context_name!r}: {error}") from error


def _tls(config: SingleConfig, url: str) -> ssl.SSLContext:
    if urlsplit(url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used: loading authorities takes 0.2 s
    return verify_cluster(config.cluster, config.user or User(), config.abs_file)


def _check_data(values: dict[str, Any]) -> None:
    for key, value in values.items():
        if key.endswith("-data"):
            try:
                base64.b64decode(value, validate=True)
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{key} is not base64: {error}") from error


def _is_near(url: str) -> bool:
    """Whether the server is on loopback or is the pod's own cluster: no proxy stands in between."""
    host = urlsplit(url).hostname or ""
    if host in ("localhost", os.environ.get("KUBERNETES_SERVICE_HOST")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _merge(given: str) -> _File:
    """The files of a `KUBECONFIG` list as one: what is named first stands, as in kubectl."""
    present = [path for path in _paths(given) if path.is_file()]
    if not present:
        raise ConfigError(f"kubeconfig {given} does not exist; give an existing file with --kubeconfig")
    files = [_read(path) for path in present]
    return _File(
        current_context=next((file.current_context for file in files if file.current_context), ""),
        contexts=[entry for file in files for entry in file.contexts or ()],
        clusters=[entry for file in files for entry in file.clusters or ()],
        users=[entry for file in files for entry in file.users or ()],
    )


def _paths(given: str) -> list[Path]:
    return [Path(part).expanduser() for part in given.split(os.pathsep) if part]


def _read(path: Path) -> _File:
    try:
        file = msgspec.convert(yaml.safe_load(path.read_text()), type=_File)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not a kubeconfig that can be read: {reason}") from error
    for kind, keys in _PATHS.items():
        for values in file.members(kind).values():
            _make_absolute(values, keys, path.parent)
    return file


def _make_absolute(values: dict[str, Any], keys: tuple[str, ...], folder: Path) -> None:
    for key in keys:
        if values.get(key):
            values[key] = str(folder / values[key])
    plugin = values.get("exec") or {}
    if os.sep in plugin.get("command", ""):
        plugin["command"] = str(folder / plugin["command"])


def _named_by(context: dict[str, Any], kind: str, merged: _File, given: str) -> dict[str, Any]:
    name = context.get(kind)
    found = merged.members(kind).get(str(name))
    if found is None:
        raise ConfigError(f"{given} has no {kind} {name!r}, which its current context names")
    return found
