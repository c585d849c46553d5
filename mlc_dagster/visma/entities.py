"""The catalog of all entities. A new one is declared in one of the four modules below and named here."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from mlc_dagster.visma.entity import Entity, Filter, Paging, Unreleased
from mlc_dagster.visma.finance import (
    DIMENSIONS,
    GL_ACCOUNTS,
    GL_BALANCES,
    JOURNAL_TRANSACTIONS,
    SUBACCOUNTS,
)
from mlc_dagster.visma.organisation import BRANCHES, EMPLOYEES, FINANCIAL_PERIODS, LEDGERS, TIMECARDS
from mlc_dagster.visma.payables import (
    PURCHASE_ORDERS,
    PURCHASE_RECEIPTS,
    SUPPLIER_INVOICES,
    SUPPLIER_PAYMENTS,
    SUPPLIERS,
)
from mlc_dagster.visma.receivables import (
    CUSTOMER_CREDIT_NOTES,
    CUSTOMER_INVOICES,
    CUSTOMER_PAYMENTS,
    CUSTOMERS,
)

__all__ = ["CATALOG", "ENTITIES", "Entity", "EntityCatalog", "Filter", "Paging", "Unreleased"]


class EntityCatalog:
    """Entities by name, with the schemas and keys the mappings compile against."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._entities = {entity.name: entity for entity in entities}

    def __getitem__(self, name: str) -> Entity:
        return self._entities[name]

    def entities(self) -> Sequence[str]:
        """Return all names, in the order they are declared."""
        return tuple(self._entities)

    def schema(self, entity: str) -> pa.Schema:
        """Return the columns of an entity in the lake. Raises KeyError for an unknown name."""
        return self._entities[entity].schema

    def key(self, entity: str) -> tuple[str, ...]:
        """Return the fields that identify a record. Raises KeyError for an unknown name."""
        return tuple(part.removesuffix("?") for part in self._entities[entity].key)


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        SUPPLIERS,
        SUPPLIER_INVOICES,
        SUPPLIER_PAYMENTS,
        PURCHASE_ORDERS,
        PURCHASE_RECEIPTS,
        CUSTOMERS,
        CUSTOMER_INVOICES,
        CUSTOMER_CREDIT_NOTES,
        CUSTOMER_PAYMENTS,
        GL_ACCOUNTS,
        SUBACCOUNTS,
        DIMENSIONS,
        GL_BALANCES,
        JOURNAL_TRANSACTIONS,
        EMPLOYEES,
        TIMECARDS,
        BRANCHES,
        LEDGERS,
        FINANCIAL_PERIODS,
    )
}
CATALOG = EntityCatalog(ENTITIES.values())
