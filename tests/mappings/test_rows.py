from pathlib import Path

import pytest

from mlc_dagster.lake import Lake
from mlc_dagster.mappings import Mappings, current, rows
from mlc_dagster.mappings.mappings import Mappings as Loaded
from tests.mappings.examples import (
    CATALOG,
    COMPANY,
    DAY,
    INVOICES_SQL,
    INVOICES_YML,
    NEXT_DAY,
    folder,
    invoice,
    invoices_folder,
    record,
    write,
)

MODEL = "target/invoices"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    write(lake, "suppliers", record("50000", name="Alfa"))
    write(lake, "invoices", invoice("1"), invoice("2", "0.001"), invoice("3", _deleted=True))
    return lake


@pytest.fixture
def mappings(tmp_path: Path) -> Mappings:
    tests = 'tests:\n  - sql: {name: small, query: "select code from {{ rows }} where amount > 1"}\n'
    return Mappings.load(invoices_folder(tmp_path / "models", yml=INVOICES_YML + tests), CATALOG)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were really mapped, in order."""
    seen: list[str] = []
    run = Loaded.run

    def counted(self: Loaded, model: str, *args: object, **more: object) -> object:
        seen.append(model)
        return run(self, model, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Loaded, "run", counted)
    return seen


def test_rows_are_mapped_once_while_nothing_moves(lake: Lake, mappings: Mappings, runs: list[str]) -> None:
    first = current(mappings, MODEL, lake, COMPANY, [DAY, NEXT_DAY], also={"1"})
    again = current(mappings, MODEL, lake, COMPANY, [NEXT_DAY, DAY], also={"1"})
    assert again == first
    assert (len(first.refused), len(first.scope), first.blocked[0].name) == (1, 3, "small")
    assert runs == [MODEL]


def test_rows_are_mapped_again_when_anything_they_depend_on_moved(
    tmp_path: Path, lake: Lake, mappings: Mappings, runs: list[str]
) -> None:
    def mapped(**more: object) -> int:
        return current(mappings, MODEL, lake, COMPANY, [DAY], **more).table.num_rows  # type: ignore[arg-type]

    mapped()
    write(lake, "invoices", invoice("4"), day=NEXT_DAY)
    assert mapped() == 2
    write(lake, "suppliers", record("50001", name="Beta"), day=NEXT_DAY)
    mapped()
    invoices_folder(
        tmp_path / "models", sql=INVOICES_SQL.replace("invoice.amount", "invoice.amount + 0 as amount")
    )
    mapped()
    mapped(also={"1"})
    mapped(seen="other")
    assert len(runs) == 6


def test_a_corrected_lookup_lifts_what_a_test_blocks(tmp_path: Path, lake: Lake) -> None:
    query = "select code from {{ rows }} where number not in (select number from {{ lookup('known') }})"
    tests = f'tests:\n  - sql: {{name: known, query: "{query}"}}\n'
    models = invoices_folder(tmp_path / "models", yml=INVOICES_YML + tests)
    folder(models, {"lookups/known.csv": "number\n2\n"})
    mappings = Mappings.load(models, CATALOG)
    assert [check.name for check in current(mappings, MODEL, lake, COMPANY, [DAY]).blocked] == ["known"]
    folder(models, {"lookups/known.csv": "number\n1\n2\n"})
    assert not current(mappings, MODEL, lake, COMPANY, [DAY]).blocked


def test_rows_that_another_version_kept_in_its_own_format_are_made_again(
    lake: Lake, mappings: Mappings, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(rows, "FORMAT", "before")
        current(mappings, MODEL, lake, COMPANY, [DAY])
    current(mappings, MODEL, lake, COMPANY, [DAY])
    assert runs == [MODEL, MODEL]


def test_a_file_that_could_not_be_written_whole_is_not_there(
    lake: Lake, mappings: Mappings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            current(mappings, MODEL, lake, COMPANY, [DAY])
    folder = Path(lake.storage.path("_rows", "target", "invoices", COMPANY))
    assert list(folder.iterdir()) == []
    assert current(mappings, MODEL, lake, COMPANY, [DAY]).table.num_rows == 1


def test_only_the_latest_ranges_are_kept(lake: Lake, mappings: Mappings) -> None:
    for day in range(1, 13):
        current(mappings, MODEL, lake, COMPANY, [DAY.replace(day=day)])
    files = lake.storage.list(lake.storage.path("_rows", "target", "invoices", COMPANY))
    assert [file.name[:10] for file in files] == [f"2026-11-{day:02}" for day in range(5, 13)]
    assert len(files) == rows.KEPT_FILES


def test_kept_rows_are_no_entity_of_the_lake(lake: Lake, mappings: Mappings) -> None:
    before = lake.fingerprint("invoices", COMPANY)
    current(mappings, MODEL, lake, COMPANY, [DAY])
    assert lake.fingerprint("invoices", COMPANY) == before
