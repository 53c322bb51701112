"""A machine on which nodes can have no kernels: the reason tells the command that brings them."""

import shutil
from pathlib import Path

import pytest

from nodeeni.sandbox.hosts import probe, way_out


@pytest.mark.parametrize(
    ("program", "there", "command"),
    [("ip", "unshare", "apt-get install iproute2"), ("unshare", "ip", "apt-get install util-linux")],
)
def test_a_program_that_is_not_installed(
    program: str, there: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which(there)
    assert found is not None
    (tmp_path / there).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    capability = probe()
    assert not capability.possible
    assert capability.reason == f"no program `{program}`; as root: {command}"


@pytest.mark.parametrize(
    ("switch", "value", "command"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ],
)
def test_user_namespaces_that_a_switch_of_the_kernel_forbids(
    switch: str, value: str, command: str, tmp_path: Path
) -> None:
    path = tmp_path / switch
    path.parent.mkdir()
    path.write_text(f"{value}\n")
    assert way_out(tmp_path, root=False) == f"as root: {command}"


def test_root_without_the_right_is_in_a_container(tmp_path: Path) -> None:
    assert "--privileged" in way_out(tmp_path, root=True)
    assert way_out(tmp_path, root=False) == "root can make them: sudo, and the same command"
