"""Each file of an image's root folder is one that a component of its bill of materials brought, unchanged.

Exceptions are those that our two scripts write, named below; without that the build of the image ends.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

SITE = "usr/lib/python3/dist-packages"
BOM = "usr/share/sbom.cdx.json"
PACKAGES = "var/lib/dpkg/status.d"
# By base.sh and app.sh.
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
WRITTEN = {"etc/group", "etc/nsswitch.conf", "etc/passwd", AUTHORITIES, "usr/bin/nodeeni", BOM}
PYCACHE = "__pycache__"


def unaccounted(root: Path) -> Iterator[str]:
    """The path of each file that nobody brought, or that is not as it was brought, with the reason."""
    listed = {component["name"] for component in json.loads((root / BOM).read_text())["components"]}
    sums = {**_of_debian(root, listed), **_of_python(root, listed)}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink() or not path.is_file() or name in WRITTEN or name.startswith(f"{PACKAGES}/"):
            continue
        if path.parent.name == PYCACHE and path.suffix == ".pyc":  # compiled by app.sh from what it names
            path = _target(root, path.parent.parent / f"{path.name.partition('.')[0]}.py")
            name = str(path.relative_to(root))
        if name not in sums:
            yield f"{name}: no component of the bill of materials has it"
        elif sums[name] not in ("", *_sums(path)):
            yield f"{name}: not as its component brought it"


def _target(root: Path, path: Path) -> Path:
    """Where a link leads, for who has `root` as its own."""
    while path.is_symlink():
        to = path.readlink()
        path = root / to.relative_to("/") if to.is_absolute() else path.parent / to
    return path


def _of_debian(root: Path, listed: set[str]) -> dict[str, str]:
    return {
        path: md5
        for file in (root / PACKAGES).glob("*.md5sums")
        if file.stem in listed
        for md5, path in (line.split(maxsplit=1) for line in file.read_text().splitlines())
    }


def _of_python(root: Path, listed: set[str]) -> dict[str, str]:
    return {
        f"{SITE}/{file}": file.hash.value if file.hash else ""  # RECORD cannot have its own
        for distribution in distributions(path=[str(root / SITE)])
        if distribution.name in listed
        for file in distribution.files or ()
    }


def _sums(path: Path) -> tuple[str, str]:
    """As Debian's md5sums and as a wheel's RECORD write them."""
    data = path.read_bytes()
    sha256 = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return hashlib.md5(data, usedforsecurity=False).hexdigest(), sha256


def main() -> int:
    found = list(unaccounted(Path(sys.argv[1])))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
