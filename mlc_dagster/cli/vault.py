"""What `mlc credentials` does. No value is ever an argument, and none is ever printed."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from getpass import getpass

import typer

from mlc_dagster.cli.check import Step, attempt
from mlc_dagster.cli.console import console, table_with
from mlc_dagster.cli.person import person
from mlc_dagster.operations import health
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.vault import Change, Credentials, Stamp

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
STDIN = "-"
UNKNOWN = "unknown"
RUNS = "runs, which renew it"
# Sections that log in nowhere: when they use a new value, and what tries it.
WITHOUT_LOGIN = {
    "alerts": ("from the next message on", "`mlc alerts test` sends one to each channel now"),
    "receiver": ("when `mlc receiver serve` starts the next time", "there is no login to try"),
}


class NotTaken(Exception):
    """What was given cannot be taken; nothing was changed."""


def keep(name: str, source: Sequence[str], ends: str | None) -> None:
    """Read a value, from the terminal or from stdin, and keep it.

    Raises:
        NotTaken: no name, no value, no date, or a value on the command line.
        VaultLocked: the vault has no key that is safe to use.
    """
    _check_name(name)
    ends_on = _day(ends) if ends else None
    value = _value(name, source)
    suite = _suite()
    credentials = Credentials(suite.vault)
    before = credentials.ends().get(name)
    stamp = credentials.set(name, value, ends_on)
    console.print(f"{name} is in the vault, version {stamp.version}.")
    if ends_on:
        console.print(f"It ends on {ends_on}.")
    elif before:
        console.print(
            f"When it ends is not known: {before} was the old one's. `mlc credentials ends {name} DATE`"
        )
    _tell_users(suite, name)
    if os.environ.get(name):
        console.print(f"Beware: the environment of this process has another {name}, and goes first.")


def show() -> None:
    """Print all names that mlc.yaml uses or the vault keeps."""
    suite = _suite()
    credentials, users = Credentials(suite.vault), suite.settings.credentials()
    stored, ends = credentials.stored(), credentials.ends()
    headings = ("name", "used by", "kept in", "version", "written (UTC)", "by", "ends")
    table = table_with("Credentials", headings, whole=["name"])  # which is there to be copied
    for name in [*users, *sorted({*stored, *ends} - {*users})]:
        stamp = stored.get(name)
        table.add_row(
            name, _listed(users.get(name)), _place(name, stamp), *_written(stamp), _text(ends.get(name))
        )
    console.print(table)
    grants = table_with("Kept by runs, which renew it", ("name", "version", "written (UTC)", "by"))
    for entry, stamp in suite.vault.names().items():
        if entry not in {f"credential/{name}" for name in stored}:
            grants.add_row(entry, *_written(stamp))
    if grants.row_count:
        console.print(grants)


def show_history(name: str) -> None:
    """Print who changed a credential and when; values are not kept, so none can be shown."""
    history = Credentials(_suite().vault).history(name)
    table = table_with(f"Changes of {name}", ("when (UTC)", "by", "what", "version", "ends"))
    for change, stamp in history:
        when = f"{stamp.written_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, stamp.written_by, change.value, str(stamp.version or ""), _text(stamp.ends_on))
    console.print(table if history else f"Nothing was ever noted of {name}.")


def try_logins(name: str | None) -> int:
    """Log in wherever a credential is used, or wherever any is; 1 when one fails.

    Raises:
        NotTaken: mlc.yaml does not use the name.
    """
    suite = _suite()
    users = suite.settings.credentials()
    if name is not None and name not in users:
        raise NotTaken(f"No section of {suite.settings.file} names ${{{name}}}: there is no login to try.")
    sections = (
        users[name] if name else list(dict.fromkeys(user for found in users.values() for user in found))
    )
    tried = [attempt(*step) for section in sections for step in _logins(suite, section)]
    return 0 if all(tried) else 1


def note_end(name: str, text: str) -> None:
    """Note when a credential ends, or that this is not known. Raises NotTaken: no name or no date."""
    _check_name(name)
    ends_on = None if text == UNKNOWN else _day(text)
    Credentials(_suite().vault).note_end(name, ends_on)
    console.print(f"{name} ends on {ends_on}." if ends_on else f"It is not known when {name} ends.")


def change_key() -> None:
    """Write the vault with a new key.

    Raises:
        NoNewKey: MLC_VAULT_KEY holds one key; it is for its owner to put a new one in front.
        VaultLocked: an entry does not open; nothing has changed.
    """
    vault = _suite().vault
    count = vault.change_key()
    entries = f"{count} {'entry is' if count == 1 else 'entries are'} written with the new key"
    old = "take the old keys out of MLC_VAULT_KEY now" if vault.keys.given else "the old key is gone"
    console.print(f"{entries}; {old}.")


def forget(name: str, *, yes: bool) -> int:
    """Ask, and remove a credential, or what runs keep; 1 when the answer is no, or there is none."""
    suite = _suite()
    users = _listed(suite.settings.credentials().get(name)) if _is_ours(name) else RUNS
    if not yes and not typer.confirm(f"Forget {name}? Used by: {users}"):
        console.print("Nothing was changed.")
        return 1
    removed = (
        Credentials(suite.vault).remove(name) if _is_ours(name) else suite.vault.remove(name, Change.REMOVED)
    )
    if not removed:
        where = ": it stands in the environment, and is to be taken out there" if os.environ.get(name) else ""
        console.print(f"The vault has no {name}{where}.")
        return 1
    console.print(f"{name} is gone from the vault. Revoke it at its vendor too: it opens the door as before.")
    if os.environ.get(name):
        console.print(f"Beware: the environment of this process still has {name}, and it goes on being used.")
    return 0


def _suite() -> Suite:
    """The suite, in the name of who sits at the terminal: the audit trail tells who changed what."""
    suite = Suite(load_settings())
    suite.writer = person()
    return suite


def _tell_users(suite: Suite, name: str) -> None:
    """From when on its users take a new value, and what tries it."""
    users = suite.settings.credentials().get(name)
    if not users:
        console.print(f"No section of {suite.settings.file} names ${{{name}}} so far.")
        return
    if logins := [user for user in users if user not in WITHOUT_LOGIN]:
        console.print(
            f"{_listed(logins)} will use it from the next run on; `mlc credentials test {name}` tries it now."
        )
    for user in users:
        if user in WITHOUT_LOGIN:
            console.print(f"{user} will use it {'; '.join(WITHOUT_LOGIN[user])}.")


def _logins(suite: Suite, section: str) -> Iterator[Step]:
    if section == "visma":
        for company in suite.settings.companies:
            yield f"visma {company}", partial(health.company, suite, company)
    elif section in suite.settings.pairs.on():
        yield section, lambda: suite.target(section).look()
    else:
        yield section, partial(_revealed, suite, section)


def _revealed(suite: Suite, section: str) -> str:
    names = [name for name, users in suite.settings.credentials().items() if section in users]
    for secret in suite.settings.secrets_of(section):
        secret.reveal()
    return f"{_listed(names)} can be read; {WITHOUT_LOGIN[section][1]}"


def _value(name: str, source: Sequence[str]) -> str:
    """The value, without the line end that comes with it."""
    if list(source) not in ([], [STDIN]):
        raise NotTaken(
            "A value does not belong on the command line: others can read it there, and your shell's history "
            f"keeps it. Change {name} at its vendor, for it was seen. Then give it when asked, or on stdin "
            f"with `mlc credentials set {name} -`."
        )
    if not source and not sys.stdin.isatty():
        raise NotTaken(
            f"There is no terminal to ask at. Give the value on stdin: `mlc credentials set {name} -`."
        )
    value = sys.stdin.read() if source else getpass(f"Value of {name} (it is not shown): ")
    value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise NotTaken("The value is empty; nothing was changed.")
    if not source and value.startswith("-----BEGIN"):
        raise NotTaken(
            f"A terminal takes one line, and this value has several; nothing was changed. Give the file: "
            f"`mlc credentials set {name} - < FILE`."
        )
    return value


def _is_ours(name: str) -> bool:
    """Whether people give it a value; what runs keep has a path for a name, such as anaplan/oauth."""
    return "/" not in name


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise NotTaken(
            "That is no name of a credential. For ${VISMA_CLIENT_SECRET} of mlc.yaml it is "
            "VISMA_CLIENT_SECRET: letters, digits and `_`."
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotTaken(f"{text!r} is no date; write it as 2027-01-31.") from None


def _place(name: str, stamp: Stamp | None) -> str:
    if os.environ.get(name):
        return "environment; the vault's is not used" if stamp else "environment"
    return "vault" if stamp else "nowhere: missing"


def _written(stamp: Stamp | None) -> tuple[str, str, str]:
    if stamp is None:
        return "", "", ""
    return str(stamp.version), f"{stamp.written_at:%Y-%m-%d %H:%M:%S}", stamp.written_by


def _listed(names: Sequence[str] | None) -> str:
    return ", ".join(names or ()) or "nobody"


def _text(day: date | None) -> str:
    return day.isoformat() if day else ""
