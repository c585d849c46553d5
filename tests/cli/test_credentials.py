"""`mlc credentials`: values come by prompt or stdin and never show; what is kept, tried and forgotten."""

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from mlc_dagster.cli.main import app
from mlc_dagster.cli.vault import NotTaken
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.vault import Credentials, NoNewKey, VaultLocked
from mlc_sandbox.config import write_config
from mlc_sandbox.server import Sandbox
from tests.cli.conftest import MLC

SECRET, ID = "VISMA_CLIENT_SECRET", "VISMA_CLIENT_ID"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.running(seed=1, scale=0.02, companies=("NO01",)) as running:
        yield running


@pytest.fixture
def values(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The sandbox's credentials, of which the environment has none; mlc.yaml has the ERP and Anaplan."""
    file, credentials = write_config(tmp_path, sandbox.url, sandbox.vendors.values())
    settings = yaml.safe_load(file.read_text())
    settings["pairs"] = {"anaplan": settings["pairs"]["anaplan"]}
    file.write_text(yaml.safe_dump(settings))
    values = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    for name in (*values, "MLC_VAULT_KEY", "MLC_DATABASE_URL", "MLC_LAKE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLC_CONFIG", str(file))
    return values


def mlc(*arguments: str, given: str | None = None) -> str:
    """What the command printed; the error it ended with is raised."""
    done = CliRunner().invoke(app, ["credentials", *arguments], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return f"{done.output}exit code {done.exit_code}"


def row(name: str) -> list[str]:
    """The cells of a name in the list, each below the beginning of its heading."""
    lines = mlc("list").splitlines()
    [place] = [number for number, line in enumerate(lines) if line.startswith(f"{name} ")]
    headings = [line for line in lines[:place] if line.startswith("name ")][-1]
    begins = [heading.start() for heading in re.finditer(r"\S+( \S+)*", headings)]
    return [lines[place][begin:end].strip() for begin, end in pairwise([*begins, None])]


def kept(name: str) -> str | None:
    return Credentials(Suite(load_settings()).vault).text(name)


def test_a_value_is_kept_from_stdin_without_its_line_end(values: dict[str, str]) -> None:
    said = mlc("set", SECRET, "-", given="hunter2\n")
    assert f"{SECRET} is in the vault, version 1." in said
    assert "visma will use it from the next run on" in said
    assert "hunter2" not in said
    assert kept(SECRET) == "hunter2"


@pytest.mark.parametrize(
    "text", ["-----BEGIN X-----\nabc\n-----END X-----", " spaces and trailing\t", "a\n\nb"]
)
def test_a_value_of_several_lines_is_kept_as_it_is(values: dict[str, str], text: str) -> None:
    mlc("set", SECRET, "-", given=f"{text}\n")
    assert kept(SECRET) == text


def at_a_terminal(typed: bytes) -> tuple[int, bytes]:
    """The exit code of `mlc credentials set` and what a terminal shows when somebody types this."""
    ours, theirs = pty.openpty()
    command = [*MLC, "credentials", "set", SECRET]
    # Of a session of its own, so that /dev/tty is this terminal.
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ},
    )
    os.close(theirs)
    shown = b""
    while b"(it is not shown): " not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, typed)
    try:
        while piece := os.read(ours, 1000):
            shown += piece
    except OSError:  # the other end was closed
        pass
    code = process.wait(60)
    os.close(ours)
    return code, shown


def test_at_a_terminal_the_value_is_asked_for_and_not_shown(values: dict[str, str]) -> None:
    code, shown = at_a_terminal(b"hunter2\n")
    assert code == 0, shown
    assert b"is in the vault, version 1" in shown
    assert b"hunter2" not in shown
    assert kept(SECRET) == "hunter2"


def test_a_terminal_takes_no_pem_because_the_rest_of_it_would_go_to_the_shell(values: dict[str, str]) -> None:
    code, shown = at_a_terminal(b"-----BEGIN PRIVATE KEY-----\nhunter2\n")
    assert code == 1
    assert f"mlc credentials set {SECRET} - < FILE".encode() in shown
    assert kept(SECRET) is None


@pytest.mark.parametrize("words", [["hunter2"], ["hunter2", "more"], ["-", "hunter2"]])
def test_a_value_on_the_command_line_is_refused_and_not_repeated(
    values: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(NotTaken, match="does not belong on the command line") as caught:
        mlc("set", SECRET, *words)
    assert "hunter2" not in str(caught.value)
    assert kept(SECRET) is None


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (["set", "VISMA CLIENT", "-"], "x", "That is no name of a credential"),
        (["set", "${VISMA_CLIENT_ID}", "-"], "x", "That is no name of a credential"),
        (["set", SECRET, "-"], "\n", "The value is empty"),
        (["set", SECRET, "-", "--ends", "31.1.2027"], "x", "'31.1.2027' is no date"),
        (["set", SECRET], None, "There is no terminal to ask at"),
        (["ends", SECRET, "soon"], None, "'soon' is no date"),
        (["test", "NO_SUCH_NAME"], None, r"No section of .*mlc.yaml names \$\{NO_SUCH_NAME\}"),
    ],
)
def test_what_cannot_be_taken_says_why_and_changes_nothing(
    values: dict[str, str], arguments: list[str], given: str | None, words: str
) -> None:
    with pytest.raises(NotTaken, match=words):
        mlc(*arguments, given=given)
    assert Suite(load_settings()).vault.names() == {}


def test_the_list_says_who_uses_a_name_and_where_it_is_kept(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert row(SECRET)[:3] == [SECRET, "visma", "nowhere: missing"]
    mlc("set", SECRET, "-", "--ends", "2027-01-31", given="hunter2")
    name, user, place, version, _, by, ends = row(SECRET)
    assert (name, user, place, version, ends) == (SECRET, "visma", "vault", "1", "2027-01-31")
    assert "@" in by
    monkeypatch.setenv(SECRET, "of the environment")
    assert row(SECRET)[2] == "environment; the vault's is not used"
    monkeypatch.setenv(ID, "of the environment")
    mlc("ends", ID, "2028-01-31")
    assert row(ID) == [ID, "visma", "environment", "", "", "", "2028-01-31"]
    assert "hunter2" not in mlc("list")


def test_what_runs_keep_is_in_the_list_too(values: dict[str, str]) -> None:
    Suite(load_settings()).vault.write("anaplan/oauth", "rt-1")
    assert "Kept by runs, which renew it" in mlc("list")
    assert row("anaplan/oauth")[:2] == ["anaplan/oauth", "1"]


def test_whoever_gives_a_value_that_the_environment_hides_is_told(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "of the environment")
    assert "has another VISMA_CLIENT_SECRET, and goes first" in mlc("set", SECRET, "-", given="hunter2")


def test_what_logs_in_nowhere_is_told_when_it_counts_and_what_tries_it(
    values: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "mlc.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["alerts"] = {"channels": {"finance-it": {"to": "${ALERTS_MAIL}"}}}
    settings["receiver"] = {"pages": {"token": "${MLC_PAGES_TOKEN}"}}
    file.write_text(yaml.safe_dump(settings))
    said = mlc("set", "ALERTS_MAIL", "-", given="jsons://hunter2@example.com")
    assert "from the next message on; `mlc alerts test` sends one to each channel now." in said
    assert "credentials test" not in said
    assert "ALERTS_MAIL can be read; `mlc alerts test` sends one" in mlc("test", "ALERTS_MAIL")
    said = mlc("set", "MLC_PAGES_TOKEN", "-", given="hunter2")
    assert "receiver will use it when `mlc receiver serve` starts the next time" in said


def test_a_name_that_mlc_yaml_does_not_use_is_kept_and_told(values: dict[str, str]) -> None:
    assert "names ${SPARE} so far" in mlc("set", "SPARE", "-", given="hunter2")
    assert row("SPARE")[:3] == ["SPARE", "nobody", "vault"]


def test_a_new_value_takes_the_end_of_the_old_one_away_and_says_so(values: dict[str, str]) -> None:
    mlc("set", SECRET, "-", "--ends", "2027-01-31", given="hunter2")
    said = mlc("set", SECRET, "-", given="hunter3")
    assert "When it ends is not known: 2027-01-31 was the old one's." in said
    assert row(SECRET)[6] == ""
    assert f"{SECRET} ends on 2028-01-31." in mlc("ends", SECRET, "2028-01-31")
    assert f"It is not known when {SECRET} ends." in mlc("ends", SECRET, "unknown")
    assert row(SECRET)[6] == ""


def test_the_history_of_a_name_tells_every_change_and_no_value(values: dict[str, str]) -> None:
    assert "Nothing was ever noted" in mlc("list", "--history", SECRET)
    for value in ("hunter2", "hunter3"):
        mlc("set", SECRET, "-", given=value)
    mlc("remove", SECRET, "--yes")
    said = mlc("list", "--history", SECRET)
    assert [said.count(words) for words in ("credential set", "credential removed", "hunter")] == [2, 1, 0]


def test_each_login_that_uses_a_credential_is_tried(values: dict[str, str]) -> None:
    for name in (SECRET, ID, "ANAPLAN_USER"):
        mlc("set", name, "-", given=values[name])
    mlc("set", "ANAPLAN_PASSWORD", "-", given="wrong")
    assert re.fullmatch(r"ok    visma NO01: .*, branches: 2\nexit code 0", mlc("test", SECRET))
    both = mlc("test")
    assert "ok    visma NO01" in both
    assert "fails anaplan: Anaplan POST /token/authenticate: status 401" in both
    assert both.endswith("exit code 1")
    mlc("set", "ANAPLAN_PASSWORD", "-", given=values["ANAPLAN_PASSWORD"])
    assert mlc("test") == mlc("test", SECRET).replace("exit", "ok    anaplan: model Data Hub\nexit")


def test_a_missing_credential_fails_its_login_with_what_to_do(values: dict[str, str]) -> None:
    said = mlc("test", SECRET)
    assert f"fails visma NO01: {ID} is not set" in said
    assert f"Run `mlc credentials set {ID}`" in said
    assert said.endswith("exit code 1")


def test_the_whole_vault_gets_a_new_key(values: dict[str, str], tmp_path: Path) -> None:
    mlc("set", SECRET, "-", given="hunter2")
    before = (tmp_path / ".mlc" / "vault.key").read_text()
    assert "1 entry is written with the new key; the old key is gone." in mlc("rotate")
    assert (tmp_path / ".mlc" / "vault.key").read_text() != before
    assert kept(SECRET) == "hunter2"


def test_keys_of_the_environment_are_changed_where_they_are_set(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in "ab")
    monkeypatch.setenv("MLC_VAULT_KEY", old)
    mlc("set", SECRET, "-", given="hunter2")
    with pytest.raises(NoNewKey):
        mlc("rotate")
    monkeypatch.setenv("MLC_VAULT_KEY", f"{new},{old}")
    assert "take the old keys out of MLC_VAULT_KEY now" in mlc("rotate")
    monkeypatch.setenv("MLC_VAULT_KEY", new)
    assert kept(SECRET) == "hunter2"


def test_a_value_is_forgotten_after_a_question(values: dict[str, str]) -> None:
    mlc("set", SECRET, "-", given="hunter2")
    assert "Used by: visma" in mlc("remove", SECRET, given="n\n")
    assert kept(SECRET) == "hunter2"
    assert "Revoke it at its vendor too" in mlc("remove", SECRET, given="y\n")
    assert kept(SECRET) is None
    assert mlc("remove", SECRET, "--yes") == f"The vault has no {SECRET}.\nexit code 1"


def test_one_that_the_environment_still_has_is_told_as_that(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mlc("set", SECRET, "-", given="hunter2")
    monkeypatch.setenv(SECRET, "hunter3")
    said = mlc("remove", SECRET, "--yes")
    assert f"the environment of this process still has {SECRET}" in said
    assert "hunter" not in said
    assert "to be taken out there" in mlc("remove", SECRET, "--yes")


def test_check_warns_of_an_end_that_comes_near(values: dict[str, str]) -> None:
    soon = (datetime.now(UTC) + timedelta(days=12)).date()
    mlc("ends", SECRET, soon.isoformat())
    said = CliRunner().invoke(app, ["check"]).output
    assert f"warns {SECRET} ends on {soon}." in said


def test_after_the_key_was_lost_everything_can_be_removed_and_set_anew(
    values: dict[str, str], tmp_path: Path
) -> None:
    mlc("set", SECRET, "-", given="hunter2")
    Suite(load_settings()).vault.write("anaplan/oauth", "rt-1")
    (tmp_path / ".mlc" / "vault.key").unlink()
    with pytest.raises(VaultLocked, match="there is no key"):
        mlc("set", SECRET, "-", given="hunter3")
    for name in (SECRET, "anaplan/oauth"):
        assert f"{name} is gone" in mlc("remove", name, "--yes")
    mlc("set", SECRET, "-", given="hunter3")
    assert kept(SECRET) == "hunter3"
