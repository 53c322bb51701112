"""The site of tests/cli."""

from tests.cli.conftest import site

__all__ = ["site"]
