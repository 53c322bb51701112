"""`nodeeni COMMAND`: finds the command, loads nothing else, and turns usage errors into one line.

Each command is one module with `main(arguments) -> exit status`; it is imported only when it is asked for,
so that the ENI manager of a node never loads the controller.
"""

import importlib
import os
import sys

from nodeeni.cli.commands import COMMANDS
from nodeeni.flags import UsageError, meaning

# Packages that only an extra brings → the extra.
EXTRAS = {"cel_expr_python": "sandbox", "jsonpatch": "sandbox"}


def main() -> int:
    """The console script `nodeeni`, and as `kubectl-nodeeni` the command `kubectl nodeeni`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        arguments[0] = "version"
    component = os.environ.get("COMPONENT")
    if component and (not arguments or arguments[0].startswith("-")):  # the image of v1.x
        arguments = ["manager" if component == "eni-manager" else "controller", *arguments]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command == "__complete":  # asked by the scripts of `nodeeni completion`
        answered: int = importlib.import_module("nodeeni.cli.completion").answer(rest)
        return answered
    if command not in COMMANDS:
        meant = meaning(command, COMMANDS)
        print(f"nodeeni: unknown command {command!r}{meant}; see nodeeni --help", file=sys.stderr)
        return 2
    module, _ = COMMANDS[command]
    try:
        status: int = importlib.import_module(module).main(rest)
    except UsageError as error:
        print(f"nodeeni {command}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        print(f"nodeeni {command}: {_missing(EXTRAS[error.name])}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def _missing(extra: str) -> str:
    return (
        f"nodeeni was installed without its extra {extra!r}, which this needs; "
        f"in a checkout: pipx install --force '.[{extra}]'"
    )


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: nodeeni COMMAND [FLAGS]", "", *lines, "", "nodeeni COMMAND --help tells the flags."]
    )


if __name__ == "__main__":
    sys.exit(main())
