"""The image: what it starts, and that the check without an engine does what the Dockerfile does."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hack.image.accounted import BOM, PACKAGES, SITE, unaccounted
from tests.deploy.conftest import ROOT

START = ("-I", "-m", "nodeeni")


def start(
    component: str | None, *arguments: str, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]} | ({"COMPONENT": component} if component else {})
    command = [sys.executable, *python, *START, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("component", "program"),
    [
        ("eni-manager", "nodeeni manager"),
        ("eni-controller", "nodeeni controller"),
        ("anything", "nodeeni controller"),
    ],
)
def test_the_component_chooses_and_arguments_pass_through(component: str, program: str) -> None:
    assert start(component, "--help").stdout.startswith(f"usage: {program} ")
    wrong = start(component, "--no-such-flag")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith(f"{program}: ")


def test_the_commands_for_people_are_there_too() -> None:
    assert start("eni-manager", "plan", "--help").stdout.startswith("usage: nodeeni plan ")
    assert start(None).stdout.startswith("usage: nodeeni COMMAND")


def test_the_eni_manager_loads_the_standard_library_and_itself_alone() -> None:
    timed = ("-X", "importtime")
    loaded = _imported(start("eni-manager", "--help", python=timed).stderr)
    # A distribution's own hooks (Debian's sitecustomize tries apport_python_hook) are the interpreter's.
    nothing = [sys.executable, "-I", *timed, "-c", "pass"]
    loaded -= _imported(subprocess.run(nothing, capture_output=True, text=True, timeout=60).stderr)
    ours = {name for name in loaded if name.startswith("nodeeni.")}
    assert "nodeeni.agent.app" in ours
    assert {name.split(".")[1] for name in ours} == {"agent", "flags", "logs"}
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"nodeeni"}
    assert not {name for name in foreign if not name.startswith("_")}


def _imported(stderr: str) -> set[str]:
    """Of what `-X importtime` tells."""
    return set(re.findall(r"\|\s+([\w.]+)$", stderr, re.MULTILINE))


def test_the_check_without_an_engine_does_what_the_dockerfile_does() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    check = (ROOT / "hack" / "image" / "check.sh").read_text()
    scripts = re.findall(r"^RUN (hack/image/\w+\.sh) /root-of-image$", dockerfile, re.MULTILINE)
    assert scripts == ["hack/image/base.sh", "hack/image/app.sh"]
    assert re.findall(r'^(hack/image/\w+\.sh) "\$root"$', check, re.MULTILINE) == scripts
    final = dockerfile[dockerfile.index("FROM scratch") :]
    assert re.findall(r"^(?:RUN|COPY|ADD).*", final, re.MULTILINE) == ["COPY --from=build /root-of-image /"]
    assert "USER 65532:65532" in final
    entry = re.search(r"^ENTRYPOINT \[(.*)\]$", final, re.MULTILINE)
    started = re.search(r"^start=\((.*)\)$", check, re.MULTILINE)
    assert entry is not None
    assert started is not None
    assert re.findall(r'"([^"]+)"', entry[1]) == started[1].split() == ["/usr/bin/python3.11", *START]


def test_every_package_of_the_image_is_pinned_with_its_hash_as_in_what_is_tested() -> None:
    image, tested = (_pins(f"requirements/{name}.txt") for name in ("image", "run"))
    assert image.items() <= tested.items()
    assert all(image.values())


def _pins(name: str) -> dict[str, frozenset[str]]:
    """Name and version → hashes."""
    text = (ROOT / name).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {
        block.split()[0]: frozenset(re.findall(r"--hash=(\S+)", block)) for block in blocks if "==" in block
    }


def _put(root: Path, name: str, text: str) -> bytes:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.read_bytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image's, with one package of Debian's and one of Python's."""
    md5 = hashlib.md5(_put(tmp_path, "usr/lib/libz.so", "z"), usedforsecurity=False).hexdigest()
    _put(tmp_path, f"{PACKAGES}/zlib1g", "Package: zlib1g\n")
    _put(tmp_path, f"{PACKAGES}/zlib1g.md5sums", f"{md5}  usr/lib/libz.so\n")
    sha256 = hashlib.sha256(_put(tmp_path, f"{SITE}/one.py", "1")).digest()
    told = base64.urlsafe_b64encode(sha256).decode().rstrip("=")
    _put(tmp_path, f"{SITE}/one-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
    record = f"one.py,sha256={told},1\none-1.0.dist-info/METADATA,,\none-1.0.dist-info/RECORD,,\n"
    _put(tmp_path, f"{SITE}/one-1.0.dist-info/RECORD", record)
    _put(tmp_path, BOM, json.dumps({"components": [{"name": "zlib1g"}, {"name": "one"}]}))
    _put(tmp_path, f"{SITE}/__pycache__/one.cpython-311.pyc", "compiled")
    _put(tmp_path, "etc/passwd", "root")
    return tmp_path


def test_every_file_of_the_image_is_brought_by_what_its_bill_of_materials_lists(root: Path) -> None:
    assert list(unaccounted(root)) == []
    _put(root, "usr/lib/libz.so", "changed")
    _put(root, f"{SITE}/one.py", "changed")
    _put(root, "usr/bin/curl", "nobody's")
    assert list(unaccounted(root)) == [
        "usr/bin/curl: no component of the bill of materials has it",
        "usr/lib/libz.so: not as its component brought it",
        f"{SITE}/one.py: not as its component brought it",  # compiled, and itself
        f"{SITE}/one.py: not as its component brought it",
    ]
    _put(root, BOM, json.dumps({"components": [{"name": "zlib1g"}]}))
    assert f"{SITE}/one.py: no component of the bill of materials has it" in list(unaccounted(root))
