"""docs/reliability.md, as it is put together from findings."""

from tests.faults.document import (
    ChaosRow,
    Findings,
    KillRow,
    MutantRow,
    TroubleRow,
    with_soak,
    with_soaks,
    written,
)

RUN = "2026-11-24 on commit 205cac9"


def _page(**more: object) -> str:
    findings = Findings(
        kills=[KillRow("a journey", "EC2 CreateTags #1", "before", "right", True)],
        troubles=[
            TroubleRow("half an answer", "EC2 CreateTags", "right", True),
            TroubleRow("hangs for ever", "EC2 AttachNetworkInterface", "right", True),
        ],
        mutants=[
            MutantRow("reads_that_lag", "", "right", True),
            MutantRow("reads_that_lag", "x", "w" * 999, True),
        ],
        chaos=[ChaosRow(seed=1, steps=60, killed=5, made=50, wrong="")],
    )
    for field, value in more.items():
        setattr(findings, field, value)
    return written(findings)


def test_what_is_short_and_tells_most_comes_before_the_long_tables() -> None:
    page = _page()
    titles = ("## In all", "## The suite can fail", "## Chaos", "## Killed at every", "## Each fault at each")
    places = [page.index(title) for title in titles]
    assert places == sorted(places)


def test_a_case_that_does_not_exist_is_a_dash_and_not_an_empty_cell() -> None:
    page = _page()
    assert "| EC2 CreateTags | right | - |" in page
    assert "| a journey | EC2 CreateTags #1 | right | - |" in page
    assert "|  |" not in page


def test_one_run_is_named_once_and_parts_of_several_by_part() -> None:
    assert f"Run of {RUN}." in _page(runs={"kills": RUN, "chaos": RUN})
    assert f"Runs: kills: {RUN}; chaos: 2026-11-25 on commit 0123abc." in _page(
        runs={"kills": RUN, "chaos": "2026-11-25 on commit 0123abc"}
    )


def test_a_long_finding_is_cut_where_one_sees_it() -> None:
    assert f"| {'w' * 200} ... |" in _page()


def test_the_runs_of_a_soak_stay_where_the_rest_is_written_anew_and_one_of_the_same_title_is_replaced() -> (
    None
):
    page = with_soak(
        with_soak(_page(), "### 15 minutes, seed 1\n\nrun A\n"), "### 15 minutes, seed 2\n\nrun B\n"
    )
    again = with_soak(page, "### 15 minutes, seed 1\n\nrun C\n")
    assert again.index("run C") < again.index("run B") < again.index("## Killed at every")
    assert "run A" not in again
    assert with_soaks(_page(), again) == again
