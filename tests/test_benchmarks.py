"""The benchmark itself: its server, its clients but dlt, and its report, at a size that takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench import Bench, Result, serving
from benchmarks.report import chart, engine_seconds, markdown, medians, verdicts
from benchmarks.rows import DELTA, FULL, ROWS, SAME, Untrue

INVOICES = 100


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with serving(tmp_path_factory.mktemp("bench") / "work", INVOICES) as running:
        yield running


@pytest.fixture(scope="module")
def results(bench: Bench) -> list[Result]:
    """One round of reading; each client refuses to be measured for anything but what it should have done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.rows.DLT_PYTHON", Path("/no/such/python"))
        return list(ROWS["read"](bench, 1))


def test_reading_delivering_history_extracts_and_start_up_have_a_row_each() -> None:
    assert set(ROWS) == {"read", "deliver", "history", "extract", "startup"}


def test_floors_and_ours_are_measured_in_every_case(results: list[Result]) -> None:
    measured = {(result.case, result.client) for result in results}
    assert {(case, client) for case in (FULL, DELTA, SAME) for client in ("floor 2", "ours")} <= measured
    assert (FULL, "floor 1") in measured


def test_every_measurement_has_time_memory_and_the_calls_the_server_saw(results: list[Result]) -> None:
    for result in results:
        assert result.numbers["wall"] > 0
        assert result.numbers["cpu"] > 0
        assert result.numbers["peak"] > 10_000_000
        assert result.numbers["calls"] >= 1


def test_a_run_that_changed_rows_tells_when_the_first_was_durable(results: list[Result]) -> None:
    changed = [one for one in results if one.client in ("floor 2", "ours") and one.case != SAME]
    assert all("first_row" in one.numbers for one in changed)


def test_the_report_shows_each_client_and_judges_each_bar(results: list[Result]) -> None:
    text = markdown(results, {"memory": "1 GiB"})
    assert "| floor 1 |" in text
    assert "| ours |" in text
    assert next(bar.text for bar in verdicts(medians(results))).startswith("full load")
    assert (
        chart(medians(results)).count("<rect") == 1 + 3 * 3
    )  # the ground, and three clients in three panels


def test_engine_time_is_ours_without_the_seconds_the_server_was_answering(results: list[Result]) -> None:
    [delta] = [one.numbers for one in results if (one.case, one.client) == (DELTA, "ours")]
    assert 0 < delta["answering"] < delta["engine_wall"] < delta["wall"]
    assert engine_seconds(delta) == delta["engine_wall"] - delta["answering"]


def test_the_report_takes_medians() -> None:
    rounds = [Result("read", FULL, "ours", {"cpu": cpu}) for cpu in (1.0, 9.0, 2.0)]
    assert medians(rounds)["read", FULL, "ours"] == {"cpu": 2.0}


def test_a_client_that_did_not_do_its_work_is_not_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.rows.DLT_PYTHON", Path("/no/such/python"))
    more = Bench(bench.url, bench.folder, INVOICES + 1, bench.bytes)
    with pytest.raises(Untrue, match=r"floor 1: changed should be 101"):
        list(ROWS["read"](more, 1))


def test_our_extract_is_measured_beside_the_sheets_route(bench: Bench) -> None:
    found = list(ROWS["extract"](bench, 1))
    assert [one.numbers["rows"] for one in found] == [INVOICES, INVOICES, 10 * INVOICES, 10 * INVOICES]
    bars = [bar.text for bar in verdicts(medians(found))]
    assert [text.partition(":")[0] for text in bars] == ["extract", "extract"]
