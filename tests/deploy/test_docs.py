"""What the docs show is tried: manifests on an API server, values on the chart, commands, links."""

import itertools
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.deploy.conftest import CHART, IMAGE, ROOT

from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import main as cli
from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.world import World
from nodeeni.settings import CONTROLLER_SETTINGS

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "deploy" / "iam" / "README.md", ROOT / "CHANGELOG.md"])
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
Object = dict[str, Any]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of a page's shell blocks, word by word, without pipes into others."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" | "):
                words = shlex.split(part, comments=True)
                if words:
                    yield words


def all_commands(program: str) -> list[list[str]]:
    return [words for page in PAGES for words in commands(page) if words[0] == program]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(quick_settings()) as world:
        yield world


async def test_every_manifest_shown_is_accepted(world: World) -> None:
    shown = [yaml.safe_load(block) for page in PAGES for block in blocks(page, "yaml")]
    shown += [document for sample in SAMPLES for document in yaml.safe_load_all(sample.read_text())]
    ours = [document for document in shown if document.get("kind") == "NodeENI"]
    assert len(ours) >= 10
    for document in ours:
        accepted = world.kube.apply(document)
        msgspec.convert(accepted, NodeENI)
        assert accepted["spec"].items() >= document["spec"].items()  # nothing pruned


def test_every_helm_command_and_values_file_shown_renders(helm: str, tmp_path: Path) -> None:
    shown = [words for words in all_commands("helm") if words[1] in ("install", "upgrade")]
    inline = re.findall(r"`--set ([^`\s]+)`", "".join(page.read_text() for page in PAGES))
    values = [["--set", value] for value in inline]
    for words in shown:
        pairs = itertools.pairwise(words)
        values.append([part for option, value in pairs if option == "--set" for part in (option, value)])
    assert len(values) >= 6
    files = [block for page in PAGES for block in blocks(page, "yaml") if "\nkind:" not in block]
    assert files
    for number, text in enumerate(files):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        values.append(["--values", str(file)])
    for given in values:
        image = ["--set", f"image.repository={IMAGE}"]  # the examples of other values leave it out
        arguments = [helm, "template", "nodeeni", str(CHART), *image, *map(_unquoted, given)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_every_file_named_in_a_command_is_there() -> None:
    flags = ("-f", "-k", "--template-file")
    for words in (w for page in PAGES for w in commands(page)):
        for flag, name in itertools.pairwise(words):
            if flag in flags and name != "-":
                assert (ROOT / name).exists(), words
        if words[0] == "sed":
            assert (ROOT / words[-1]).exists(), words


def test_every_nodeeni_command_shown_exists_with_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(page.read_text() for page in PAGES if page.name != "settings.md")
    shown = all_commands("nodeeni") + [shlex.split(code) for code in re.findall(r"`(nodeeni [^`]+)`", text)]
    assert len(shown) >= 8
    for words in shown:
        assert words[1] in cli.COMMANDS, words
        flags = {word.split("=")[0] for word in words[2:] if word.startswith("--")}
        if words[1] == "controller":
            assert flags <= {setting.flag for setting in CONTROLLER_SETTINGS}, words
        elif flags:
            with pytest.raises(SystemExit):
                __import__(cli.COMMANDS[words[1]][0], fromlist=["main"]).main(["--help"])
            assert flags <= set(re.findall(r"--[\w-]+", capsys.readouterr().out)), words


def test_every_reason_in_troubleshooting_is_one_that_is_given() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    told = {
        reason
        for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE)
        for reason in re.findall(r"`([A-Z]\w*[a-z]\w*)`", row)
    }
    sources = "".join(path.read_text() for path in (ROOT / "src" / "nodeeni").rglob("*.py"))
    assert told
    assert {reason for reason in told if f'"{reason}"' not in sources} == set()


def _unquoted(word: str) -> str:
    """As a shell hands it over, where the docs show it within a sentence."""
    return word.replace('"', "")
