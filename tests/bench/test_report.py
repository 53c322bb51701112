"""The page that `make bench` writes."""

from pathlib import Path
from xml.etree import ElementTree

from bench.report import AGENT_FILE, read_json, run_of, write_docs, write_json
from bench.result import Curve, Promise, Result


def result(*promises: Promise) -> Result:
    return Result(
        name="attach-50",
        title="50 nodes, one NodeENI",
        command="python -m bench attach-50",
        figures={"ratio": 1.05, "EC2 calls": {"CreateNetworkInterface": 3}, "Kubernetes writes": {}},
        promises=list(promises),
        curve=Curve(3, [1.7, 1.7, 1.8], [1.6, 1.6, 1.6]),
        load=0.5,
        seconds=6.2,
    )


def test_a_promise_is_a_bound_from_above_from_below_or_a_number() -> None:
    assert [
        Promise("ratio", 1.1, 1.1).kept,
        Promise("ratio", 1.11, 1.1).kept,
        Promise("used", 0.9, 0.9, "at least").kept,
        Promise("used", 0.89, 0.9, "at least").kept,
        Promise("calls", 3, 3, "exactly").kept,
        Promise("calls", 2, 3, "exactly").kept,
    ] == [True, False, True, False, True, False]


def test_figures_survive_the_file(tmp_path: Path) -> None:
    run = run_of([result(Promise("ratio", 1.05, 1.1))])
    write_json(run, str(tmp_path / "new" / "figures.json"))
    assert read_json(str(tmp_path / "new" / "figures.json")) == run


def test_the_page_tells_what_is_kept_and_what_is_broken(tmp_path: Path) -> None:
    run = run_of([result(Promise("ratio", 1.05, 1.1), Promise("calls", 4, 3, "exactly"))])
    write_docs(run, str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| attach-50 | ratio | 1.05 | at most 1.1 | kept |" in page
    assert "| attach-50 | calls | 4 | exactly 3 | **broken** |" in page
    assert "| EC2 calls | CreateNetworkInterface 3 |\n| Kubernetes writes | none |" in page
    assert "@" not in page
    assert "| last of 50 attached, × T(N) | 60.9 | 65.9 |  |" in page  # which that run did not measure


def test_a_run_on_a_real_api_server_leaves_the_figures_of_the_sandbox_and_stands_beside_them(
    tmp_path: Path,
) -> None:
    write_docs(run_of([result(Promise("ratio", 1.05, 1.1))]), str(tmp_path))
    other = result(Promise("ratio", 1.09, 1.1))
    other.name, other.title, other.figures = "real-attach-50", "On a real one", {"ratio": 1.09, "refused": 0}
    write_docs(run_of([other], server="kube-apiserver v1"), str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| attach-50 | ratio | 1.05 | at most 1.1 | kept |" in page
    assert "| real-attach-50 | ratio | 1.09 | at most 1.1 | kept |" in page
    assert "| ratio | 1.09 | 1.05 |\n| refused | 0 |  |" in page
    assert "Figures: kube-apiserver v1; " in page
    write_docs(run_of([result()]), str(tmp_path))
    assert "| ratio | 1.09 | 1.05 |" in (tmp_path / "benchmarks.md").read_text()


def test_what_was_measured_another_day_stays_with_its_day(tmp_path: Path) -> None:
    older, same = result(Promise("ratio", 1.05, 1.1)), result(Promise("ratio", 1.09, 1.1))
    same.name, same.title = "attach-100", "100 nodes"
    before = run_of([older, same])
    for each in before.results:
        each.day = "2026-01-01"
    write_docs(before, str(tmp_path))
    newer = result(Promise("ratio", 1.02, 1.1))
    run = run_of([newer])
    write_docs(run, str(tmp_path))
    page = (tmp_path / "benchmarks.md").read_text()
    assert [each.name for each in read_json(str(tmp_path / "benchmarks" / "figures.json")).results] == [
        "attach-50",
        "attach-100",
    ]
    assert "| attach-50 | ratio | 1.02 |" in page
    assert "| attach-100 | ratio | 1.09 |" in page
    assert f"The figures below: 2026-01-01 to {run.day}, Python" in page
    assert f"`python -m bench attach-50`: 6.2 s, load 0.5, {run.day}\n" in page
    assert "`python -m bench attach-50`: 6.2 s, load 0.5, 2026-01-01\n" in page  # of attach-100


def test_a_scenario_of_several_results_is_replaced_whole(tmp_path: Path) -> None:
    """A guest has one for each kind of link."""
    for day in (1.8, 1.9):
        kinds = [result(Promise("p99", day + kind, 5)) for kind in (0.0, 1.0)]
        for number, each in enumerate(kinds):
            each.title = f"kind {number}"
        write_docs(run_of(kinds), str(tmp_path))
    kept = read_json(str(tmp_path / "benchmarks" / "figures.json")).results
    assert [(each.title, each.promises[0].value) for each in kept] == [("kind 0", 1.9), ("kind 1", 2.9)]


def test_what_was_measured_on_a_node_stands_in_columns_beside_the_rest(tmp_path: Path) -> None:
    write_docs(run_of([result(Promise("ratio", 1.05, 1.1))]), str(tmp_path))
    agent = Result("agent", "ours", "x", {"p99": 1.5, "RSS": 23}, [Promise("p99", 1.5, 5)], load=0.2)
    poll = Result("poll", "a poll", "x", {"p99": 30_000}, [], load=0.3)
    write_docs(run_of([agent, poll]), str(tmp_path), AGENT_FILE)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| | ours | a poll |\n|---|---|---|\n| p99 | 1.5 | 30000 |\n| RSS | 23 |  |" in page
    assert "| agent | p99 | 1.5 | at most 5 | kept |" in page
    assert "loads at the starts 0.2, 0.3." in page
    assert "| attach-50 | ratio | 1.05 | at most 1.1 | kept |" in page


def test_the_plot_steps_from_none_to_all(tmp_path: Path) -> None:
    write_docs(run_of([result()]), str(tmp_path))
    svg = ElementTree.parse(tmp_path / "benchmarks" / "attach-50.svg").getroot()
    lines = [line.attrib["points"].split() for line in svg.iter("{http://www.w3.org/2000/svg}polyline")]
    limit, measured = ([tuple(map(float, point.split(","))) for point in line] for line in lines)
    assert len(limit) == len(measured) == 1 + 2 * 3 + 1
    assert [y for _, y in measured] == sorted((y for _, y in measured), reverse=True)
    assert max(x for x, _ in limit[:-1]) < max(x for x, _ in measured[:-1])
