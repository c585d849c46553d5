"""An installation with a day behind it, its pages served as `mlc receiver serve` serves them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import requests
import yaml

from mlc_dagster.cleo.outbox import Entry, Made, Outbox, State, Stored
from mlc_dagster.cli.webhooks import app_of
from mlc_dagster.delivery import Comparison, Difference, Refused, Row, deliver
from mlc_dagster.delivery import Entry as Held
from mlc_dagster.delivery.errors import Closed
from mlc_dagster.delivery.reconcile import Kind
from mlc_dagster.settings import REPOSITORY, load_settings
from mlc_dagster.suite import Suite
from tests.receiver.conftest import in_public
from tests.support.manual_clock import ManualClock
from tests.support.postgres import postgres_url
from tests.support.shelf import Shelf

__all__ = ["postgres_url"]
TOKEN = "a token of the tests, long enough"
# What somebody may well type into the ERP.
NASTY = "<script>document.title = 'taken'</script>"


@dataclass
class Installation:
    """A suite, its clock, and where its pages are."""

    suite: Suite
    clock: ManualClock
    url: str
    folder: Path

    def shelf(self, name: str, **options: object) -> Shelf:
        return Shelf(self.folder / f"{name.replace('/', '-')}.db", name=name, **options)  # type: ignore[arg-type]

    def deliver(self, shelf: Shelf, *rows: Row, refused: tuple[object, ...] = ()) -> None:
        """For NO01; what is in doubt, or meets a closed window, waits."""
        with suppress(Closed):
            deliver(
                shelf,
                "NO01",
                rows,
                {row.source_key for row in rows},
                refused,  # type: ignore[arg-type]
                ledger=self.suite.ledger,
                run_id="11111111-2222-4333-8444-555555555555",
                fingerprint="f",
                clock=self.clock,
            )

    def hold_back(self, place: str, number: str, why: str = "is too long") -> Held:
        """Put a record of NO01 into quarantine."""
        refused = [Refused("preflight", number, number, number, why, "{}")]
        self.suite.quarantine.settle(
            stage="preflight", place=place, company="NO01", passed=(), run_id="run-4", refused=refused
        )
        return self.suite.quarantine.open(number=number)[0]

    def browser(self) -> requests.Session:
        """A session that is logged in."""
        session = requests.Session()
        answer = session.post(f"{self.url}/login", data={"token": TOKEN, "next": "/"}, timeout=40)
        assert answer.status_code == 200, answer.text
        return session

    def page(self, path: str) -> str:
        answer = self.browser().get(self.url + path, timeout=40)
        return answer.text


@dataclass(frozen=True)
class BadRow:
    """What the contract refuses."""

    source_key: str
    key: str
    number: str
    reason: str
    row: dict[str, object]


def invoice(number: str, name: str = "Fjord & Fjell AS", amount: str = "1234.5000") -> Row:
    key = f"NO01|Invoice|{number}"
    return Row(key, key, number, {"code": key, "supplier_name": name, "amount": Decimal(amount)})


def line(number: str, place: int) -> Row:
    key = f"NO01|Invoice|{number}"
    return Row(f"{key}|{place}", key, number, {"code": f"{key}|{place}", "amount": Decimal("10.10")})


def open_suite(folder: Path, clock: ManualClock, **receiver: object) -> Suite:
    """A suite over the repository's own mlc.yaml, with a receiver and state of its own."""
    settings = yaml.safe_load((REPOSITORY / "mlc.yaml").read_text("utf-8"))
    settings["pairs"] = {name: settings["pairs"][name] for name in ("anaplan", "asana", "cleo")}
    settings["pairs"]["cleo"]["partners"]["kontinent"]["sends_997"] = False
    settings |= {"home": "state", "mappings": str(REPOSITORY / "dbt_like_mappings"), "receiver": receiver}
    file = folder / "mlc.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return Suite(load_settings(file), clock)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("pages")
    clock = ManualClock()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("MLC_DATABASE_URL", "MLC_LAKE_URL"):
            environment.delenv(name, raising=False)
        environment.setenv("PAGES_TOKEN", TOKEN)
        suite = open_suite(folder, clock, pages={"token": "${PAGES_TOKEN}", "replay": True})
        with in_public(app_of(suite)) as url:
            made = Installation(suite, clock, url, folder)
            a_day(made)
            yield made


def a_day(made: Installation) -> None:
    """Invoice 10023 is everywhere, 10024 is refused, 10025 waits, 10026 in doubt, 10027 held back."""
    invoices = made.shelf("anaplan/supplier_invoices")
    made.deliver(invoices, invoice("10023"), invoice("10030", NASTY))
    made.deliver(made.shelf("anaplan/supplier_invoice_lines"), line("10023", 1), line("10023", 2))
    made.deliver(made.shelf("asana/supplier_invoices"), invoice("10023"))
    refusing = made.shelf(
        "anaplan/supplier_invoices", refuse={invoice("10024").key: "No such account: 4711."}
    )
    made.deliver(refusing, invoice("10024"))
    closed = made.shelf("anaplan/supplier_invoices", faults=["closed"])
    made.deliver(closed, invoice("10025"))
    doubtful = made.shelf("asana/supplier_invoices", faults=["late"])
    made.deliver(doubtful, invoice("10026"))
    bad = BadRow("NO01|Invoice|10027", "NO01|Invoice|10027", "10027", "amount: 'abc' is not a number",
                 {"supplier_name": NASTY, "amount": "abc"})  # fmt: skip
    made.deliver(made.shelf("cleo/supplier_invoices"), refused=(bad,))
    made.suite.quarantine.settle(
        stage="visma", place="visma/suppliers", company="SE01", passed=(), run_id="run-2",
        refused=[Refused("visma", "50001", "50001", "50001", "vatZone.id: a text is needed",
                         '{"number": "50001", "name": "<b>x</b>", "limit": 1.10}')],
    )  # fmt: skip
    made.suite.quarantine.settle(
        stage="inbox", place="cleo/inbox", company="NO01", passed=(), run_id="run-2",
        refused=[Refused("inbox", "855", None, None, "no such order", "ISA*00")],
    )  # fmt: skip
    edi(made)
    wrong = Comparison("anaplan/supplier_invoices", "NO01", expected=2, found=2, different=1)
    wrong.differences = [
        Difference("NO01|Invoice|10023", Kind.DIFFERENT, "differs", {"amount": (Decimal("1234.5000"), NASTY)})
    ]
    made.suite.comparisons.keep(wrong, "mlc reconcile")


def edi(made: Installation) -> None:
    """Order 20001 was accepted by its partner, 20002 rejected, 20003 rejected and called off, 20004 went to
    a partner that does not answer.
    """
    outbox = Outbox(made.suite.engine, made.clock)

    def told(number: str, partner: str, control: str = "0001") -> Stored:
        entry = Entry(control, "cleo/purchase_orders", f"NO01|{number}", number, "00", {"order": number})
        stored = outbox.build(
            partner=partner, company="NO01", kind="PO", pair=f"MLC {partner}", batch_id=f"batch-{number}",
            make=lambda isa, gs: Made(f"850_{isa}.x12", b"ISA*", [entry]),
        )  # fmt: skip
        outbox.sent(stored)
        made.clock.pass_time(60)
        return stored

    for control, number, state in (("0001", "20001", State.ACKNOWLEDGED), ("0002", "20002", State.REJECTED)):
        stored = told(number, "nordedi", control)
        said = {} if state is State.ACKNOWLEDGED else {"codes": ["5"], "errors": ["PO1 at 7: code 8"]}
        outbox.answer(stored, state, {control: (state, said)}, "run-3")
    withdrawn = told("20003", "nordedi")
    outbox.answer(withdrawn, State.REJECTED, {"0001": (State.REJECTED, {})}, "run-3")
    outbox.withdraw([(withdrawn.id, "0001")])
    told("20004", "kontinent")


@pytest.fixture
def browser(installation: Installation) -> Iterator[requests.Session]:
    with installation.browser() as session:
        yield session
