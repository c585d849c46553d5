"""Every entity reads equal to what the ERP holds, field by field."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from mlc_dagster.visma.entities import CATALOG, ENTITIES
from tests.visma.conftest import OSLO, Erp


def as_day(value: str | date) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value[:10])


def as_moment(value: str | datetime) -> datetime:
    """As the ERP shows it: milliseconds, and no zone, so the second pass of an hour reads as its first."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    wall = moment.astimezone(OSLO).replace(tzinfo=None, fold=0) if moment.tzinfo else moment
    return wall.replace(tzinfo=OSLO).astimezone(UTC)


def expected(value: Any, kind: pa.DataType) -> Any:
    """What a value of the ERP must look like in the lake, by the column's type."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [expected(element, kind.value_type) for element in value]
    if pa.types.is_struct(kind):
        return {field.name: expected(value.get(field.name), field.type) for field in kind}
    scalars = ((pa.types.is_decimal, Decimal), (pa.types.is_date, as_day), (pa.types.is_timestamp, as_moment))
    return next((make(value) for fits, make in scalars if fits(kind)), value)


@pytest.mark.parametrize("entity", list(ENTITIES))
def test_every_entity_reads_equal_to_the_erp(still_erp: Erp, entity: str):
    report = still_erp.read(entity)
    own = [field for field in ENTITIES[entity].schema if not field.name.startswith("_")]
    held = still_erp.held(entity)
    assert set(held) == still_erp.keys(entity)
    assert report.quarantined == ()
    read = sorted(({field.name: row[field.name] for field in own} for row in held.values()), key=repr)
    truth = sorted(
        (
            {field.name: expected(row.get(field.name), field.type) for field in own}
            for row in still_erp.truth(entity)
        ),
        key=repr,
    )
    assert read == truth


def test_the_catalog_names_keys_and_schemas():
    assert len(CATALOG.entities()) == 19
    for name in CATALOG.entities():
        schema = CATALOG.schema(name)
        assert schema.names[:5] == ["_key", "_stamp", "_stamp_text", "_read_at", "_deleted"]
        assert {part.split(".")[0] for part in CATALOG.key(name)} <= set(schema.names)
