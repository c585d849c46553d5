"""Is everything the settings name really there? One question for each part; a failure says what to do."""

from typing import BinaryIO
from uuid import uuid4

from mlc_dagster.suite import Suite
from mlc_dagster.visma.connect import company_budget
from mlc_dagster.visma.entities import ENTITIES


class LakeUnusable(Exception):
    """Files cannot be written, listed and removed where the lake is to lie."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} takes no files ({why}). Check MLC_LAKE_URL, or `home` in mlc.yaml, and the rights to "
            "write, list, read and remove files there (docs/deploy.md)."
        )


def company(suite: Suite, code: str) -> str:
    """Log in to a company and read its branches: token, tenant, approval and rights in one small call."""
    branches = suite.visma(code).pages(ENTITIES["branches"], lambda page: len(page.records))
    name = suite.settings.companies[code].name
    return f"{name}, branches: {sum(branches)}"


def lake(suite: Suite) -> str:
    """Write a file, list it and remove it: an object store has a right for each.

    Raises LakeUnusable.
    """
    url = suite.settings.lake_url
    try:
        storage = suite.lake.storage
        folder = storage.path(f"_check_{uuid4().hex}")
        storage.put(f"{folder}/file", _write)
        there = len(storage.list(folder))
        storage.remove_folder(folder)
    except Exception as error:  # each kind of store has errors of its own
        raise LakeUnusable(url, f"{type(error).__name__}: {error}") from error
    if there != 1:
        raise LakeUnusable(url, "a file that was written is not listed")
    return url


def _write(file: BinaryIO) -> None:
    file.write(b"mlc check")


def destination(suite: Suite, name: str) -> str:
    """Look at everything a delivery and the read-back after it would need, without delivering."""
    suite.destination(name).preflight([])
    read_back = suite.read_back(name)
    if read_back is None:
        return "ready"
    read_back.check()
    return "ready, and read back"


def budgets_left(suite: Suite) -> dict[str, int | None]:
    """The calls left of our share of each budget in its current window; None while the limit is unknown.

    It needs the database and no credential.
    """
    visma = suite.settings.visma
    left = {
        f"visma {code}": company_budget(visma, code, suite.budgets).left()
        for code in suite.settings.companies
    }
    for name in suite.settings.pairs.on():
        left |= suite.target(name).calls_left()
    return left
