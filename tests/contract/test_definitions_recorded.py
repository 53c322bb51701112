"""The definitions that the recordings were made with are today's, but for what was added since.

A new optional field, rule or column leaves the recordings alone: its own tests meet both servers (`tests/api`
under `make apitest`). One that changed since makes them answers to another question: `make apitest RECORD=1`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.recorded import DEFINITIONS, definitions, schema_of

from nodeeni.api.crd import manifests

Schema = dict[str, Any]

_PROSE = "description"


def differences(recorded: Schema, today: Schema, where: str = "") -> Iterator[str]:
    """What of the recorded schema is not so any more."""
    for key in recorded.keys() | today.keys() - {_PROSE}:
        before, now = recorded.get(key), today.get(key)
        match key:
            case "properties":
                for name, schema in (before or {}).items():
                    yield from differences(schema, (now or {}).get(name, {}), f"{where}.{name}")
            case "items" | "additionalProperties" if isinstance(before, dict) and isinstance(now, dict):
                yield from differences(before, now, f"{where}[]")
            case "x-kubernetes-validations":
                yield from (f"{where}: {rule['rule']}" for rule in before or () if rule not in (now or ()))
            case _ if key != _PROSE and before != now:
                yield f"{where}: {key} was {before}, is {now}"


@pytest.mark.parametrize("name", [path.name for path in sorted(DEFINITIONS.iterdir())])
def test_what_was_recorded_still_holds(name: str) -> None:
    recorded, today = definitions()[name], manifests()[name]
    assert list(differences(schema_of(recorded), schema_of(today))) == []
    (before,), (now,) = recorded["spec"].pop("versions"), today["spec"].pop("versions")
    assert recorded == today
    columns = now["additionalPrinterColumns"]
    assert [column for column in before["additionalPrinterColumns"] if column not in columns] == []


def test_a_new_optional_field_is_no_difference_and_a_changed_rule_is_one() -> None:
    recorded = {
        "properties": {"mtu": {"type": "integer", "maximum": 9001}},
        "required": ["mtu"],
        "x-kubernetes-validations": [{"rule": "a"}],
    }
    wider = {
        "properties": {"mtu": {"type": "integer", "maximum": 9001, _PROSE: "x"}, "new": {"type": "boolean"}},
        "required": ["mtu"],
        "x-kubernetes-validations": [{"rule": "a"}, {"rule": "b"}],
    }
    assert list(differences(recorded, wider)) == []
    other = {
        "properties": {"mtu": {"type": "integer", "maximum": 1500}, "new": {"type": "boolean"}},
        "required": ["mtu", "new"],
    }
    assert sorted(differences(recorded, other)) == [
        ".mtu: maximum was 9001, is 1500",
        ": a",
        ": required was ['mtu'], is ['mtu', 'new']",
    ]
