"""`make soak`, for a few seconds: that it lives, judges and draws."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.faults.curves import CURVES, drawn, said
from tests.faults.soak import soak


@pytest.mark.timeout(240)
async def test_some_seconds_of_it_are_right_and_are_drawn(tmp_path: Path) -> None:
    run, faults = await soak(tmp_path, seed=3, minutes=0.1)
    assert faults == []
    assert run.steps.total() > 0
    assert max(sample.memory for sample in run.samples) > 0
    drawing = ElementTree.fromstring(drawn(run.samples, 3, 0.1))
    assert len(drawing.findall("{http://www.w3.org/2000/svg}path")) == 2 * len(CURVES)  # with its axis
    told = said(run.samples, 3, 0.1, run.steps, run.killed, run.at.made, faults)
    assert "All was right." in told
    assert "soak/0.1-minutes-seed-3.svg" in told
