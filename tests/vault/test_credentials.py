"""What mlc.yaml names: looked up in the environment, then in the vault; who changed what is on file."""

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from mlc_dagster.delivery import Audit, Kind
from mlc_dagster.settings import SecretMissing, load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.vault import Change, Credentials, KeyFile, KeyRing, Vault, VaultLocked
from tests.transport.clocks import ManualClock

NAME, OTHER = "T_VISMA_SECRET", "T_VISMA_ID"


@pytest.fixture
def credentials(vault: Vault) -> Credentials:
    return Credentials(vault)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    for name in ("MLC_DATABASE_URL", NAME, OTHER):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "start_day": "2026-11-01",
        "visma": {"client_id": f"${{{OTHER}}}", "client_secret": f"${{{NAME}}}"},
        "companies": {"NO01": {"name": "Nordlys Handel AS", "tenant_id": "t", "company_id": "1100"}},
    }
    file = tmp_path / "mlc.yaml"
    file.write_text(yaml.safe_dump(settings))
    return Suite(load_settings(file))


def test_the_environment_goes_first_and_the_vault_answers_for_what_it_lacks(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    Credentials(suite.vault).set(NAME, "of the vault")
    secret = suite.settings.visma.client_secret
    assert secret.reveal() == "of the vault"
    monkeypatch.setenv(NAME, "of the environment")
    assert secret.reveal() == "of the environment"
    monkeypatch.setenv(NAME, "")
    assert secret.reveal() == "of the vault"


def test_a_new_value_is_used_without_loading_the_settings_again(suite: Suite) -> None:
    credentials = Credentials(suite.vault)
    for value in ("first", "second"):
        credentials.set(NAME, value)
        assert suite.settings.visma.client_secret.reveal() == value


def test_a_credential_that_is_nowhere_names_both_places_and_the_command(suite: Suite) -> None:
    with pytest.raises(SecretMissing) as caught:
        suite.settings.visma.client_secret.reveal()
    assert str(caught.value) == (
        f"{NAME} is not set, neither in the environment of this process nor in the vault. "
        f"Run `mlc credentials set {NAME}`, or set it in the environment."
    )


def test_a_locked_vault_is_told_as_that_not_as_a_missing_credential(suite: Suite) -> None:
    Credentials(suite.vault).set(NAME, "value")
    (suite.settings.folder / "vault.key").unlink()
    with pytest.raises(VaultLocked, match="there is no key"):
        suite.settings.visma.client_secret.reveal()


def test_what_the_vault_holds_shows_in_no_repr_of_the_settings(suite: Suite) -> None:
    Credentials(suite.vault).set(NAME, "of the vault")
    suite.settings.visma.client_secret.reveal()
    assert "of the vault" not in repr(suite.settings)
    assert f"Secret({NAME})" in repr(suite.settings)


def test_who_uses_a_credential_follows_from_the_settings(suite: Suite) -> None:
    assert suite.settings.credentials() == {OTHER: ["visma"], NAME: ["visma"]}


def test_each_change_is_on_file_with_who_and_when_and_never_with_the_value(
    credentials: Credentials, vault: Vault, clock: ManualClock, engine: sa.Engine
) -> None:
    vault.writer = "anna@finance"
    times = [clock.now()]
    credentials.set(NAME, "hunter1")
    clock.advance(60)
    times.append(clock.now())
    vault.writer = "bo@finance"
    credentials.set(NAME, "hunter2", date(2027, 1, 31))
    credentials.note_end(NAME, date(2027, 2, 28))
    credentials.remove(NAME)
    found = [
        (change, stamp.version, stamp.written_by, stamp.ends_on)
        for change, stamp in credentials.history(NAME)
    ]
    assert found == [
        (Change.SET, 1, "anna@finance", None),
        (Change.SET, 2, "bo@finance", date(2027, 1, 31)),
        (Change.END, 2, "bo@finance", date(2027, 2, 28)),
        (Change.REMOVED, 3, "bo@finance", None),
    ]
    assert [stamp.written_at for _, stamp in credentials.history(NAME)][:2] == times
    events = Audit(engine).history(NAME)
    assert [event.kind for event in events] == [
        Kind.CREDENTIAL_SET,
        Kind.CREDENTIAL_SET,
        Kind.CREDENTIAL_END,
        Kind.CREDENTIAL_REMOVED,
    ]
    assert "hunter" not in str(events)


def test_the_audit_trail_knows_every_kind_of_change() -> None:
    assert {change.value for change in Change} <= {kind.value for kind in Kind}


def test_a_change_of_the_key_is_on_file(credentials: Credentials, vault: Vault, engine: sa.Engine) -> None:
    credentials.set(NAME, "hunter2")
    vault.change_key()
    assert [event.kind for event in Audit(engine).history("vault key")] == [Kind.VAULT_KEY]


def test_what_runs_renew_by_themselves_does_not_fill_the_audit_trail(vault: Vault, engine: sa.Engine) -> None:
    for text in ("first", "second"):
        vault.write("anaplan/oauth", text)
    assert Audit(engine).history("oauth") == []


def test_a_change_that_fails_is_not_on_file(credentials: Credentials, key_file: Path) -> None:
    credentials.set(NAME, "value")
    key_file.chmod(0o644)
    with pytest.raises(VaultLocked, match="chmod 600"):
        credentials.set(NAME, "another")
    key_file.chmod(0o600)
    assert len(credentials.history(NAME)) == 1
    assert credentials.text(NAME) == "value"


def test_the_end_of_a_value_goes_with_it(credentials: Credentials) -> None:
    credentials.set(NAME, "value", date(2027, 1, 31))
    assert credentials.ends() == {NAME: date(2027, 1, 31)}
    credentials.set(NAME, "another")
    assert credentials.ends() == {}
    credentials.set(NAME, "a third", date(2028, 1, 31))
    assert credentials.remove(NAME)
    assert credentials.ends() == {}


def test_the_end_of_a_credential_kept_elsewhere_can_be_noted_and_forgotten(credentials: Credentials) -> None:
    credentials.note_end(NAME, date(2027, 1, 31))
    assert credentials.ends() == {NAME: date(2027, 1, 31)}
    assert credentials.stored() == {}
    assert credentials.text(NAME) is None
    assert credentials.remove(NAME)
    assert not credentials.remove(NAME)
    assert credentials.ends() == {}


def test_credentials_and_what_runs_keep_do_not_mix(credentials: Credentials, vault: Vault) -> None:
    vault.write(NAME, "of a run")
    credentials.set(NAME, "of a person")
    assert set(credentials.stored()) == {NAME}
    assert set(vault.names()) == {NAME, f"credential/{NAME}"}


def test_two_installations_do_not_share_a_key(engine: sa.Engine, tmp_path: Path) -> None:
    one = Credentials(Vault(engine, KeyRing(KeyFile(tmp_path / "a" / "vault.key")), writer="cli"))
    two = Credentials(Vault(engine, KeyRing(KeyFile(tmp_path / "b" / "vault.key")), writer="cli"))
    one.set(NAME, "value")
    with pytest.raises(VaultLocked, match="there is no key"):
        two.text(NAME)
