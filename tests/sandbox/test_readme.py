"""The sandbox's own README: what it shows is run."""

import re
import subprocess
import sys
from pathlib import Path

import nodeeni.sandbox

README = Path(nodeeni.sandbox.__file__).with_name("README.md")


def test_the_example_prints_what_the_page_says() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "True 1\nrouter\n", "")
    said = "It prints `True 1` and `router`."
    assert said in README.read_text()


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README.read_text()):
        assert (README.parent / target).exists(), target
