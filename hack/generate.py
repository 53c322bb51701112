"""Write the generated files, or with --check fail when a committed one is stale."""

import sys
from pathlib import Path

import yaml

from nodeeni.agent.settings import AGENT_SETTINGS
from nodeeni.api.crd import manifests
from nodeeni.settings import CONTROLLER_SETTINGS

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from src/nodeeni/api/v1alpha1.py by `make generate`. Edit there.\n"

SETTINGS_INTRODUCTION = """\
<!-- Generated from src/nodeeni/settings.py and src/nodeeni/agent/settings.py by `make generate`. -->
# Settings

A flag comes before its variable, a variable before the default. Durations are written as `30s`, `5m` or
`1h30m`. A setting that cannot be used ends the process at once with one line that says what to change,
exit status 2.

The AWS SDK's own variables (`AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, `AWS_PROFILE`, those of IRSA and EKS Pod
Identity) mean what they mean to the SDK.
"""


def generated() -> dict[Path, str]:
    """Every generated file with what it has to hold."""
    files = {
        ROOT / "deploy" / "crds" / name: HEADER + yaml.safe_dump(manifest, sort_keys=False, width=110)
        for name, manifest in manifests().items()
    }
    files[ROOT / "docs" / "settings.md"] = settings_reference()
    return files


def settings_reference() -> str:
    """Every flag of the two programs, as Markdown tables."""
    controller = [(s.flag, ", ".join(s.environment), s.default, s.help) for s in CONTROLLER_SETTINGS]
    manager = [(s.flag, s.variable, s.default, s.help) for s in AGENT_SETTINGS if s.help is not None]
    return "\n".join(
        [
            SETTINGS_INTRODUCTION,
            *_table("nodeeni controller", controller),
            "",
            *_table("nodeeni manager", manager),
            "",
        ]
    )


def _table(program: str, rows: list[tuple[str, str, str | None, str]]) -> list[str]:
    lines = [f"## `{program}`", "", "| flag | variable | default | meaning |", "|---|---|---|---|"]
    for flag, variables, default, meaning in rows:
        named = ", ".join(f"`{name}`" for name in variables.split(", ") if name)
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{flag}` | {named} | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return lines


def main() -> int:
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make generate` and commit it")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
