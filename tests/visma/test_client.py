"""The client's requests, tokens and refusals, on a running ERP."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlc_dagster.database import connect, migrate
from mlc_dagster.lake import Lake
from mlc_dagster.transport import Budgets, CallFailed, Misconfigured, Refused
from mlc_dagster.visma.auth import VismaConnect
from mlc_dagster.visma.client import Company, VismaClient, segment, visma_http
from mlc_dagster.visma.entities import ENTITIES
from tests.visma.conftest import API_NAMES, Erp


def test_the_change_filter_has_the_vendors_exact_form(erp):
    erp.client.page(ENTITIES["suppliers"], since="2026-11-20T10:00:00.123")
    erp.client.page(ENTITIES["journal_transactions"], since="2026-11-20T10:00:00")
    with_condition, since = (call.path for call in erp.sandbox.log.calls("visma", match="/v[12]/"))
    assert (
        "lastModifiedDateTime=2026-11-20T10%3A00%3A00.123&lastModifiedDateTimeCondition=%3E%3D"
        in with_condition
    )
    assert "lastModifiedDateTime=2026-11-20T10%3A00%3A00&pageNumber=1" in since
    assert "Condition" not in since


@pytest.mark.parametrize("entity", ["timecards", "gl_balances", "journal_transactions"])
def test_lists_that_refuse_to_answer_without_a_filter_get_one(erp, entity):
    assert erp.client.page(ENTITIES[entity]).records


@pytest.mark.parametrize("caps", [{"page_cap": 25}, {"page_caps": {"supplierInvoice": 25}}], ids=str)
def test_pages_follow_the_cap_the_server_reports_not_the_size_asked_for(new_erp, caps):
    erp = new_erp(page_size=1000, **caps)
    pages = erp.client.pages(ENTITIES["supplier_invoices"], lambda page: len(page.records))
    assert sum(pages) == len(erp.keys("supplier_invoices"))
    assert max(pages) == 25


def test_a_lower_cap_on_a_later_page_still_reaches_the_end(new_erp):
    erp = new_erp(page_size=40)
    pages = erp.client.pages(ENTITIES["suppliers"], lambda page: [row["number"] for row in page.records])
    assert [number for page in pages for number in page] == sorted(erp.keys("suppliers"))


@pytest.mark.parametrize(("sends", "required"), [(True, True), (False, False)])
def test_the_company_header_goes_with_every_call_unless_switched_off(new_erp, sends, required):
    erp = new_erp(company_header="required" if required else "ignored")
    company = erp.client.company
    client = VismaClient(erp.client.http, company, send_company_header=sends)
    assert client.page(ENTITIES["suppliers"]).records
    assert client.single(ENTITIES["suppliers"], sorted(erp.keys("suppliers"))[0])
    assert client._headers == ({"ipp-company-id": company.company_id} if sends else {})


def test_a_single_read_finds_the_record_of_its_key_or_nothing(erp):
    for entity in (
        "supplier_invoices",
        "supplier_payments",
        "gl_accounts",
        "timecards",
        "journal_transactions",
    ):
        key = sorted(erp.keys(entity))[0]
        single = erp.client.single(ENTITIES[entity], key)
        assert (
            single is None
            or single["timeStamp"] == erp.visma.record("NO01", API_NAMES[entity], key).time_stamp
        )
    assert erp.client.single(ENTITIES["suppliers"], "no such") is None
    with pytest.raises(ValueError, match="no path for a single record"):
        erp.client.single(ENTITIES["ledgers"], "x")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("50000", "50000"),
        ("A B", "A%20B"),
        ("Ærø", "%C3%86r%C3%B8"),
        ("a/b", "b64(YS9i)"),
        ("50%", "b64(NTAl)"),
        ("1?x", "b64(MT94)"),
    ],
)
def test_a_key_never_changes_the_meaning_of_a_path(value, path):
    assert segment(value) == path


@pytest.mark.parametrize("number", ["A/B 1", "A|B"])
def test_a_number_with_a_sign_of_our_own_or_of_a_path_is_found(erp, number):
    table = erp.visma.table("NO01", "supplier")
    row = table.row(next(iter(table)))
    table.add(number, None, erp.clock.now(), row={**row, "number": number})
    assert erp.client.single(ENTITIES["suppliers"], number)["number"] == number
    assert ENTITIES["suppliers"].number_in(number) == number


def test_one_token_serves_many_calls_and_is_renewed_before_it_expires(new_erp):
    erp = new_erp(token_seconds=600)
    tokens = lambda: erp.sandbox.log.count("visma", match="connect/token")  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: erp.client.page(ENTITIES["branches"]), range(16)))
    assert tokens() == 1
    erp.clock.sleep(530)
    erp.client.page(ENTITIES["branches"])
    assert tokens() == 1
    erp.clock.sleep(15)
    erp.client.page(ENTITIES["branches"])
    assert tokens() == 2
    assert erp.sandbox.log.count("visma", status=401) == 0


def test_a_token_that_dies_in_the_middle_of_a_run_is_renewed_and_nothing_is_lost(new_erp):
    erp = new_erp(page_size=20)
    erp.sandbox.faults.arm("visma", "token_expired", after=3, match="supplierInvoice")
    erp.read("supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")
    assert erp.sandbox.log.count("visma", match="connect/token") == 2


def test_the_customer_tenant_gets_a_token_and_then_an_explanation(erp):
    erp.tenant = erp.visma.companies["NO01"].customer_tenant_id
    client = erp.new_client()
    with pytest.raises(Misconfigured, match=r"company tenant, not the customer.*approved.*App Store"):
        client.page(ENTITIES["suppliers"])
    assert erp.sandbox.log.count("visma", status=401) == 2, "one renewal, no loop"


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"client_secret": "wrong-secret-123"}, "client_id and visma.client_secret"),
        ({"tenant_id": "no-such-tenant"}, "tenant_id"),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_login_names_the_setting_and_shows_no_secret(new_erp, changed, remedy, status):
    erp = new_erp(token_secret_status=status)
    client_id, secret = erp.visma.client
    options = {
        "client_id": client_id,
        "client_secret": secret,
        "tenant_id": erp.visma.companies["NO01"].tenant_id,
        **changed,
    }
    connect = VismaConnect(f"{erp.sandbox.url}/visma/connect/token", clock=erp.clock, **options)
    client = VismaClient(
        visma_http(f"{erp.sandbox.url}/visma/api", auth=connect.auth()), Company("NO01", "t", "1")
    )
    with pytest.raises(Misconfigured, match=remedy) as failed:
        client.page(ENTITIES["suppliers"])
    assert secret not in str(failed.value)
    assert "wrong-secret-123" not in str(failed.value)
    assert erp.sandbox.log.count("visma", match="/api/") == 0


@pytest.mark.parametrize("body", ["json", "html", "empty"])
def test_a_refusal_is_understood_in_every_form_it_comes(new_erp, body):
    erp = new_erp(error_body=body)
    with pytest.raises(Refused) as failed:
        erp.client.get(
            "/v1/supplier", {"lastModifiedDateTime": "20.11.2026", "lastModifiedDateTimeCondition": ">="}
        )
    assert failed.value.status == 400
    assert failed.value.words


def test_an_answer_that_stays_broken_is_an_error_with_an_excerpt(erp):
    erp.sandbox.faults.arm("visma", "invalid_json", times=None)
    with pytest.raises(CallFailed, match="GET /v1/supplier: status 200"):
        erp.client.page(ENTITIES["suppliers"])
    assert erp.calls("suppliers") == 3


@pytest.mark.parametrize(
    "fault",
    [
        ("server_error", {"status": 500}),
        ("server_error", {"status": 503, "html": True}),
        ("drop_connection", {}),
    ],
)
def test_a_shaky_server_costs_retries_and_no_rows(new_erp, fault):
    name, params = fault
    erp = new_erp(page_size=20)
    erp.sandbox.faults.arm("visma", name, times=4, after=2, match="supplierInvoice", **params)
    erp.read("supplier_invoices")
    assert set(erp.held("supplier_invoices")) == erp.keys("supplier_invoices")
    assert erp.counter.retries >= 1


def test_the_shared_budget_learns_the_limit_and_stays_inside_its_share(new_erp, tmp_path: Path):
    erp = new_erp(rate_limit=50)
    engine = connect(f"sqlite:///{tmp_path}/mlc.db")
    migrate(engine)
    budget = Budgets(engine, erp.clock).fixed_window("visma:NO01", limit=None, seconds=3600, patience=4000)
    limited = Erp(erp.sandbox, Lake(str(tmp_path / "lake")), page_size=3, budget=budget)
    limited.read("supplier_invoices")
    assert set(limited.held("supplier_invoices")) == erp.keys("supplier_invoices")
    calls = erp.sandbox.log.calls("visma", match="/api/")
    assert 429 not in {call.status for call in calls}, "never over the limit"
    assert len(calls) > 50, "more than one window was needed"
    engine.dispose()
