"""With MLC_LOG=json every line is one JSON object that says what it is about, also within Dagster's runs."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import dagster as dg
import pytest
import yaml

from mlc_dagster.logs import JsonLines, Lines, about, carried
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.visma.parallel import in_parallel

Written = Callable[[], list[dict[str, Any]]]
log = logging.getLogger("mlc_dagster.test")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """The lines our logger has written."""
    monkeypatch.setenv("MLC_LOG", "json")
    handler, paper = Lines(), StringIO()
    handler.setStream(paper)
    log.addHandler(handler)
    log.setLevel(logging.INFO)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in paper.getvalue().splitlines()]

    yield read
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def test_a_line_says_when_how_bad_what_and_what_it_is_about(written: Written) -> None:
    with about(run="r1", pair="anaplan", company="NO01"), about(batch="b1"):
        log.warning("%d rows\nare late: «ø»", 3)
    [line] = written()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "mlc_dagster.test",
        "run": "r1",
        "pair": "anaplan",
        "company": "NO01",
        "batch": "b1",
        "text": "3 rows\nare late: «ø»",
    }


def test_what_it_was_about_ends_with_the_block_also_after_a_failure(written: Written) -> None:
    def fail() -> None:
        with about(company="NO01"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    log.info("after")
    assert "company" not in written()[0]


def test_threads_of_a_step_are_about_the_same_and_not_about_each_other(written: Written) -> None:
    def ask(number: int) -> None:
        with about(batch=str(number)):
            log.info("asked")

    with about(company="NO01"):
        in_parallel(ask, range(20))
    lines = written()
    assert {line["company"] for line in lines} == {"NO01"}
    assert sorted(int(line["batch"]) for line in lines) == list(range(20))


def test_work_carried_into_a_pool_leaves_nothing_in_its_threads(written: Written) -> None:
    with ThreadPoolExecutor(1) as pool:
        with about(company="NO01"):
            pool.submit(carried(log.info), "of NO01").result()
        pool.submit(log.info, "of nobody").result()
    assert [line.get("company") for line in written()] == ["NO01", None]


def test_what_proves_who_we_are_is_not_written(written: Written) -> None:
    log.info("calling with Authorization: Bearer abc.def-123 and client_secret=hunter2&x=1")
    try:
        int('{"access_token": "hunter3"}')
    except ValueError:
        log.exception("it failed")
    text = json.dumps(written())
    assert "***" in text
    assert not any(secret in text for secret in ("abc.def-123", "hunter2", "hunter3"))


def test_an_error_stands_in_its_line_with_its_traceback(written: Written) -> None:
    try:
        int("no such thing")
    except ValueError:
        log.exception("it failed")
    [line] = written()
    assert line["error"].startswith("Traceback")
    assert "no such thing" in line["error"]


def test_without_the_variable_nothing_is_added(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLC_LOG")
    log.warning("plain")
    assert written() == []


def test_a_run_of_dagster_logs_lines_that_say_its_run_pair_and_company(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLC_LOG", "json")
    configured = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())["python_logs"]

    @dg.op
    def work(context: dg.OpExecutionContext) -> None:
        context.log.info("12 rows, Bearer abc.def-123")
        raise dg.Failure("It broke.", allow_retries=False)

    @dg.job(tags={"mlc/pair": "anaplan", "mlc/company": "NO01"})
    def job() -> None:
        work()

    with dg.instance_for_test(overrides={"python_logs": configured}) as instance:
        ran = job.execute_in_process(instance=instance, raise_on_error=False)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert {(line["run"], line["pair"], line["company"]) for line in lines} == {
        (ran.run_id, "anaplan", "NO01")
    }
    assert "12 rows, Bearer ***" in [line["text"] for line in lines]
    [failed] = [line for line in lines if line.get("event") == "STEP_FAILURE"]
    assert "It broke." in failed["error"]


def test_our_processes_log_lines_from_their_start() -> None:
    program = (
        "import logging; from mlc_dagster.logs import set_up; set_up(); set_up();"
        "logging.getLogger('mlc_dagster.any').info('here'); logging.getLogger('urllib3').info('GET /secret')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"MLC_LOG": "json"}, capture_output=True, text=True, check=True
    )
    [line] = [json.loads(line) for line in ran.stderr.splitlines()]
    assert line["text"] == "here"


def test_a_formatter_needs_no_run_of_dagster() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "hello %s", ("you",), None)
    assert json.loads(JsonLines().format(record))["text"] == "hello you"
