"""A run that logs in by OAuth: it renews the grant, and the vault says which run did."""

from datetime import timedelta

import pytest

from mlc_dagster.graph.partitions import range_tags
from mlc_dagster.settings import load_settings
from mlc_sandbox.anaplan.oauth import DEVICE_CLIENT
from tests.graph.conftest import MakeHouse
from tests.support.house import House, failure, tries
from tests.support.planning import expected

MODEL, SUPPLIERS = "anaplan/suppliers", "DAT01 Suppliers"


@pytest.fixture
def house(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("MLC_VAULT_KEY", raising=False)
    monkeypatch.setenv("ANAPLAN_CLIENT_ID", DEVICE_CLIENT)
    house = make_house(destinations=["suppliers"])
    oauth = {"method": "oauth_device", "client_id": "${ANAPLAN_CLIENT_ID}"}
    house.set("pairs", "anaplan", "auth", value=oauth)
    house.set("pairs", "anaplan", "oauth_url", value=f"{house.sandbox.url}/anaplan")
    house.settings = load_settings(house.settings.file)
    return house


def log_in(house: House) -> None:
    stored = house.suite().anaplan.grant
    stored.keep(stored.service.by_device(stored.service.device_code()))


def test_a_run_renews_the_grant_of_the_login_and_delivers(house: House) -> None:
    log_in(house)
    house.sandbox.clock.advance(timedelta(minutes=31))
    run = house.run()
    assert run.success
    assert house.modules()[SUPPLIERS] == expected(house.sandbox, ["NO01"])[SUPPLIERS]
    stamp = house.suite().vault.names()["anaplan/oauth"]
    assert stamp.written_by == run.run_id


def test_a_run_without_a_login_fails_with_the_command_to_run(house: House) -> None:
    assert house.read("suppliers").success
    result = house.materialize(MODEL, tags=range_tags("NO01", house.days[0], house.today))
    assert "Run `mlc anaplan login` once" in failure(result, MODEL)
    assert tries(result, MODEL) == 1
