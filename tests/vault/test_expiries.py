"""The ends of credentials: what targets know of, and what people noted."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mlc_dagster.cli.check import tell_ends
from mlc_dagster.operations.expiries import expiries, soon
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.target import Expiry
from mlc_dagster.vault.credentials import Credentials
from tests.transport.clocks import ManualClock

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MLC_YAML = """
start_day: 2026-11-01
visma: {client_id: "${T_VISMA_ID}", client_secret: "${T_VISMA_SECRET}"}
companies:
  NO01: {name: Nordlys Handel AS, tenant_id: t, company_id: "1100"}
pairs:
  anaplan:
    auth: {method: certificate, certificate: "${T_CERTIFICATE}", private_key: "${T_KEY}"}
    workspace_id: 8a81b09c5e8c6f27015ece3402487d33
    model_id: 75A40874E6B64FA3AE0743278996850F
    destinations:
      gl_accounts: {list_import: GL Accounts list, data_import: GL Accounts data}
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.delenv("MLC_DATABASE_URL", raising=False)
    (tmp_path / "mlc.yaml").write_text(MLC_YAML)
    return Suite(load_settings(tmp_path / "mlc.yaml"), ManualClock(NOW))


@pytest.fixture
def credentials(suite: Suite) -> Credentials:
    return Credentials(suite.vault)


def certificate(ends: datetime) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "integration")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(7).not_valid_before(ends - timedelta(days=365)).not_valid_after(ends)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_nothing_is_known_to_end_unless_somebody_said_so(suite: Suite) -> None:
    assert expiries(suite) == []


def test_a_noted_end_is_told_wherever_the_credential_is_kept(suite: Suite, credentials: Credentials) -> None:
    credentials.note_end("T_VISMA_SECRET", date(2027, 1, 31))
    [expiry] = expiries(suite)
    assert (expiry.what, expiry.ends_at) == ("T_VISMA_SECRET", datetime(2027, 1, 31, tzinfo=UTC))
    assert "mlc credentials set T_VISMA_SECRET --ends" in expiry.remedy


def test_an_end_that_is_taken_back_is_told_no_more(suite: Suite, credentials: Credentials) -> None:
    credentials.note_end("T_VISMA_SECRET", date(2027, 1, 31))
    credentials.note_end("T_VISMA_SECRET", None)
    assert expiries(suite) == []


def test_the_end_of_anaplans_certificate_is_read_from_it_and_the_next_end_comes_first(
    suite: Suite, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime(2026, 12, 1, 8, tzinfo=UTC)
    monkeypatch.setenv("T_CERTIFICATE", certificate(end))
    credentials.note_end("T_VISMA_SECRET", date(2027, 1, 31))
    first, second = expiries(suite)
    assert (first.what, first.ends_at) == ("Anaplan's client certificate (T_CERTIFICATE)", end)
    assert second.what == "T_VISMA_SECRET"


@pytest.mark.parametrize("given", [None, "no PEM text and no file"])
def test_a_certificate_that_cannot_be_read_hides_no_other_end(
    suite: Suite, credentials: Credentials, given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("T_CERTIFICATE", raising=False)
    if given is not None:
        monkeypatch.setenv("T_CERTIFICATE", given)
    credentials.note_end("T_VISMA_SECRET", date(2027, 1, 31))
    assert [expiry.what for expiry in expiries(suite)] == ["T_VISMA_SECRET"]


def test_thirty_days_before_its_end_it_is_time_to_act() -> None:
    ends = Expiry("a secret", NOW, "")
    assert not soon(ends, NOW - timedelta(days=30, seconds=1))
    assert soon(ends, NOW - timedelta(days=30))
    assert soon(ends, NOW + timedelta(days=1))


def test_check_warns_of_what_ends_soon_and_fails_for_what_has_ended(
    suite: Suite, credentials: Credentials, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials.note_end("T_KEY", date(2027, 2, 1))
    assert tell_ends(suite)
    assert capsys.readouterr().out == "ok    no credential is known to end within 30 days\n"
    credentials.note_end("T_VISMA_SECRET", date(2026, 12, 12))
    assert tell_ends(suite)
    assert "warns T_VISMA_SECRET ends on 2026-12-12. Have a new one made" in capsys.readouterr().out
    credentials.note_end("T_VISMA_ID", date(2026, 11, 21))
    assert not tell_ends(suite)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("fails T_VISMA_ID ended on 2026-11-21.")
    assert told[1].startswith("warns T_VISMA_SECRET")
