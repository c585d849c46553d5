"""The sandbox's partners were written from the same sheet by another hand: they accept what we write."""

import pytest

from mlc_dagster.x12.charset import Charset
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import Document
from mlc_sandbox.cleo import x12 as partner
from mlc_sandbox.cleo.elements import Agreed
from mlc_sandbox.cleo.structure import check
from tests.x12.cases import CASES
from tests.x12.golden import golden

CODECS: dict[Charset, str] = {"basic": "ascii", "latin1": "latin-1", "utf8": "utf-8"}
AGREED: dict[Charset, str] = {"basic": "ascii", "latin1": "latin1", "utf8": "utf8"}


@pytest.mark.parametrize(
    ("told", "dialect", "name"), [(*case, name) for name, case in CASES.items()], ids=CASES
)
def test_a_partner_finds_nothing_wrong(told: Document, dialect: Dialect, name: str) -> None:
    (interchange,) = partner.read(golden(name).decode(CODECS[dialect.charset]))
    (group,) = interchange.groups
    (one,) = group.sets
    agreed = Agreed(dialect.version, AGREED[dialect.charset], dialect.separators.component)
    assert (one.errors, check(one, agreed)) == ([], [])
