"""The bill of materials of an image's root folder, in CycloneDX's JSON: Debian's packages and Python's."""

import json
import sys
import urllib.parse
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


def components(root: Path) -> list[dict[str, Any]]:
    parser = HeaderParser()
    packages = sorted((root / "var/lib/dpkg/status.d").iterdir())
    fields = (parser.parsestr(path.read_text()) for path in packages if path.suffix != ".md5sums")
    debian = [_debian(package) for package in fields]
    site = root / "usr/lib/python3/dist-packages"
    python = [
        _component(d.name, d.version, f"pkg:pypi/{d.name.lower()}@{d.version}")
        for d in sorted(distributions(path=[str(site)]), key=lambda d: d.name)
    ]
    return debian + python


def _debian(package: Message) -> dict[str, Any]:
    name, version, arch = package["Package"], package["Version"], package["Architecture"]
    return _component(
        name,
        version,
        f"pkg:deb/debian/{name}@{urllib.parse.quote(version, safe='')}?arch={arch}&distro=debian-12",
    )


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def main() -> int:
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": components(Path(sys.argv[1])),
    }
    json.dump(bom, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
