"""What the checks of a model found: refused rows and results."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mlc_dagster.mappings.contract import Check
from mlc_dagster.mappings.judging import FIELD, ITEM
from mlc_dagster.mappings.model import CheckInfo, CheckResult, Model, RefusedRow

SAMPLES = 5
BUILT_IN = (
    CheckInfo("types", blocking=False, severity="error", description="Every value fits its column's type."),
    CheckInfo(
        "key_unique",
        blocking=False,
        severity="error",
        description="The key is filled, and no two rows share it.",
    ),
)


def check_infos(model: Model) -> list[CheckInfo]:
    """Every check of a model, known before any row is: the two built in, then the contract's."""
    own = [CheckInfo(check.name, check.blocking, check.severity, check.description) for check in model.checks]
    return [*BUILT_IN, *own]


def looks_at_rows(check: Check) -> bool:
    """Whether a check is asked of the accepted rows; the other ones have refused theirs already."""
    return not check.row_level or check.severity == "warn"


def finding(info: CheckInfo | Check, count: int, keys: Sequence[str]) -> CheckResult:
    """The result of one check. `keys`: those of the first rows that fail it; people are told them."""
    shown = f", such as {', '.join(keys)}" if keys else ""
    message = f"{count} rows fail {info.name}{shown}." if count else "All rows pass."
    return CheckResult(info.name, count == 0, info.blocking, info.severity, count, message)


def refusals(model: Model, refused: Sequence[RefusedRow]) -> list[CheckResult]:
    """The results of the checks that refuse rows."""
    asked = {check.name for check in model.checks if looks_at_rows(check)}
    results = []
    for info in check_infos(model):
        if info.name not in asked:
            failing = [row for row in refused if info.name in row.checks]
            results.append(
                finding(info, len(failing), [row.key or row.source_key for row in failing[:SAMPLES]])
            )
    return results


def refused_row(head: Sequence[Any], row: Mapping[str, Any]) -> RefusedRow:
    """A refused row from (key, source_key, number, faults) and the values the model gave it."""
    key, source_key, number, faults = head
    parts = [fault.split(FIELD, maxsplit=1) for fault in faults.split(ITEM)]
    checks = tuple(dict.fromkeys(check for check, _ in parts))
    reason = "; ".join(dict.fromkeys(reason for _, reason in parts))
    plain = {name: _plain(value) for name, value in row.items()}
    return RefusedRow(key, source_key or "", number, reason, checks, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
