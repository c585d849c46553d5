"""What our side of every target's tests has in common: a ledger, deliveries, and the patience to end them."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from mlc_dagster.clock import Clock
from mlc_dagster.delivery import Ledger, Report, Row, deliver
from mlc_dagster.delivery.errors import Closed


class OurSide:
    """A database, settings and the parts that deliver. Made anew it is another process.

    main: the destination that is meant where none is named. target: opened by the settings.
    """

    engine: sa.Engine
    clock: Clock
    main: ClassVar[str]
    target: Any

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.engine, self.clock)

    def destination(self, name: str | None = None) -> Any:
        return self.target.destination((name or self.main).split("/")[1])

    def deliver(
        self,
        rows: Sequence[Row],
        *,
        name: str | None = None,
        company: str = "NO01",
        gone: Sequence[Row] = (),
        run: str = "1",
        fingerprint: str = "f",
        to: Any = None,
    ) -> Report:
        """Deliver rows; `gone` are rows whose record has no row any more. to: an opened destination."""
        return deliver(
            to or self.destination(name),
            company,
            rows,
            {row.source_key for row in [*rows, *gone]},
            ledger=self.ledger,
            run_id=f"run {run}",
            fingerprint=fingerprint,
            clock=self.clock,
        )

    def heal(self, work: Callable[[], Report]) -> Report:
        """Run until the delivery does not have to wait any more, as the resume sensor does."""
        for _ in range(5):
            try:
                return work()
            except Closed as closed:
                self.wait(closed)
        raise AssertionError("it never came to an end")

    def wait(self, closed: Closed) -> None:
        """Until calls may be made again."""
        self.clock.sleep(max(1.0, (closed.opens_at - self.clock.now()).total_seconds() + 1))
