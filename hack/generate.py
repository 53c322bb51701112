"""Write the generated files, or with --check fail when a committed one is stale."""

import sys
from pathlib import Path

import yaml

from nodeeni.api.crd import manifests

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from src/nodeeni/api/v1alpha1.py by `make generate`. Edit there.\n"


def generated() -> dict[Path, str]:
    """Every generated file with what it has to hold."""
    return {
        ROOT / "deploy" / "crds" / name: HEADER + yaml.safe_dump(manifest, sort_keys=False, width=110)
        for name, manifest in manifests().items()
    }


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
