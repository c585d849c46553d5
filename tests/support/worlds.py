"""A database and the vendor that holds what it says, as often as wanted: each copy begins as they were."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from mlc_dagster.database import connect, migrate
from tests.support.elsewhere import VendorElsewhere
from tests.support.postgres import copy_postgres, drop_postgres, fresh_postgres

# Puts the vendor back to where it stood; the URL of a copy of the database.
Copy = Callable[[], str]


@contextmanager
def on_sqlite(folder: Path, vendor: VendorElsewhere, first_day: Callable[[str], object]) -> Iterator[Copy]:
    """`first_day`: what both have behind them, given the URL of a new database with its tables."""
    first = folder / "0.db"
    _begin(f"sqlite:///{first}", first_day)
    state, numbers = vendor.dump(), count(1)

    def copy() -> str:
        vendor.load(state)
        return f"sqlite:///{shutil.copy(first, folder / f'{next(numbers)}.db')}"

    yield copy


@contextmanager
def on_postgres(vendor: VendorElsewhere, first_day: Callable[[str], object]) -> Iterator[Copy]:
    """As `on_sqlite`; the copies are dropped at the end."""
    made = [fresh_postgres()]
    _begin(made[0], first_day)
    state = vendor.dump()

    def copy() -> str:
        vendor.load(state)
        made.append(copy_postgres(made[0]))
        return made[-1]

    yield copy
    for url in made:
        drop_postgres(url)


def _begin(url: str, first_day: Callable[[str], object]) -> None:
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    first_day(url)
