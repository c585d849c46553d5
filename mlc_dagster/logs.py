"""Logs of our processes: what a line is about, and, with MLC_LOG=json, one JSON object a line.

A step says once which run, pair and company it works for, a delivery which batch; every line that is logged
meanwhile carries it, in its threads too.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from mlc_dagster.redaction import redact

VARIABLE = "MLC_LOG"
# In the order they stand in a line.
ABOUT = ("run", "pair", "company", "place", "batch")
# The tags of a run that say the same.
TAGS = {"pair": "mlc/pair", "company": "mlc/company"}

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed in place
Given = ParamSpec("Given")
Result = TypeVar("Result")


@contextmanager
def about(**names: str | None) -> Iterator[None]:
    """Everything logged meanwhile is about this run, pair, company, place or batch."""
    before = _about.set({**_about.get(), **{name: value for name, value in names.items() if value}})
    try:
        yield
    finally:
        _about.reset(before)


def carried(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same work for another thread, about the same things as here."""
    here = copy_context()

    def there(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return here.copy().run(work, *args, **kwargs)

    return there


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, what it is about, text, and the error if any.

    Within a run of Dagster the run's own record says what it is about where we have not. Texts are redacted.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        of_dagster: Mapping[str, Any] = getattr(record, "dagster_meta", {})
        known = {**_of_run(of_dagster), **_about.get()}
        line |= {name: known[name] for name in ABOUT if name in known}
        line["text"] = redact(of_dagster.get("orig_message") or record.getMessage())
        if event := of_dagster.get("dagster_event"):
            line["event"] = event.event_type_value
        if error := getattr(getattr(event, "event_specific_data", None), "error", None):
            line["error"] = redact(str(error.to_string()))
        elif record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """JSON lines on standard error, only where MLC_LOG=json asks for them; dagster.yaml names it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing unless it is asked for."""
        if wanted():
            super().emit(record)


def wanted() -> bool:
    """Whether the environment asks for JSON."""
    return os.environ.get(VARIABLE) == "json"


def set_up() -> None:
    """Let this process log JSON lines where the environment asks for it; may be called again."""
    root = logging.getLogger()
    if not wanted() or any(isinstance(handler, Lines) for handler in root.handlers):
        return
    # A handler of plain text would say everything twice.
    root.handlers[:] = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]
    root.addHandler(Lines())
    # Others are heard when something is wrong; their debug lines would show addresses with their queries.
    root.setLevel(logging.WARNING)
    for name in ("mlc_dagster", "dagster"):
        logging.getLogger(name).setLevel(logging.INFO)


def _of_run(meta: Mapping[str, Any]) -> dict[str, str]:
    """What Dagster's own record of a line says of its run."""
    tags = meta.get("job_tags") or {}
    named = {name: tags.get(tag) for name, tag in TAGS.items()} | {"run": meta.get("run_id")}
    return {name: str(value) for name, value in named.items() if value}
