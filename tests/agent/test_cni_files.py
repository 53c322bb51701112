"""The folder of CNI files: what is written there, what is never touched, and which folders are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodeeni.agent.cni_config import NotYet, Unfit, file_name, file_text
from nodeeni.agent.cni_files import CNIFolder, Directory
from nodeeni.agent.spec import PodNetwork, WantedInterface

NETWORK = PodNetwork("pods", "ipvlan", "L2", ("10.1.2.16/28", "10.1.2.64/28"))
WANTED = WantedInterface(
    "02:00:00:00:00:01", "eni-1", 9001, "data0", "pods", ("10.1.2.0/24",), NETWORK.prefixes, NETWORK
)
SIX = NETWORK._replace(prefixes=("10.1.2.16/28", "2001:db8:1:2:8000::/80"))


def written(network: PodNetwork = NETWORK, wanted: WantedInterface = WANTED) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file_text(wanted, network))
    return found


def test_a_file_is_ipvlan_over_the_link_with_a_range_for_each_prefix_of_the_subnet() -> None:
    assert written(NETWORK._replace(routes=(("10.0.0.0/8", ""), ("0.0.0.0/0", "10.1.2.9")))) == {
        "cniVersion": "0.4.0",
        "name": "pods",
        "type": "ipvlan",
        "master": "data0",
        "mode": "l2",
        "ipam": {
            "type": "host-local",
            "ranges": [
                [
                    {
                        "subnet": "10.1.2.0/24",
                        "rangeStart": "10.1.2.16",
                        "rangeEnd": "10.1.2.31",
                        "gateway": "10.1.2.1",
                    },
                    {
                        "subnet": "10.1.2.0/24",
                        "rangeStart": "10.1.2.64",
                        "rangeEnd": "10.1.2.79",
                        "gateway": "10.1.2.1",
                    },
                ]
            ],
            "routes": [{"dst": "10.0.0.0/8"}, {"dst": "0.0.0.0/0", "gw": "10.1.2.9"}],
        },
        "nodeeni": {"nodeENI": "pods", "eniID": "eni-1", "prefixes": ["10.1.2.16/28", "10.1.2.64/28"]},
    }


def test_both_families_are_two_sets_of_ranges_so_that_a_pod_gets_an_address_of_each() -> None:
    config = written(SIX, WANTED._replace(subnet_cidrs=("10.1.2.0/24", "2001:db8:1:2::/64")))
    four, six = config["ipam"]["ranges"]
    assert [each["rangeStart"] for each in four] == ["10.1.2.16"]
    assert six == [
        {
            "subnet": "2001:db8:1:2::/64",
            "rangeStart": "2001:db8:1:2:8000::",
            "rangeEnd": "2001:db8:1:2:8000:ffff:ffff:ffff",
            "gateway": "2001:db8:1:2::1",
        }
    ]


@pytest.mark.parametrize(("mode", "word"), [("L2", "l2"), ("L3", "l3"), ("L3S", "l3s")])
def test_the_mode_is_in_the_plugins_spelling_and_there_is_never_an_mtu(mode: str, word: str) -> None:
    config = written(NETWORK._replace(mode=mode))
    assert (config["mode"], "mtu" in config) == (word, False)


@pytest.mark.parametrize(
    ("network", "wanted", "message"),
    [
        (NETWORK._replace(name="a/../b"), WANTED, "'a/../b' is no DNS label, and names a file: choose"),
        (NETWORK._replace(name="x" * 64), WANTED, f"'{'x' * 64}' is no DNS label"),
        (NETWORK._replace(name=""), WANTED, "'' is no DNS label"),
        (NETWORK._replace(name="pods\n"), WANTED, "'pods\\n' is no DNS label"),
        (NETWORK._replace(type="macvlan"), WANTED, "podNetwork.type macvlan is not known"),
        (NETWORK._replace(mode="L4"), WANTED, "podNetwork.mode L4 is not known: choose L2, L3, L3S"),
        (NETWORK, WANTED._replace(interface_name=""), "the link has no fixed name: set interfaceName"),
        (NETWORK, WANTED._replace(subnet_cidrs=()), "10.1.2.16/28 does not lie in its subnet, no subnet"),
        (NETWORK, WANTED._replace(subnet_cidrs=("10.1.2.0/27",)), "10.1.2.64/28 does not lie in its subnet"),
        (NETWORK, WANTED._replace(subnet_cidrs=("10.1.2.0/99",)), "'10.1.2.0/99' is no block of addresses"),
        (NETWORK._replace(prefixes=("10.1.2.17/28",)), WANTED, "'10.1.2.17/28' is no block of addresses"),
        (SIX, WANTED, "2001:db8:1:2:8000::/80 does not lie in its subnet, 10.1.2.0/24"),
        (
            NETWORK._replace(routes=(("10.9.0.5/16", ""), ("10.9.0.0/16", "10.1.2.9"))),
            WANTED,
            "podNetwork.routes: dst 10.9.0.0/16 stands twice: take one of them out",
        ),
    ],
)
def test_what_cannot_be_a_file_is_refused_with_the_way_out(
    network: PodNetwork, wanted: WantedInterface, message: str
) -> None:
    with pytest.raises(Unfit) as refused:
        file_text(wanted, network)
    assert message in str(refused.value)


def test_without_a_prefix_the_file_waits() -> None:
    with pytest.raises(NotYet):
        file_text(WANTED, NETWORK._replace(prefixes=()))


def test_a_route_of_a_family_that_pods_have_no_address_of_waits_for_a_prefix() -> None:
    routed = NETWORK._replace(routes=(("10.9.0.0/16", ""), ("2001:db8:9::/48", "")))
    with pytest.raises(NotYet) as waits:
        file_text(WANTED, routed)
    assert str(waits.value) == (
        "podNetwork.routes: 2001:db8:9::/48 needs an IPv6 prefix, which the ENI has not: "
        "set ipv6PrefixCount, or take the route out"
    )
    both = WANTED._replace(subnet_cidrs=("10.1.2.0/24", "2001:db8:1:2::/64"))
    assert written(routed._replace(prefixes=SIX.prefixes), both)["ipam"]["routes"] == [
        {"dst": "10.9.0.0/16"},
        {"dst": "2001:db8:9::/48"},
    ]


def test_a_route_to_the_nodes_own_subnet_is_the_links_own_already() -> None:
    """One list names the subnets of all zones. Newer plugins would set that route before the link's own, and
    neighbours would be sent to by way of the router."""
    both = WANTED._replace(subnet_cidrs=("10.1.2.0/24", "2001:db8:1:2::/64"))
    zones = ("10.1.2.0/24", "10.1.3.0/24", "2001:db8:1:2::/64", "2001:db8:1:3::/64")
    routed = SIX._replace(routes=tuple((subnet, "") for subnet in zones))
    assert written(routed, both)["ipam"]["routes"] == [{"dst": "10.1.3.0/24"}, {"dst": "2001:db8:1:3::/64"}]
    assert "routes" not in written(NETWORK._replace(routes=(("10.1.2.0/24", ""),)))["ipam"]
    through = NETWORK._replace(routes=(("10.1.2.0/24", "10.1.2.9"),))  # somebody wants just that
    assert written(through)["ipam"]["routes"] == [{"dst": "10.1.2.0/24", "gw": "10.1.2.9"}]


def look(path: Path) -> Directory:
    with CNIFolder(str(path)) as folder:
        return folder.look()


def write(path: Path, text: str = "", network: str = "pods") -> None:
    with CNIFolder(str(path)) as folder:
        folder.write(network, text or file_text(WANTED, NETWORK))


def test_a_file_is_found_again_by_its_name_and_its_mark(tmp_path: Path) -> None:
    write(tmp_path)
    assert os.listdir(tmp_path) == ["90-nodeeni-pods.conf"]
    own = look(tmp_path).own["pods"]
    assert (own.text, own.eni_id, own.prefixes) == (file_text(WANTED, NETWORK), "eni-1", NETWORK.prefixes)
    assert (tmp_path / "90-nodeeni-pods.conf").stat().st_mode & 0o777 == 0o644


def test_what_is_not_ours_in_the_place_of_a_file_is_told_and_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text(file_text(WANTED, NETWORK))
    (tmp_path / file_name("link")).symlink_to(target)
    (tmp_path / file_name("folder")).mkdir()
    (tmp_path / file_name("foreign")).write_text('{"name": "foreign", "type": "macvlan"}')
    (tmp_path / file_name("half")).write_text('{"name": "half", ')
    os.mkfifo(tmp_path / file_name("pipe"))
    directory = look(tmp_path)
    assert directory.own == {}
    assert {
        network: told.split(" there is ")[1].split(":")[0] for network, told in directory.taken.items()
    } == {
        "link": "a symbolic link",
        "folder": "a folder",
        "foreign": "not ours",
        "half": "not ours",
        "pipe": "no file",
    }


def test_a_file_that_took_the_place_of_ours_meanwhile_is_not_written_through(tmp_path: Path) -> None:
    """Of a symbolic link the link goes, not what it names."""
    secret = tmp_path / "secret"
    secret.write_text("kept")
    (tmp_path / "90-nodeeni-pods.conf.tmp").symlink_to(secret)
    (tmp_path / "90-nodeeni-pods.conf").symlink_to(secret)
    write(tmp_path)
    assert secret.read_text() == "kept"
    assert not (tmp_path / "90-nodeeni-pods.conf").is_symlink()


def test_a_name_or_a_broken_file_that_sorts_first_is_told_of(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "99-late.conf").write_text("{")
    (tmp_path / "95-late.conf").write_text('{"name": "pods"}')
    assert look(tmp_path).trouble("pods") == ""
    (tmp_path / "10-broken.conflist").write_text("{")
    assert look(tmp_path).trouble("pods").startswith("10-broken.conflist there is no JSON")
    (tmp_path / "10-mine.conf").write_text('{"name": "pods"}')
    assert look(tmp_path).trouble("pods").startswith("10-mine.conf there has the name pods too")


def why(path: Path | str) -> str:
    with CNIFolder(str(path)) as folder:
        return folder.why_the_runtimes(folder.look())


@pytest.mark.parametrize("spelling", ["{}/etc/cni/net.d", "{}/etc/cni/net.d/", "{}/etc//cni/./x/../net.d"])
def test_the_runtimes_folder_is_refused_however_it_is_spelled(tmp_path: Path, spelling: str) -> None:
    (tmp_path / "etc/cni/net.d").mkdir(parents=True)
    (tmp_path / "etc/cni/x").mkdir()
    assert why(spelling.format(tmp_path)) == f"it is {tmp_path}/etc/cni/net.d"


def test_the_runtimes_folder_is_refused_by_a_symbolic_link_either_way(tmp_path: Path) -> None:
    (tmp_path / "etc/cni/net.d").mkdir(parents=True)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "etc/cni/net.d")
    assert why(tmp_path / "elsewhere") == f"it is {tmp_path}/etc/cni/net.d"
    (tmp_path / "k3s/cni").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "k3s/cni/net.d").symlink_to(tmp_path / "own")
    assert why(tmp_path / "k3s/cni/net.d") == f"it is {tmp_path}/k3s/cni/net.d"


@pytest.fixture
def mounts(namespaces: None, tmp_path: Path) -> Path:
    """The same folder under another path, as a container has it."""
    (tmp_path / "etc/cni/net.d").mkdir(parents=True)
    (tmp_path / "etc/cni/multus/net.d").mkdir(parents=True)
    (tmp_path / "in the pod").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("mounted", "named", "refused"),
    [
        ("etc/cni/net.d", "in the pod", True),
        ("etc/cni", "in the pod/net.d", True),
        ("etc/cni/multus/net.d", "in the pod", False),
        ("etc/cni/multus", "in the pod/net.d", False),
    ],
)
def test_the_runtimes_folder_is_refused_through_a_mount(
    mounts: Path, mounted: str, named: str, refused: bool
) -> None:
    program = (
        "import sys; from nodeeni.agent.cni_files import CNIFolder\n"
        "with CNIFolder(sys.argv[1]) as folder: print(folder.why_the_runtimes(folder.look()))"
    )
    script = 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$5"'
    arguments = [str(mounts / mounted), str(mounts / "in the pod"), sys.executable, program]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *arguments, str(mounts / named)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert done.stdout.strip().endswith("etc/cni/net.d") == refused, done.stdout
    assert bool(done.stdout.strip()) == refused


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("10-aws.conflist", '{"name": "aws-cni", "plugins": [{"name": "aws-cni", "type": "aws-cni"}]}'),
        ("00-multus.conf", '{"name": "multus-cni-network", "type": "multus-shim"}'),
        ("05-cilium.conflist", '{"name": "cilium", "plugins": [{"type": "cilium-cni"}]}'),
    ],
)
def test_a_folder_with_the_clusters_own_network_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "20-mine.conf").write_text('{"name": "mine", "type": "macvlan", "plugins": 7}')
    assert why(tmp_path) == ""
    (tmp_path / name).write_text(text)
    assert why(tmp_path) == f"{name} is in it"


KILLED = """
import os, sys
from nodeeni.agent import cni_files
left, calls = int(sys.argv[2]), 0
def counted(call):
    def step(*args, **options):
        global calls
        calls += 1
        if calls == left:
            os.kill(os.getpid(), 9)
        return call(*args, **options)
    return step
for name in ("open", "fsync", "rename", "unlink"):
    setattr(cni_files.os, name, counted(getattr(os, name)))
with cni_files.CNIFolder(sys.argv[1]) as folder:
    folder.look()
    folder.write("pods", sys.argv[3]) if sys.argv[3] else folder.remove("pods")
"""


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_killed_at_any_step_either_the_old_file_or_the_new_one_is_there(
    tmp_path: Path, old: bool, gone: bool
) -> None:
    """And what was half written is no file that Multus reads, and is cleaned up by the next look."""
    before = file_text(WANTED, NETWORK)
    after = "" if gone else file_text(WANTED, NETWORK._replace(prefixes=("10.1.2.16/28",)))
    for step in range(1, 20):
        folder = tmp_path / str(step)
        folder.mkdir()
        if old:
            write(folder, before)
        done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(step), after], check=False)
        read = [path.read_text() for path in folder.glob("*.conf")]
        assert read in ([before] if old else [], [after] if after else [])
        directory = look(folder)
        assert sorted(os.listdir(folder)) == [file_name(network) for network in directory.own]
        if done.returncode == 0:
            assert read == ([after] if after else [])
            break
    assert done.returncode == 0
    assert step > 2
