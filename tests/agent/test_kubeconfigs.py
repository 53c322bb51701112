"""Kubeconfigs as kubectl, PyYAML and people write them; and those that are refused, with the way out."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.needs import program

from nodeeni.agent.kubeconfig import Access, KubeconfigError, in_cluster, read_kubeconfig

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def config(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "other", "cluster": {"server": "https://no"}},
            {"name": "c", "cluster": cluster},
        ],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        "preferences": {},
        "users": [{"name": "u", "user": user}],
    }


def test_as_kubectl_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "ca.crt").write_text(PEM)
    for arguments in (
        "set-cluster c --server=https://10.0.0.1:6443",
        f"set-cluster c --certificate-authority={tmp_path}/ca.crt --embed-certs",
        "set-credentials u --token=secret",
        "set-context x --cluster=c --user=u",
        "use-context x",
    ):
        command = [program("kubectl"), f"--kubeconfig={path}", "config", *arguments.split()]
        subprocess.run(command, check=True, capture_output=True)
    assert read_kubeconfig(str(path)) == Access("10.0.0.1", 6443, authority=PEM, token="secret")


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps])
def test_files_are_found_beside_the_kubeconfig(tmp_path: Path, write: Any) -> None:
    cluster = {
        "server": "https://api.example:443/prefix/",
        "certificate-authority": "ca.crt",
        "tls-server-name": "api",
    }
    user = {"client-certificate": "c.crt", "client-key-data": base64.b64encode(b"KEY").decode()}
    path = tmp_path / "config"
    path.write_text(write(config(cluster, user)))
    assert read_kubeconfig(str(path)) == Access(
        "api.example",
        443,
        "/prefix",
        tls_name="api",
        authority_file=f"{tmp_path}/ca.crt",
        certificate_file=f"{tmp_path}/c.crt",
        key=b"KEY",
    )


def test_plain_http_without_a_user(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "# of the sandbox\ncurrent-context: x\nclusters:\n- name: c\n  cluster: {}\n".replace(
            "{}", "\n    server: 'http://127.0.0.1:8001' # loopback"
        )
        + "contexts:\n  - context:\n      cluster: c\n    name: x\n"
    )
    assert read_kubeconfig(str(path)) == Access("127.0.0.1", 8001, tls=False)


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        (
            {"server": "https://a"},
            {"exec": {"command": "aws"}},
            "user has exec, which the node agent cannot use",
        ),
        ({"server": "https://a"}, {"username": "me", "password": "x"}, "user has password, username, which"),
        ({"server": "https://a", "proxy-url": "http://p"}, {}, "cluster has proxy-url, which"),
        ({"server": "a:443"}, {}, "server 'a:443' is no http:// or https:// address"),
        (
            {"server": "https://a", "certificate-authority-data": "?"},
            {},
            "certificate-authority-data is not base64",
        ),
    ],
)
def test_what_it_cannot_use_is_refused_by_name(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], words: str
) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config(cluster, user)))
    with pytest.raises(KubeconfigError, match=f"^kubeconfig {path}: ") as caught:
        read_kubeconfig(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


FLOW = """\
{apiVersion: v1, kind: Config, current-context: x, clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}],
 contexts: [{name: x, context: {cluster: c, user: u}}], users: [{name: u, user: {token: secret}}]}
"""
ANCHORS = """\
%YAML 1.1
---
x-server: &server https://10.0.0.1:6443
current-context: x
clusters: [{name: c, cluster: {server: *server}}]
contexts:
- {name: x, context: {cluster: c, user: u}}
users:
- name: u
  user:
    token: >-
      secret
...
"""


@pytest.mark.parametrize("text", [FLOW, ANCHORS], ids=["flow style", "anchors, folded text, document marks"])
def test_any_yaml_is_read_as_kubectl_reads_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert read_kubeconfig(str(path)) == Access("10.0.0.1", 6443, token="secret")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 'b", "cannot be understood: while scanning a quoted scalar"),
        ("a: 1\n\tb: 2", "line 2, column 1"),
        ("a: 1\na: 2", "cannot be understood: line 2: a for the second time"),
        ("{a: 1, b: {c: 1, c: 2}}", "cannot be understood: line 1: c for the second time"),
        ("a: !unknown b", "could not determine a constructor for the tag"),
        ('{"a": 1', "cannot be understood: while parsing a flow mapping"),
        ("[]", "it is not a mapping"),
        ("", "it is not a mapping"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=f"^kubeconfig {path}") as caught:
        read_kubeconfig(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "line"),
    [({"token": 12345}, "token is no text: put it into quotes"), ({"tokenFile": 7}, "tokenFile is no text")],
)
def test_a_number_where_text_belongs_is_refused(tmp_path: Path, user: dict[str, Any], line: str) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config({"server": "https://a"}, user)))
    with pytest.raises(KubeconfigError, match=line):
        read_kubeconfig(str(path))


def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environment, str(tmp_path)) is None
    (tmp_path / "token").write_text("t")
    assert in_cluster({}, str(tmp_path)) is None
    assert in_cluster(environment, str(tmp_path)) == Access(
        "fd00::1", 443, authority_file=f"{tmp_path}/ca.crt", token_file=f"{tmp_path}/token"
    )
