"""The build before, and figures of two builds side by side."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench.builds import compared, side_by_side, source
from bench.report import run_of, write_docs
from bench.result import Result


def _git(repository: Path, *argv: str) -> str:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    done = subprocess.run(
        ["git", "-C", str(repository), *who, *argv], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _commit(repository: Path, text: str) -> str:
    package = repository / "src" / "nodeeni"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(text)
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "-m", text)
    return _git(repository, "rev-parse", "--short", "HEAD")


def test_another_builds_package_is_taken_out_of_git_and_comes_before_the_one_that_is_installed(
    tmp_path: Path,
) -> None:
    repository, cache = tmp_path / "clone", tmp_path / "cache"
    repository.mkdir()
    _git(repository, "init", "--quiet")
    older = _commit(repository, "told = 'the build before'")
    _commit(repository, "told = 'this one'")
    folder = source(older, repository, cache)
    said = subprocess.run(
        [sys.executable, "-c", "import nodeeni; print(nodeeni.told)"],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "the build before\n"
    (repository / ".git").rename(tmp_path / "away")
    assert source(older, repository, cache) == folder  # from the cache


def test_a_clone_without_that_commit_says_what_to_do(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    with pytest.raises(RuntimeError, match=r"commit 0123456, is not in this clone .*: git fetch --unshallow"):
        source("0123456", tmp_path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


async def test_builds_are_measured_by_turns(tmp_path: Path) -> None:
    asked: list[str] = []

    async def measure(build: Path | None) -> dict[str, float]:
        asked.append("before" if build else "now")
        return {"s": 4.0 if build else 2.0 + len(asked) // 4}

    found = await side_by_side(measure, 3, tmp_path)
    assert asked == ["before", "now", "now", "before", "before", "now"]
    assert (found[0].before, found[0].now, found[0].ratio) == (4.0, 2.0, 0.5)
    assert found[0].ratios == [0.5, 0.5, 0.75]


def test_the_page_shows_both_builds_and_each_pairs_ratio(tmp_path: Path) -> None:
    figures = compared([{"gone (s)": 4.0, "calls": 0.0}] * 2, [{"gone (s)": 3.0, "calls": 0.0}] * 2)
    write_docs(
        run_of([Result("remove", "Ten removed", "python -m bench remove", {}, [], compared=figures)]),
        str(tmp_path),
    )
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| gone (s) | 4 | 3 | 0.75 | 0.75, 0.75 |\n| calls | 0 | 0 |  |  |" in page
