"""What Dagster's UI shows of an asset: columns and where they come from, a preview, reasons of refusals."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from mlc_dagster.delivery.destination import Destination, Reviewed
from mlc_dagster.graph.partitions import Days
from mlc_dagster.mappings import Mappings, Model
from mlc_dagster.mappings.model import IDENTITY
from mlc_dagster.operations.backlog import Interrupted
from mlc_dagster.visma.entities import Entity

PREVIEW_ROWS = 5
REASONS_SHOWN = 5
REVIEWS_SHOWN = 20
LONGEST_CELL = 40


def covers(days: Days) -> str:
    """The companies and days a run's numbers stand for: each of its partitions shows the same numbers."""
    return "; ".join(f"{company} {listed[0]} to {listed[-1]}" for company, listed in days.items())


def first_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The first rows of a model, in the columns a destination gets."""
    own = [name for name in table.column_names if name not in IDENTITY]
    rows: list[dict[str, Any]] = table.select(own).slice(0, PREVIEW_ROWS).to_pylist()
    return rows


def preview(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """The first rows as a small table."""
    names = list(rows[0]) if rows else []
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(value) for value in row.values()] for row in rows[:PREVIEW_ROWS]]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else "No rows.")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> dg.TableMetadataValue:
    """Texts as a table with these columns."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in names]),
    )


def reasons(found: Sequence[tuple[str, str]]) -> dict[str, dg.MetadataValue[Any]]:
    """The first few refused records with their reasons; nothing when there are none."""
    return {"quarantine": table(("record", "reason"), found[:REASONS_SHOWN])} if found else {}


def interrupted(company: str, left: Interrupted, hours: int | None) -> dict[str, Any]:
    """How far a read came before a window closed. `hours`: of the ERP's, until it has all its pages."""
    shown = {"pages": left.pages, "hours_to_go": None if left.pages is None or hours is None else hours - 1}
    known = {name: value for name, value in shown.items() if value is not None}
    return {"company": company, "days_not_read": left.days, "pages_here": left.here, **known}


def calls_per_change(totals: Mapping[str, int], calls: int) -> dict[str, float]:
    """What a changed record cost; nothing where none changed."""
    changed = sum(totals[name] for name in ("created", "updated", "deleted"))
    return {"calls_per_change": round(calls / changed, 2)} if changed else {}


def to_review(destination: Destination, companies: Sequence[str]) -> dict[str, Any]:
    """What a destination leaves for people to decide: how many lines, and the first of them."""
    if not isinstance(destination, Reviewed):
        return {}
    lines = [line for company in companies for line in destination.to_review(company)]
    if not lines:
        return {}
    records = [dg.TableRecord(dict(line)) for line in lines[:REVIEWS_SHOWN]]
    return {"to_review": len(lines), "first_to_review": dg.MetadataValue.table(records)}


def entity_columns(entity: Entity) -> dict[str, Any]:
    """The columns of an entity in the lake."""
    columns = [dg.TableColumn(field.name, str(field.type)) for field in entity.schema]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def model_columns(model: Model, mappings: Mappings) -> dict[str, Any]:
    """The columns of a model's rows, the fields each is made of, and the two files that say so."""
    lineage = {
        column: [dg.TableColumnDep(dg.AssetKey(["visma", entity]), field) for entity, field in sources]
        for column, sources in mappings.column_lineage(model.key).items()
    }
    files = [
        dg.LocalFileCodeReference(file_path=str(Path(file).resolve()))
        for file in (model.sql_file, model.contract_file)
    ]
    return {
        "dagster/column_schema": _schema(model, mappings),
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
        "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[*files]),
    }


def destination_columns(model: Model, mappings: Mappings) -> dict[str, Any]:
    """The columns of a destination: those of its rows, one by one."""
    rows = dg.AssetKey([model.target, "rows", model.name])
    lineage = {column.name: [dg.TableColumnDep(rows, column.name)] for column in mappings.columns(model.key)}
    return {
        "dagster/column_schema": _schema(model, mappings),
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
    }


def _schema(model: Model, mappings: Mappings) -> dg.TableSchema:
    columns = mappings.columns(model.key)
    return dg.TableSchema([dg.TableColumn(one.name, one.type, one.description) for one in columns])


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
    short = text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"
    return " ".join(short.split()).replace("|", "\\|")
