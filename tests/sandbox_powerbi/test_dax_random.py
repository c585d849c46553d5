"""Random models and filters: the DAX engine against a plain reckoning over joined rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlc_sandbox.powerbi import dax

NOW = datetime(2026, 3, 15, tzinfo=UTC)
COUNTRIES = ("NO", "SE", "DK")


@dataclass(frozen=True)
class Line:
    """An order joined to its customer's country; None for a customer nobody knows."""

    key: int
    customer: int | None
    status: str | None
    version: int
    amount: Decimal | None
    country: str | None


customers = st.dictionaries(st.integers(1, 5), st.sampled_from(COUNTRIES), max_size=5)
orders = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.none() | st.integers(1, 6),
        st.none() | st.sampled_from(["OPEN", "CLOSED", "VOID"]),
        st.integers(1, 3),
        st.none() | st.decimals(-99, 99, places=2),
    ),
    max_size=25,
)
statuses = st.none() | st.sets(st.sampled_from(["OPEN", "CLOSED", "VOID"]))
countries = st.none() | st.sets(st.sampled_from(COUNTRIES))


def model(known: dict[int, str], rows: list[tuple[Any, ...]]) -> tuple[dax.Model, list[Line]]:
    many = dax.Table("Orders", ["key", "customer", "status", "version", "amount"], rows)
    one = dax.Table("Customers", ["customer", "country"], list(known.items()))
    relation = dax.Relation(many.by_name["customer"], one.by_name["customer"])
    return dax.Model([many, one], [relation]), [Line(*row, known.get(row[1])) for row in rows]


def arguments(status: set[str] | None, country: set[str] | None) -> str:
    """The same choice as arguments of CALCULATE."""
    found = ""
    for column, chosen in (("Orders[status]", status), ("Customers[country]", country)):
        if chosen is not None:
            listed = ", ".join(f'"{value}"' for value in sorted(chosen))
            found += f", {column} IN {{ {listed} }}"
    return found


def chosen(lines: list[Line], status: set[str] | None, country: set[str] | None) -> list[Line]:
    return [
        line
        for line in lines
        if (status is None or line.status in status) and (country is None or line.country in country)
    ]


def total(lines: list[Line]) -> Decimal | None:
    amounts = [line.amount for line in lines if line.amount is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def live(all_lines: list[Line], lines: list[Line]) -> Decimal | None:
    """Of each key the largest amount of its last version, where that version is among the lines."""
    last: dict[int, int] = defaultdict(int)
    for line in all_lines:
        last[line.key] = max(last[line.key], line.version)
    found = [
        max(amounts)
        for key in {line.key for line in lines}
        if (
            amounts := [
                line.amount
                for line in lines
                if line.key == key and line.version == last[key] and line.amount is not None
            ]
        )
    ]
    return sum(found, Decimal(0)) if found else None


def ask(found: dax.Model, text: str) -> list[tuple[Any, ...]]:
    return dax.run(found, f"EVALUATE {text}", NOW).rows


LIVE = """SUMX(VALUES(Orders[key]),
    VAR v = CALCULATE(MAX(Orders[version]), ALLEXCEPT(Orders, Orders[key]))
    RETURN CALCULATE(MAX(Orders[amount]), Orders[version] = v))"""


@settings(max_examples=150, deadline=None)
@given(customers, orders, statuses, countries)
def test_sums_counts_and_last_versions_under_filters(
    known: dict[int, str], rows: list[Any], status: set[str] | None, country: set[str] | None
) -> None:
    found, lines = model(known, rows)
    seen, choice = chosen(lines, status, country), arguments(status, country)
    query = (
        f'ROW("sum", CALCULATE(SUM(Orders[amount]){choice}), '
        f'"rows", CALCULATE(COUNTROWS(Orders){choice}) + 0, '
        f'"keys", CALCULATE(DISTINCTCOUNT(Orders[key]){choice}) + 0, '
        f'"live", CALCULATE({LIVE}{choice}), '
        f'"filtered", CALCULATE({LIVE}, FILTER(Orders, TRUE()){choice}))'
    )
    wanted = live(lines, seen)
    assert ask(found, query) == [(total(seen), len(seen), len({line.key for line in seen}), wanted, wanted)]


@settings(max_examples=150, deadline=None)
@given(customers, orders, statuses)
def test_groups_over_a_relationship(known: dict[int, str], rows: list[Any], status: set[str] | None) -> None:
    found, lines = model(known, rows)
    groups: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in chosen(lines, status, None):
        groups[line.country, line.version].append(line)
    wanted = {group: (total(members), len(members)) for group, members in groups.items()}
    measured = '"sum", SUM(Orders[amount]), "rows", COUNTROWS(Orders)'
    chosen_rows = f"CALCULATETABLE(Orders{arguments(status, None)})"
    columns = "Customers[country], Orders[version]"
    for query in (
        f"CALCULATETABLE(SUMMARIZECOLUMNS({columns}, {measured}){arguments(status, None)})",
        f"SUMMARIZE({chosen_rows}, {columns}, {measured})",
    ):
        rows_found = ask(found, query)
        assert {row[:2]: row[2:] for row in rows_found} == wanted
        assert len(rows_found) == len(wanted)
