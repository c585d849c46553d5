"""One simulated company: its master data, its tables (built when first asked for), its clock and counters."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from mlc_sandbox.core import SandboxClock
from mlc_sandbox.world.countries import COUNTRIES, RATES, Country, chart
from mlc_sandbox.world.store import Counter, Row, Table

NAMESPACE = uuid.UUID("5c1f6a52-6f0b-4b56-9a58-3a9a3f6d2b11")


class Company:
    """The contents of one Visma.net company. All follows from code, seed, scale and the first `now`."""

    # Months of payroll, and assets of each depreciation: more than 500 make a batch of more than 1,000 lines.
    payrolls, assets = 24, (620, 700)

    def __init__(self, code: str, *, seed: int, scale: float, clock: SandboxClock) -> None:
        if code[:2] not in COUNTRIES or not code[2:].isdigit():
            raise ValueError(f"Company {code!r}: use NO, SE or DK and a number, for example NO01.")
        self.code, self.seed, self.scale, self.clock = code, seed, scale, clock
        self.currency = self.country.currency
        number = int(code[2:])
        self.name = self.country.companies[(number - 1) % len(self.country.companies)]
        self.tenant_id = str(uuid.uuid5(NAMESPACE, f"company/{code}"))
        # The group's contract tenant: gets tokens that no company answers to (vendors/visma.md section 2).
        self.customer_tenant_id = str(uuid.uuid5(NAMESPACE, "customer"))
        self.company_id = str(1_000_000 + 1000 * (list(COUNTRIES).index(code[:2]) + 1) + number)
        self.base = clock.now()
        self.accounts = chart(code[:2])
        self.account = {account.role: account for account in self.accounts}
        self.branches = ("1", "2")
        self.counter = Counter(0x1F4000)
        self.numbers: dict[str, Counter] = {}
        self._tables: dict[str, Table] = {}

    def __getstate__(self) -> dict[str, Any]:
        """For a saved state: without the clock, which belongs to the process, and without rendered texts."""
        for table in self._tables.values():
            table.forget_texts()
        return {name: value for name, value in self.__dict__.items() if name != "clock"}

    @property
    def country(self) -> Country:
        """What is particular to its country."""
        return COUNTRIES[self.code[:2]]

    def table(self, name: str) -> Table:
        """The table of this entity, filled on first use. Raises KeyError for an unknown name."""
        if name not in self._tables:
            fill, build = BUILDERS[name]
            table = Table(name, BoundBuild(self, build), self.counter)
            self._tables[name] = table
            fill(self, table)
        return self._tables[name]

    def rng(self, name: str) -> random.Random:
        """A random source of its own for each part, so that one part's size does not shift another's data."""
        return random.Random(f"{self.seed}/{self.code}/{name}")

    def number(self, series: str, first: int = 100_001) -> str:
        """The next number of a series."""
        return str(next(self.numbers.setdefault(series, Counter(first))))

    def count(self, for_scale_one: float, at_least: int = 1) -> int:
        """A number of records, scaled."""
        return max(at_least, round(for_scale_one * self.scale))

    def rate(self, currency: str) -> int:
        """Base-currency millionths of one unit of the currency."""
        return RATES[self.currency][currency]

    def day(self, age: float) -> date:
        """The date `age` days before the world began."""
        return (self.base - timedelta(days=age)).date()

    def day_start(self, age: float) -> datetime:
        """The moment `age` days before the world began."""
        return self.base - timedelta(days=age)

    def touched(self, rng: random.Random, age: float) -> datetime:
        """A plausible last change of a document written `age` days before the world began.

        Most settle within weeks of their date; some are touched again in the last month or week.
        """
        draw = rng.random()
        if draw < 0.04:
            age = min(age, rng.uniform(0, 7))
        elif draw < 0.1:
            age = min(age, rng.uniform(0, 30))
        else:
            age = max(rng.uniform(0, min(age, 1.0)), age - rng.expovariate(1 / 12))
        return self.base - timedelta(days=age)

    def uuid(self, name: str) -> str:
        """A stable id for a thing of this company."""
        return str(uuid.uuid5(NAMESPACE, f"{self.code}/{name}"))

    def age_now(self) -> float:
        """Days before the world began, of now: negative, as what happens now happens after it."""
        return (self.base - self.clock.now()).total_seconds() / 86_400


class BoundBuild:
    """Builds rows of one company from facts; a class, because a saved state must be able to hold it."""

    def __init__(self, company: Company, build: Callable[[Company, Any], Row]) -> None:
        self.company, self.build = company, build

    def __call__(self, facts: Any) -> Row:
        """The row of these facts."""
        return self.build(self.company, facts)


Fill = Callable[[Company, Table], None]
# Entity -> (fill the table, build a row from facts); each module of this package registers its own.
BUILDERS: dict[str, tuple[Fill, Callable[[Company, Any], Row]]] = {}


def cents(amount: int) -> Decimal:
    """Hundredths as an exact decimal."""
    return Decimal(amount).scaleb(-2)


def fine(amount: int) -> Decimal:
    """Ten-thousandths as an exact decimal: unit prices have four places."""
    return Decimal(amount).scaleb(-4)


def times(amount: int, factor: int, unit: int) -> int:
    """amount x factor / unit, rounded half up away from zero, in integers."""
    product = amount * factor
    rounded = (2 * abs(product) + unit) // (2 * unit)
    return rounded if product >= 0 else -rounded


def month(day: date) -> str:
    """Financial period as YYYYMM."""
    return f"{day.year:04d}{day.month:02d}"


def post_period(day: date) -> str:
    """Post period as MMYYYY, as supplier, purchase and journal documents spell it."""
    return f"{day.month:02d}{day.year:04d}"
