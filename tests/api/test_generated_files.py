"""What is generated from the declarations is committed, and current."""

import subprocess
import sys
from pathlib import Path

import yaml

from nodeeni.api.crd import manifests

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_crds_are_those_of_the_types() -> None:
    committed = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy" / "crds").iterdir()}
    assert committed == manifests()


def test_the_check_of_generated_files_passes() -> None:
    command = [sys.executable, str(ROOT / "hack" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
