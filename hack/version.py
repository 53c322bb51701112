"""Set the version everywhere it stands, then `make render`. Usage: hack/version.py 2.1.0 (or 2.1.0-dev.0)"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEMANTIC = re.compile(r"(\d+\.\d+\.\d+)(?:-dev\.(\d+))?")
IMAGE_TAG = r"/nodeeni:\d+\.\d+\.\d+(-dev\.\d+)?"


def main(arguments: list[str]) -> int:
    match = SEMANTIC.fullmatch(arguments[0]) if len(arguments) == 1 else None
    if match is None:
        print(__doc__, file=sys.stderr)
        return 2
    release, development = match.groups()
    python = f"{release}.dev{development}" if development else release
    _replace("pyproject.toml", r'^version = ".*"$', f'version = "{python}"')
    _replace("charts/nodeeni/Chart.yaml", r"^version: .*$", f"version: {match[0]}")
    _replace("charts/nodeeni/Chart.yaml", r"^appVersion: .*$", f"appVersion: {match[0]}")
    for page in ("docs/install.md", "docs/upgrade.md"):
        _replace(page, IMAGE_TAG, f"/nodeeni:{match[0]}", times=None)
    return 0


def _replace(name: str, pattern: str, text: str, *, times: int | None = 1) -> None:
    """`times` None: once or more."""
    path = ROOT / name
    replaced, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
    if count != times and (times or not count):
        raise SystemExit(f"{name} has {count} places like {pattern}")
    path.write_text(replaced)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
