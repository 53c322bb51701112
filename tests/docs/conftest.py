"""Of the chart's tests, helm: without it those that need it are skipped."""

from tests.deploy.conftest import helm

__all__ = ["helm"]
