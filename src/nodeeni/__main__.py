"""`python -m nodeeni`: what the image starts. COMPONENT chooses before anything is imported, so that the ENI
manager of a node loads its own standard-library modules and nothing else."""

import os
import sys


def main() -> int:
    arguments = sys.argv[1:]
    flags_only = not arguments or (arguments[0].startswith("-") and arguments[0] != "--version")
    if os.environ.get("COMPONENT") == "eni-manager" and flags_only:
        from nodeeni.agent.app import main as manager

        return manager(arguments)
    from nodeeni.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
