"""A real Prometheus: the one door to `prometheus` and `promtool`, which `make monitoringtest` names."""

import asyncio
import contextlib
import json
import os
import subprocess
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "charts" / "nodeeni" / "files" / "alerts.yaml"
DASHBOARD = ALERTS.with_name("dashboard.json")


class Series(NamedTuple):
    """`points` are (seconds since 1970, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


def program(name: str) -> str:
    directory = os.environ.get("NODEENI_PROMETHEUS")
    if not directory:
        pytest.skip("asks for a real Prometheus: make monitoringtest")
    return f"{directory}/{name}"


def promtool(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    argv = (program("promtool"), *arguments)
    return subprocess.run(argv, input=said, capture_output=True, text=True, check=False)


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


class Prometheus:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"

    async def query(self, expression: str) -> list[Series]:
        """Now. NaN is no value."""
        found = await self._get("query", query=expression)
        return [s for s in (_series(each["metric"], [each["value"]]) for each in found["result"]) if s.points]

    async def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        found = await self._get("query_range", query=expression, start=start, end=end, step=step)
        return [_series(each["metric"], each["values"]) for each in found["result"]]

    async def comes_up(self) -> None:
        """It has scraped somebody. Raises OSError when it does not come."""
        for _ in range(150):
            with contextlib.suppress(OSError):
                if await self.query("up"):
                    return
            await asyncio.sleep(0.2)
        raise OSError(f"no Prometheus at {self.url}")

    async def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        url = f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}"

        def answer() -> dict[str, Any]:
            with urllib.request.urlopen(url, timeout=10) as response:
                data: dict[str, Any] = json.load(response)["data"]
            return data

        return await asyncio.to_thread(answer)


def _series(labels: Mapping[str, str], values: Sequence[tuple[float, str]]) -> Series:
    points = [(float(at), float(value)) for at, value in values]
    return Series(dict(labels), [point for point in points if point[1] == point[1]])


@asynccontextmanager
async def running(directory: Path, port: int, targets: Mapping[str, int]) -> AsyncIterator[Prometheus]:
    """On loopback, with our alerts, scraping each second `targets`: job → port."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]}
            for job, at in targets.items()
        ],
    }
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    argv = (
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    with (directory / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        await process.wait()
