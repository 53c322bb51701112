"""Settings that the AWS SDK cannot use end the process with one line that names them."""

import pytest

from nodeeni.controller import app
from nodeeni.flags import UsageError
from nodeeni.settings import controller_settings

from .conftest import QUICK, Stage


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_PROFILE", "nobody", "The config profile (nobody) could not be found"),
        ("AWS_ENDPOINT_URL", "nonsense", "Invalid endpoint: nonsense"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as refused:
        await app.run(controller_settings(QUICK, stage.environment), stage.environment)
    assert words in str(refused.value)
    assert name in str(refused.value)
