"""Shells complete our commands, their flags, and names in the cluster, by a script that is printed here.

The scripts ask `nodeeni __complete WORDS`, and kubectl, for its plugin, `kubectl_complete-nodeeni WORDS`.
Both are answered as cobra's programs answer: a candidate a line, with a tab and what it means, and at the end
whether files are meant.
"""

import asyncio
import importlib
import sys
from argparse import Action
from collections.abc import Iterable, Sequence

from nodeeni.cli.commands import COMMANDS
from nodeeni.flags import Flags, Parsed
from nodeeni.kube.client import KubeClient
from nodeeni.kube.errors import ConfigError, KubeError
from nodeeni.kube.resources import NODEENIS, NODES, Resource

_FILES, _NO_FILES = ":0", ":4"  # cobra's directives
_TIMEOUT = 2.0  # seconds that somebody who pressed Tab waits for the cluster
_MOST = 500  # names
_OF_FILES = ("--filename", "--kubeconfig")
# Command → of what its names are, one after another; the last one stays.
_NAMED: dict[str, tuple[tuple[Resource, ...], ...]] = {
    "status": ((NODEENIS, NODES),),
    "plan": ((NODES,),),
    "explain": ((NODEENIS, NODES),),
    "nad": ((NODEENIS,), ()),
    "adopt": ((), (NODEENIS,)),
}

_BASH = """\
# bash: source <(nodeeni completion bash)
_nodeeni() {
  local line words=("${COMP_WORDS[@]:1:COMP_CWORD}") last=""
  [ ${#words[@]} -ge "$COMP_CWORD" ] || words+=("")
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
    :0) compopt -o default ;;
    :*) ;;
    *) COMPREPLY+=("${line%%$'\\t'*}") ;;
    esac
  done < <(nodeeni __complete "${words[@]}" 2>/dev/null)
}
complete -F _nodeeni nodeeni
"""
_ZSH = """\
#compdef nodeeni
# zsh: source <(nodeeni completion zsh), or as _nodeeni in a folder of fpath
_nodeeni() {
  local line files; local -a found
  while IFS= read -r line; do
    case $line in
    :0) files=yes ;;
    :*) ;;
    *) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
    esac
  done < <(nodeeni __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#found )) && _describe nodeeni found
  [ -z "$files" ] || _files
}
compdef _nodeeni nodeeni
"""
_FISH = """\
# fish: nodeeni completion fish | source
function __nodeeni_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (nodeeni __complete $words[2..] 2>/dev/null)
        if test "$line" = :0
            __fish_complete_path (commandline -ct)
        else if not string match -q ':*' -- $line
            echo $line
        end
    end
end
complete -c nodeeni -f -a '(__nodeeni_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def main(arguments: Sequence[str]) -> int:
    flags = Flags(
        "completion",
        "Print the script that completes commands, flags and names: source <(nodeeni completion bash), the "
        "same with zsh, or nodeeni completion fish | source. For kubectl nodeeni nothing more is needed than "
        "the completion of kubectl itself.",
    )
    flags.add_argument("shell", choices=tuple(SCRIPTS))
    print(SCRIPTS[flags.parse_args(list(arguments)).shell], end="")
    return 0


def for_kubectl() -> int:
    """The console script `kubectl_complete-nodeeni`, which kubectl asks by its name."""
    return answer(sys.argv[1:])


def answer(words: Sequence[str]) -> int:
    """`words` after the program's name; the last one is being typed, and may be empty."""
    *before, word = words or [""]
    found, last = _candidates(before, word)
    for name, meaning in found:
        if name.startswith(word):
            print(f"{name}\t{meaning}" if meaning else name)
    print(last)
    return 0


def _candidates(before: Sequence[str], word: str) -> tuple[Iterable[tuple[str, str]], str]:
    if not before:
        return [(name, text) for name, (_, text) in COMMANDS.items()], _NO_FILES
    command, *rest = before
    parser = _parser(command)
    if parser is None:
        return [], _NO_FILES
    flags = {option: action for action in parser.shown() for option in action.option_strings}
    if word.startswith("-"):
        flag, equals, _ = word.partition("=")
        if equals:
            return [(f"{flag}={value}", "") for value in _values(flags.get(flag))], _NO_FILES
        return [(option, _first_line(action)) for option, action in flags.items()], _NO_FILES
    asked = flags.get(rest[-1]) if rest else None
    if asked is not None and asked.nargs is None:
        is_file = any(option in _OF_FILES for option in asked.option_strings)
        return [(value, "") for value in _values(asked)], _FILES if is_file else _NO_FILES
    return _positionals(command, parser, _given(rest, flags)), _NO_FILES


def _parser(command: str) -> Flags | None:
    """What the command would read its flags by."""
    if command not in COMMANDS:
        return None
    with Flags.stopped_at_parsing():
        try:
            importlib.import_module(COMMANDS[command][0]).main([])
        except Parsed as stopped:
            return stopped.by
        except ModuleNotFoundError:  # without an extra
            pass
    return None


def _values(action: Action | None) -> list[str]:
    return [str(choice) for choice in action.choices] if action is not None and action.choices else []


def _first_line(action: Action) -> str:
    return " ".join((action.help or "").split())[:80]


def _given(rest: Sequence[str], flags: dict[str, Action]) -> list[str]:
    """The names before the word, without flags and their values."""
    return [
        each
        for index, each in enumerate(rest)
        if not each.startswith("-")
        and not (index and (flag := flags.get(rest[index - 1])) is not None and flag.nargs is None)
    ]


def _positionals(command: str, parser: Flags, given: Sequence[str]) -> list[tuple[str, str]]:
    for action in parser.shown():
        if not action.option_strings and action.choices:
            return [(choice, "") for choice in _values(action)]
    wanted = _NAMED.get(command, ())
    kinds = wanted[min(len(given), len(wanted) - 1)] if wanted else ()
    return [each for each in asyncio.run(_names(kinds)) if each[0] not in given]


async def _names(kinds: Sequence[Resource]) -> list[tuple[str, str]]:
    """Of what cannot be read there are none: this is no place to complain."""
    try:
        client = KubeClient.connect(timeout=_TIMEOUT)
    except ConfigError:
        return []
    found: list[tuple[str, str]] = []
    try:
        for kind in kinds:
            async with asyncio.timeout(_TIMEOUT):
                page = await anext(client.pages(kind, limit=_MOST))
            found += [(name, kind.plural[:-1]) for name in page.names()]
    except (KubeError, TimeoutError):
        pass
    finally:
        await client.close()
    return found
