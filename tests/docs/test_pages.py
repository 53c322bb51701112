"""What the docs show is tried: manifests on an API server, values on the chart, commands, links."""

import itertools
import json
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import yaml
from tests.deploy.conftest import CHART, IMAGE, ROOT
from tests.docs.pages import PAGES, blocks, name

from nodeeni.api.v1alpha1 import NodeENI
from nodeeni.cli import commands as cli
from nodeeni.sandbox.ec2 import quick_settings
from nodeeni.sandbox.world import World
from nodeeni.settings import CONTROLLER_SETTINGS

FENCED = re.MULTILINE | re.DOTALL
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
Object = dict[str, Any]


def shown(language: str) -> list[str]:
    return [block.text for page in PAGES for block in blocks(page, language)]


def commands() -> Iterator[list[str]]:
    """The command lines of all shell blocks, word by word, without pipes into others."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.lines:
                for part in line.split(" | "):
                    yield shlex.split(part)


def all_commands(program: str) -> list[list[str]]:
    return [words for words in commands() if words[0] == program]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=FENCED), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=FENCED)
    for target, anchor in re.findall(r"\]\(\s*([^)#\s]*)(?:#([\w-]+))?\)", text):
        if target.startswith("https://"):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{target}#{anchor}"


def test_the_front_page_is_short_and_says_what_operators_look_for() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
    text = "".join(page.read_text().lower() for page in PAGES)
    searched = ("reconcile", "drift", "desired", "orphan", "rollout", "leak")
    assert [word for word in searched if word not in text] == []


def test_the_recording_is_of_a_run_that_left_nothing_and_names_no_machine() -> None:
    picture = (ROOT / "docs" / "demo.svg").read_text()
    root = ElementTree.fromstring(picture)
    lines = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert lines[0] == "$ make demo"
    assert lines[-1] == "everything came up, and everything is gone again"
    assert "left out" not in picture
    assert len(picture) < 16_000
    assert not re.search(r"/(tmp|home|root|work)/", picture)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(quick_settings()) as world:
        yield world


def test_every_json_shown_is_such() -> None:
    assert all(isinstance(json.loads(text), dict) for text in shown("json"))


async def test_every_manifest_shown_is_accepted(world: World) -> None:
    documents = [document for block in shown("yaml") for document in yaml.safe_load_all(block)]
    documents += [document for sample in SAMPLES for document in yaml.safe_load_all(sample.read_text())]
    ours = [document for document in documents if document.get("kind") == "NodeENI"]
    assert len(ours) >= 10
    for document in ours:
        accepted = world.kube.apply(document)
        msgspec.convert(accepted, NodeENI)
        assert accepted["spec"].items() >= document["spec"].items()  # nothing pruned


def test_every_helm_command_and_values_file_shown_renders(helm: str, tmp_path: Path) -> None:
    installed = [words for words in all_commands("helm") if words[1] in ("install", "upgrade")]
    inline = re.findall(r"`--set ([^`\s]+)`", "".join(page.read_text() for page in PAGES))
    values = [["--set", value] for value in inline]
    for words in installed:
        pairs = itertools.pairwise(words)
        values.append([part for option, value in pairs if option == "--set" for part in (option, value)])
    assert len(values) >= 6
    files = [text for text in shown("yaml") if "\nkind:" not in text]
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
    for words in commands():
        for flag, file in itertools.pairwise(words):
            if flag in flags and file != "-":
                assert (ROOT / file).exists(), words
        if words[0] == "sed":
            assert (ROOT / words[-1]).exists(), words


def test_every_nodeeni_command_shown_exists_with_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(page.read_text() for page in PAGES if page.name != "settings.md")
    named = all_commands("nodeeni") + [shlex.split(code) for code in re.findall(r"`(nodeeni [^`]+)`", text)]
    assert len(named) >= 8
    for words in named:
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
