"""What a table must hold after a load or an append, and the queries that tell (section 13 of the sheet)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mlc_dagster.powerbi.client import PowerBiClient, QueryRefused
from mlc_dagster.powerbi.dax import CONTROL, SLOTS, Fact, column, literal, quoted
from mlc_dagster.powerbi.star import Shape
from mlc_dagster.powerbi.values import check_number
from mlc_dagster.transport.errors import Again, Misconfigured

# Rows show about two seconds after they are accepted; nothing promises when (section 10). To look earlier is
# to spend the 120 queries of a minute for nothing, which then has the next table wait.
SHOWN_AFTER, POLL_SECONDS, PATIENCE_SECONDS = 2.05, 1.0, 60.0
EXACT = Decimal("0.0001")


@dataclass(frozen=True)
class Expected:
    """What a freshly loaded table holds and nothing else: any other number is a fault."""

    rows: int
    check: int
    sums: Mapping[str, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: Shape, payloads: Iterable[Mapping[str, Any]]) -> "Expected":
        """What these rows add up to."""
        rows = check = 0
        money = [found for found in shape.columns if found.type == "Decimal"]
        sums = dict.fromkeys((found.name for found in money), Decimal(0))
        for payload in payloads:
            rows, check = rows + 1, check + check_number(payload)
            for found in money:
                sums[found.name] += payload.get(found.source) or 0
        return cls(rows, check, sums)

    def differences(self, found: Mapping[str, Any]) -> list[str]:
        """In words, what is not as expected."""
        wanted: dict[str, Any] = {
            "rows": self.rows,
            "distinct keys": self.rows,
            "check sum": self.check,
            **{f"sum of {name}": value for name, value in self.sums.items()},
            "rows of another load": 0,
        }
        return [
            f"{name}: {seen} in place of {value}"
            for (name, value), seen in zip(wanted.items(), found.values(), strict=True)
            if Decimal(seen or 0).quantize(EXACT) != Decimal(value).quantize(EXACT)
        ]


class Verifier:
    """Asks one dataset. Without queries it believes what was answered 200 (section 13, rule 6)."""

    def __init__(self, client: PowerBiClient, dataset: str, *, on: bool) -> None:
        self._client, self._dataset, self.on = client, dataset, on

    def wait_empty(self, table: str) -> bool:
        """Wait until a cleared table is seen to be empty; False when it is not in time."""
        dax = f'EVALUATE ROW ( "rows", COUNTROWS ( {quoted(table)} ) + 0 )'
        return not self.on or self._wait(lambda: self._row(dax) == {"rows": 0}, shown_after=0)

    def wait_loaded(self, shape: Shape, table: str, load_id: str, expected: Expected) -> list[str]:
        """Wait until a table holds a load and nothing else; what differs when it does not in time."""
        if not self.on:
            return []
        dax, last = _load_query(shape, table, load_id, expected), ["nothing was asked"]

        def equal() -> bool:
            last[:] = expected.differences(self._row(dax))
            return not last

        return [] if self._wait(equal) else last

    def wait_appended(self, shape: Shape, table: str, load_id: str, version: int, keys: int) -> bool:
        """Wait until all keys of an append are seen; copies do no harm and are not counted."""
        of_this = f"{column(table, '_load_id')} = {literal(load_id)}, {column(table, '_version')} = {version}"
        count = f"DISTINCTCOUNT ( {column(table, shape.key.name)} )"
        dax = f'EVALUATE ROW ( "keys", CALCULATE ( {count}, {of_this} ) + 0 )'
        return not self.on or self._wait(lambda: self._row(dax) == {"keys": keys})

    def look(self, shape: Shape) -> Mapping[str, Any]:
        """What is there of a fact: rows and highest version of each slot; the active slot, its seq and floor.

        Empty when nothing may be asked.
        """
        if not self.on:
            return {}
        parts = []
        for slot in SLOTS:
            table = shape.physical(slot)
            parts.append(f'"rows{slot}", COUNTROWS ( {quoted(table)} ) + 0')
            parts.append(f'"version{slot}", MAX ( {column(table, "_version")} ) + 0')
        of_this = f"{column(CONTROL, 'entity')} = {literal(shape.title)}"
        parts.append(f'"seq", CALCULATE ( MAX ( {column(CONTROL, "seq")} ), {of_this} ) + 0')
        fact = Fact(shape.title, shape.key.name)
        parts.append(f'"slot", [{fact.slot_measure}], "floor", [{fact.floor_measure}] + 0')
        return self._row(f"EVALUATE ROW ( {', '.join(parts)} )")

    def switched(self, shape: Shape, seq: int) -> Mapping[str, Any]:
        """As `look`, once the control row of this number shows. Raises Again when it does not in time."""
        seen: dict[str, Any] = {}

        def shown() -> bool:
            seen.update(self.look(shape))
            return int(seen["seq"]) >= seq

        if not self._wait(shown, shown_after=0):
            text = f"the control row {seq} of {shape.title} does not show"
            raise Again("Power BI", "POST", "executeQueries", excerpt_text=text)
        return seen

    def ask(self, dax: str) -> list[dict[str, Any]]:
        """The rows of a query. Raises the client's CallFailed; Misconfigured where queries work no more."""
        try:
            return self._client.query(self._dataset, dax)
        except QueryRefused as refused:
            # It answered at set-up: to go on without verification is a person's decision.
            raise Misconfigured(
                "Power BI",
                "POST",
                "executeQueries",
                excerpt_text=str(refused),
                remedy="Switch 'Dataset Execute Queries REST API' on again, or set `verify: off`.",
            ) from refused

    def _row(self, dax: str) -> dict[str, Any]:
        return {name.strip("[]"): value for name, value in self.ask(dax)[0].items()}

    def _wait(self, done: Callable[[], bool], *, shown_after: float = SHOWN_AFTER) -> bool:
        """Look until it is so, first when it may be; False when it is not in time."""
        clock = self._client.clock
        clock.sleep(shown_after)
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            if done():
                return True
            clock.sleep(POLL_SECONDS)
        return done()


def _load_query(shape: Shape, table: str, load_id: str, expected: Expected) -> str:
    foreign = f"FILTER ( {quoted(table)}, {column(table, '_load_id')} <> {literal(load_id)} )"
    parts = [
        f'"rows", COUNTROWS ( {quoted(table)} ) + 0',
        f'"keys", DISTINCTCOUNT ( {column(table, shape.key.name)} ) + 0',
        f'"check", SUM ( {column(table, "_check")} ) + 0',
        *(f'"sum{at}", SUM ( {column(table, name)} ) + 0' for at, name in enumerate(expected.sums)),
        f'"foreign", COUNTROWS ( {foreign} ) + 0',
    ]
    return f"EVALUATE ROW ( {', '.join(parts)} )"
