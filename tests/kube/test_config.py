"""Which cluster and whose credentials a start finds."""

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeeni.kube import config
from nodeeni.kube.errors import ConfigError


def kubeconfig(path: Path, **parts: Any) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "east",
        "contexts": [{"name": "east", "context": {"cluster": "east", "user": "me"}}],
        "clusters": [{"name": "east", "cluster": {"server": "http://127.0.0.1:6443"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        **parts,
    }
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_path_given(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    found = config.find(str(path))
    assert (found.url, found.use_proxy_env) == ("http://127.0.0.1:6443", False)


def test_first_of_several_files_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kubeconfig(tmp_path / "one", users=[], clusters=[])
    two = kubeconfig(tmp_path / "two", **{"current-context": "west"})
    three = kubeconfig(
        tmp_path / "three", clusters=[{"name": "east", "cluster": {"server": "http://elsewhere"}}]
    )
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (one, tmp_path / "absent", two, three))))
    assert config.find(None).url == "http://127.0.0.1:6443"


def test_service_account_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("pod-token")
    (account / "namespace").write_text("eni-controller-system")
    authorities = ssl.get_default_verify_paths().cafile
    assert authorities is not None
    (account / "ca.crt").write_bytes(Path(authorities).read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = config.find(None, service_account=str(account))
    assert (found.url, found.use_proxy_env) == ("https://[fd00::1]:443", False)


def test_file_in_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config")
    assert config.find(None).url == "http://127.0.0.1:6443"


def test_proxy_and_certificate_name_of_the_file(tmp_path: Path) -> None:
    cluster = {
        "server": "https://10.0.0.1",
        "proxy-url": "http://proxy:3128",
        "tls-server-name": "kubernetes",
    }
    path = kubeconfig(tmp_path / "config", clusters=[{"name": "east", "cluster": cluster}])
    found = config.find(str(path))
    assert (found.proxy, found.server_name, found.use_proxy_env) == ("http://proxy:3128", "kubernetes", True)


EXEC_V1ALPHA1 = {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "aws"}


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"current-context": None}, "names no current-context"),
        ({"current-context": "west"}, "no context 'west'"),
        ({"clusters": []}, "no cluster 'east'"),
        ({"users": []}, "no user 'me'"),
        ({"clusters": [{"name": "east", "cluster": {"server": "10.0.0.1"}}]}, "no http or https URL"),
        ({"users": [{"name": "me", "user": {"exec": EXEC_V1ALPHA1}}]}, "is not supported; use"),
        ({"users": [{"name": "me", "user": {"auth-provider": {"name": "oidc"}}}]}, "auth-provider"),
        (
            {
                "clusters": [
                    {"name": "east", "cluster": {"server": "https://a", "certificate-authority": "ca.crt"}}
                ]
            },
            "No such file",
        ),
        (
            {
                "clusters": [
                    {"name": "east", "cluster": {"server": "https://a", "certificate-authority-data": "####"}}
                ]
            },
            "certificate-authority-data is not base64",
        ),
        ({"clusters": [{"name": "east", "cluster": {"server": 5}}]}, "is not usable"),
        ({"contexts": "nonsense"}, "is not a kubeconfig"),
    ],
)
def test_unusable_file_is_refused_in_one_line(tmp_path: Path, parts: dict[str, Any], complaint: str) -> None:
    path = kubeconfig(tmp_path / "config", **parts)
    with pytest.raises(ConfigError, match=complaint) as refused:
        config.find(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "\x00"])
def test_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        config.find(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_to_be_found() -> None:
    with pytest.raises(ConfigError, match="give --kubeconfig or set KUBECONFIG"):
        config.find(None, service_account="/nonexistent")


def test_missing_file() -> None:
    with pytest.raises(ConfigError, match="/nonexistent does not exist"):
        config.find("/nonexistent")


def test_another_context_than_the_current_one(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    assert config.find(str(path), context="east").url == config.find(str(path)).url
    with pytest.raises(ConfigError, match="has no context 'west'; it has east"):
        config.find(str(path), context="west")
