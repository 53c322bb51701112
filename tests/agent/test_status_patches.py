"""A patch only when there is something to say, and `lastUpdated` only where something changed."""

from nodeeni.agent.link_plan import Report, State
from nodeeni.agent.status import Found, status_patch

UP = Report("02::7", State.UP, "eth1", 9001)
MISSING = Report("02::8", State.MISSING, message="no link with this MAC address yet")


def test_reports_become_a_status_and_the_same_reports_no_second_patch() -> None:
    patch = status_patch(Found(3, (UP, MISSING)), {}, "T1")
    assert patch == {
        "status": {
            "observedGeneration": 3,
            "linksUp": 1,
            "interfaces": [
                {"macAddress": "02::7", "state": "Up", "linkName": "eth1", "mtu": 9001, "lastUpdated": "T1"},
                {
                    "macAddress": "02::8",
                    "state": "Missing",
                    "message": "no link with this MAC address yet",
                    "lastUpdated": "T1",
                },
            ],
        }
    }
    assert patch is not None
    assert status_patch(Found(3, (UP, MISSING)), patch["status"], "T2") is None


def test_one_change_keeps_the_time_of_the_others() -> None:
    first = status_patch(Found(3, (UP, MISSING)), {}, "T1")
    assert first is not None
    patch = status_patch(Found(3, (UP, Report("02::8", State.UP, "eth2", 1500))), first["status"], "T2")
    assert patch is not None
    assert [entry["lastUpdated"] for entry in patch["status"]["interfaces"]] == ["T1", "T2"]


def test_a_new_generation_alone_is_reported() -> None:
    first = status_patch(Found(3, (UP,)), {}, "T1")
    assert first is not None
    second = status_patch(Found(4, (UP,)), first["status"], "T2")
    assert second == {"status": {**first["status"], "observedGeneration": 4}}


def test_a_wiped_status_is_written_again() -> None:
    assert status_patch(Found(3, (UP,)), {}, "T2") is not None


def test_an_entry_that_is_no_longer_wanted_goes() -> None:
    first = status_patch(Found(3, (UP, MISSING)), {}, "T1")
    assert first is not None
    patch = status_patch(Found(4, (UP,)), first["status"], "T2")
    assert patch is not None
    assert [entry["macAddress"] for entry in patch["status"]["interfaces"]] == ["02::7"]
