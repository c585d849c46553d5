"""The receiver over a database of its own, served as `mlc receiver serve` serves it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from mlc_dagster.database.schema import signals as table
from mlc_dagster.receiver import Signals, Source
from mlc_dagster.receiver.app import receiver
from mlc_dagster.receiver.server import server
from tests.support.postgres import database_url, engine, postgres_url, sqlite_url
from tests.support.serving import free_listener
from tests.transport.clocks import ManualClock

__all__ = ["database_url", "engine", "postgres_url", "sqlite_url"]
Serve = Callable[..., str]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signals(engine: sa.Engine, clock: ManualClock) -> Signals:
    return Signals(engine, clock)


@contextmanager
def in_public(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an app as strangers find it; yields its URL."""
    listener = free_listener()
    running = server(app, **options)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture
def public(signals: Signals) -> Iterator[Serve]:
    """Serve a source below /hooks/vendor. `connections`: options of the server; the others are the app's."""
    with ExitStack() as stack:

        def serve(source: Source, connections: dict[str, Any] | None = None, **options: Any) -> str:
            app = receiver({"vendor": source}, signals, **{"seconds": 30, **options})
            return stack.enter_context(in_public(app, **(connections or {}))) + "/hooks/vendor"

        yield serve


def kept(engine: sa.Engine) -> list[tuple[str, str]]:
    """Source and place of every signal."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table.c.source, table.c.place))]
