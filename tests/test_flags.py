"""The grammar that all programs share: what is true, what is empty, and which word was meant."""

import os
import re
import subprocess
import sys
from importlib import metadata

import pytest

from nodeeni.agent.settings import AGENT_SETTINGS, agent_settings
from nodeeni.flags import UsageError
from nodeeni.settings import CONTROLLER_SETTINGS, controller_settings

# What Go's strconv.ParseBool takes, and yes and no.
TRUE = ("1", "t", "T", "TRUE", "true", "True", "yes")
FALSE = ("0", "f", "F", "FALSE", "false", "False", "no")


@pytest.mark.parametrize("text", [*TRUE, *FALSE])
def test_both_programs_take_the_same_for_true_and_false(text: str) -> None:
    assert controller_settings([f"--dry-run={text}"], {}).dry_run == (text in TRUE)
    assert agent_settings([f"--debug={text}"], {}).debug == (text in TRUE)


def test_an_empty_text_is_as_if_it_were_not_given_in_both_programs() -> None:
    given = controller_settings(["--kubeconfig=", "--ec2-rate="], {"CLUSTER_ID": ""})
    assert given == controller_settings([], {})
    assert agent_settings(["--kubeconfig=", "--metrics-addr="], {"SPEC_FILE": ""}) == agent_settings([], {})


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "nodeeni", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("component", ["", "eni-controller", "eni-manager"])
@pytest.mark.parametrize(("word", "meant"), [("controler", "controller"), ("statsu", "status")])
def test_the_command_that_was_meant_is_named_in_the_image_too(component: str, word: str, meant: str) -> None:
    line = f"nodeeni: unknown command '{word}', did you mean {meant}?; see nodeeni --help\n"
    assert run(word, COMPONENT=component) == (2, "", line)


def test_where_nothing_is_like_it_nothing_is_proposed() -> None:
    assert run("frobnicate") == (2, "", "nodeeni: unknown command 'frobnicate'; see nodeeni --help\n")


@pytest.mark.parametrize(
    ("command", "wrong", "meant"),
    [
        ("controller", "--resynch-period=5m", "--resync-period"),
        ("controller", "-metrics-adress=:1", "--metrics-addr"),
        ("manager", "--manage-link", "--manage-links"),
        ("status", "--contxt=x", "--context"),
        ("sandbox", "--node", "--nodes"),
    ],
)
def test_the_flag_that_was_meant_is_named(command: str, wrong: str, meant: str) -> None:
    status, out, err = run(command, wrong)
    assert (status, out) == (2, "")
    given = wrong if wrong.startswith("--") else f"-{wrong}"
    assert err == (
        f"nodeeni {command}: unrecognized arguments: {given}, did you mean {meant}?; "
        f"see nodeeni {command} --help\n"
    )


@pytest.mark.parametrize("word", ["version", "--version"])
@pytest.mark.parametrize("component", ["", "eni-controller", "eni-manager"])
def test_the_version(word: str, component: str) -> None:
    status, out, err = run(word, COMPONENT=component)
    assert (status, err) == (0, "")
    ours = re.escape(metadata.version("nodeeni"))
    assert re.fullmatch(rf"nodeeni {ours} \(Python 3\.\d+\.\S+, \w+\)\n", out)


def test_a_flag_that_is_for_tests_alone_is_not_proposed() -> None:
    with pytest.raises(UsageError) as refusal:
        agent_settings(["--sysf=/x"], {})
    assert str(refusal.value) == "unrecognized arguments: --sysf=/x; see nodeeni manager --help"


def test_a_flag_of_both_programs_is_read_alike() -> None:
    controller, manager = ({s.flag: s for s in found} for found in (CONTROLLER_SETTINGS, AGENT_SETTINGS))
    shared = controller.keys() & manager.keys()
    assert shared == {"--kubeconfig", "--log-format", "--metrics-addr"}
    for flag in shared:
        assert controller[flag].parse is manager[flag].parse
        assert controller[flag].environment == manager[flag].environment
