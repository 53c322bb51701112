"""Kubeconfigs as kubectl, PyYAML and people write them; and those that are refused, with the way out."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.needs import program

from nodeeni.agent.block_yaml import YAMLError, parse_yaml
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x 1", "line 1: '&x 1' is YAML that is not read here; write it in block style or as JSON"),
        ("a: |\n  b", "line 1: '|' is YAML that is not read here; write it in block style or as JSON"),
        ("a: [b]", "line 1: '[b]' is YAML that is not read here; write it in block style or as JSON"),
        ("a: 1\n\tb: 2", "line 2: indented with a tab"),
        ("a: 1\na: 2", "line 2: a for the second time"),
        ("a: 1\n  b: 2", "line 2: 'b: 2' does not belong here"),
        ("a: 'b", "line 1: a quoted text that does not end on its line"),
    ],
)
def test_yaml_beyond_the_reader_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(YAMLError) as caught:
        parse_yaml(text)
    assert str(caught.value) == line


WORDS = st.text("abcXYZ019-./:_@#'\" =+", max_size=20)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 10**9), WORDS),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(WORDS.filter(bool), children, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(WORDS.filter(bool), TREES, max_size=4))
def test_what_pyyaml_writes_is_read_the_same(tree: dict[str, Any]) -> None:
    assert parse_yaml(yaml.safe_dump(tree, default_flow_style=False, width=10_000)) == tree


def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environment, str(tmp_path)) is None
    (tmp_path / "token").write_text("t")
    assert in_cluster({}, str(tmp_path)) is None
    assert in_cluster(environment, str(tmp_path)) == Access(
        "fd00::1", 443, authority_file=f"{tmp_path}/ca.crt", token_file=f"{tmp_path}/token"
    )
