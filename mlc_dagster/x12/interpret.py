"""Accepted sets in, documents out."""

from collections.abc import Callable, Mapping

from mlc_dagster.x12 import acknowledgments, invoices, orders, receipts, shipments
from mlc_dagster.x12.dialect import Dialect
from mlc_dagster.x12.documents import Document
from mlc_dagster.x12.errors import UnreadableError
from mlc_dagster.x12.structure import Loop
from mlc_dagster.x12.validate import SetResult

_READERS: Mapping[str, Callable[[Loop, Dialect], Document]] = {
    "850": orders.read,
    "860": orders.read,
    "810": invoices.read,
    "856": shipments.read,
    "861": receipts.read,
}


def document(result: SetResult, dialect: Dialect) -> Document:
    """What a set says. `dialect` decides only what the set leaves open, such as the form of a tax rate
    without its base.

    Raises:
        UnreadableError: the validator rejected the set, or it lacks what its document needs.
    """
    where = f"Set {result.set.id} {result.set.control} ({result.number or 'no number'})"
    if not result.accepted or result.root is None:
        reasons = "; ".join(str(finding) for finding in result.findings[:3]) or "its version is not supported"
        raise UnreadableError(f"{where} was rejected and says nothing we may trust: {reasons}.")
    try:
        if result.set.id == "997":
            return acknowledgments.read(result.root)
        return _READERS[result.set.id](result.root, dialect)
    except UnreadableError as error:
        raise UnreadableError(f"{where}: {error}") from None
