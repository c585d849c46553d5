"""SQLAlchemy compiles each statement once an engine, and every test, like every step of a run, opens one.

Here all engines of a kind share what was compiled. Compiling was a fifth of the tests over a database.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_compiled: LRUCache[Any, Any] = LRUCache(5_000)


@contextmanager
def shared_statements() -> Iterator[None]:
    """While this is open, new engines look for their statements in one place.

    They look by dialect and statement, and every engine has a dialect object of its own: here those of one
    class are equal. None of ours has options that change how a statement is written.
    """
    with (
        patch.object(sa, "create_engine", _sharing(sa.create_engine)),
        patch.object(DefaultDialect, "__eq__", lambda one, other: type(one) is type(other)),
        patch.object(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect))),
    ):
        yield


def _sharing(create: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    @wraps(create)
    def create_engine(*address: Any, **options: Any) -> sa.Engine:
        return create(*address, execution_options={"compiled_cache": _compiled}, **options)

    return create_engine
