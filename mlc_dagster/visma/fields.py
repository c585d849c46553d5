"""Field declarations in the notation of vendors/visma.md section 6, and the Arrow types made from them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

MONEY = pa.decimal128(28, 8)
MOMENT = pa.timestamp("us", tz="UTC")
# What Python can hold. 0001-01-01 is what .NET writes where there is no moment.
EARLIEST = pa.scalar(datetime.min.replace(tzinfo=UTC), MOMENT)
LATEST = pa.scalar(datetime.max.replace(tzinfo=UTC), MOMENT)

# The lake's type of each kind: text, guid, integer, decimal, business date, ERP stamp, UTC stamp, boolean.
LAKE_TYPES = {
    "s": pa.string(),
    "g": pa.string(),
    "i": pa.int64(),
    "n": MONEY,
    "d": pa.date32(),
    "t": MOMENT,
    "u": MOMENT,
    "b": pa.bool_(),
}
# What JSON values are taken in as first. Integers as decimals: Arrow would cut 1.5 to 1 without a word.
WIRE_TYPES = {"i": pa.decimal128(19, 0), "d": pa.string(), "t": pa.string(), "u": pa.string()}
# Catches a wrapped section {"value": {...}}, which would become a struct of nulls: only null fits here.
WRAPPER = pa.field("value", pa.null())

# Structs that several entities share, with the vendor's names.
SHARED = {
    "NN": "s number name",
    "ID": "s id description",
    "ND": "s number description",
    "PARTY": """
        i internalId
        s number name
    """,
    "LOC": "s countryId id name",
    "PLACE": """
        i id
        s name
    """,
    "PRJ": """
        i internalId
        s id description
    """,
    "COUNTRY": "s id name",
    "ADDR": """
        i addressId
        s addressLine1 addressLine2 addressLine3 postalCode city
        COUNTRY country county
    """,
    "CON": """
        i contactId
        s name attention email web phone1 phone2 fax
    """,
    "SHIP_ADDR": """
        b overrideAddress
        i addressId
        s addressLine1 addressLine2 addressLine3 postalCode city
        COUNTRY country county
    """,
    "SHIP_CON": """
        b overrideContact
        i contactId
        s name attention email web phone1 phone2 fax
    """,
    "INVOICE_ADDR": """
        i addressId
        s addressLine1 addressLine2 addressLine3 postalCode city
        COUNTRY country county
        b overrideAddress
    """,
    "INVOICE_CON": """
        i contactId
        s businessName attention email phone1
        b overrideContact
    """,
    "SEGMENT": """
        i segmentId
        s segmentDescription segmentValue segmentValueDescription
    """,
    "SUB": """
        s subaccountNumber
        i subaccountId
        s description
        t lastModifiedDateTime
        b active
        SEGMENT[] segments
    """,
    "SUBID": """
        s id description
        b active
    """,
    "ACC": "s type number description",
    "ACCX": """
        s type number description externalCode1 externalCode2
        b active
    """,
    "VATZONE": """
        s id description defaultVatCategory
        ND defaultTaxCategory
    """,
    "ATTACHMENT": """
        s name
        g id
        i revision
    """,
    "ATTRIBUTE": "s id value description",
    "TAX": """
        s taxId
        i recordId
        ND vatId
        n vatRate taxableAmount vatAmount expenseAmount
    """,
    "APPLICATION": """
        s docType customerCD refNbr ppdCrMemoRefNbr paymentRef status applicationPeriod invoiceText
        d applicationDate
        b pendingPPD released hold voided
        n amountPaid cashDiscountTaken balance
    """,
    "WORK": "s rutRotType description xmlTag",
}


@dataclass(frozen=True)
class Field:
    """One declared field. A struct has ``fields`` and no kind; ``many`` makes it a list."""

    name: str
    kind: str = ""
    fields: tuple["Field", ...] = ()
    many: bool = False

    @property
    def lake_type(self) -> pa.DataType:
        """Return the type of the column in the lake."""
        one = LAKE_TYPES[self.kind] if self.kind else pa.struct([(f.name, f.lake_type) for f in self.fields])
        return pa.list_(one) if self.many else one

    @property
    def wire_type(self) -> pa.DataType:
        """Return the type JSON values are taken in as."""
        one = WIRE_TYPES.get(self.kind, LAKE_TYPES[self.kind]) if self.kind else wire_struct(self.fields)
        return pa.list_(one) if self.many else one

    @property
    def one(self) -> "Field":
        """Return the declaration of a single element."""
        return Field(self.name, self.kind, self.fields)


def shape(text: str, **structs: str) -> tuple[Field, ...]:
    """Read a declaration: each line is a kind and the names of its fields, ``KIND[]`` a list.

    A kind is one of ``s g i n d t u b``, a shared struct, or one of ``structs``. Raises ValueError for
    an unknown one.
    """
    return _shape(text, {**SHARED, **structs})


def wire_struct(fields: tuple[Field, ...]) -> pa.StructType:
    """Return the struct type JSON objects with these fields are taken in as."""
    declared = [pa.field(f.name, f.wire_type) for f in fields]
    return pa.struct(declared if any(f.name == "value" for f in fields) else [*declared, WRAPPER])


def used(fields: tuple[Field, ...], array: pa.StructArray, path: str = "") -> Iterator[str]:
    """Yield the path, such as `supplier.number`, of each field that is not null in all records."""
    for field in fields:
        values, name = pc.struct_field(array, field.name), path + field.name
        if values.null_count < len(values):
            yield name
            if field.fields:
                yield from used(field.fields, values.flatten() if field.many else values, f"{name}.")


def only(fields: tuple[Field, ...], paths: Collection[str], path: str = "") -> tuple[Field, ...]:
    """Return the fields with these paths. A section keeps one field at least: Arrow counts by columns."""
    found = []
    for field in fields:
        name = path + field.name
        if name in paths:
            inner = only(field.fields, paths, f"{name}.") or field.fields[:1]
            found.append(replace(field, fields=inner))
    return tuple(found)


def lake_columns(fields: tuple[Field, ...]) -> pa.Schema:
    """Return the fields as columns in the lake's types."""
    return pa.schema([(field.name, field.lake_type) for field in fields])


def typed(array: pa.Array, field: Field, zone: str) -> pa.Array:
    """Turn values taken in by ``wire_type`` into the lake's types, whole columns at a time.

    Raises pyarrow.ArrowInvalid when a value does not fit, without naming it.
    """
    if array.null_count == len(array):
        return pa.nulls(len(array), field.lake_type)
    if field.many:
        elements = typed(array.values, field.one, zone)
        return pa.ListArray.from_arrays(array.offsets, elements, mask=array.is_null())
    if not field.kind:
        # struct_field, not array.field: the latter shows "" and 0 where the whole section is null.
        columns = [typed(pc.struct_field(array, f.name), f, zone) for f in field.fields]
        names = [pa.field(f.name, f.lake_type) for f in field.fields]
        return pa.StructArray.from_arrays(columns, fields=names, mask=array.is_null())
    return _scalar(array, field.kind, zone)


def moments(texts: pa.Array, zone: str) -> pa.Array:
    """Turn date-time texts into UTC. A text without zone is wall time of ``zone`` (section 5: Europe/Oslo).

    An hour that comes twice is taken as its first pass, an hour that never was as its end. What the change to
    UTC moves out of the years 1 to 9999 stops at their end: nobody else could calculate with it.
    """
    texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    zoned = pc.match_substring_regex(texts, r"(Z|[+-]\d\d:?\d\d)$")
    if not pc.any(zoned).as_py():
        return _within(_wall(texts, zone))
    nothing = pa.scalar(None, pa.string())
    with_zone = pc.cast(pc.if_else(zoned, texts, nothing), MOMENT)
    without = _wall(pc.if_else(zoned, nothing, texts), zone)
    return _within(pc.coalesce(with_zone, without))


def _scalar(array: pa.Array, kind: str, zone: str) -> pa.Array:
    if kind == "i":
        return pc.cast(array, pa.int64())
    if kind == "d":
        # Midnight without a zone is a calendar day: the ten characters as they stand, never shifted.
        return pc.cast(pc.utf8_slice_codeunits(array, 0, 10), pa.date32())
    if kind in "tu":
        return moments(array, zone if kind == "t" else "UTC")
    return array


def _within(moments: pa.Array) -> pa.Array:
    ends = pc.min_max(moments)
    if not pc.or_(pc.less(ends["min"], EARLIEST), pc.greater(ends["max"], LATEST)).as_py():
        return moments
    moments = pc.if_else(pc.less(moments, EARLIEST), EARLIEST, moments)
    return pc.if_else(pc.greater(moments, LATEST), LATEST, moments)


def _wall(texts: pa.Array, zone: str) -> pa.Array:
    naive = pc.cast(texts, pa.timestamp("us"))
    return pc.cast(pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest"), MOMENT)


def _shape(text: str, structs: Mapping[str, str]) -> tuple[Field, ...]:
    fields: list[Field] = []
    for kind, *names in filter(None, map(str.split, text.splitlines())):
        one, many = kind.removesuffix("[]"), kind.endswith("[]")
        if one in LAKE_TYPES:
            fields += [Field(name, one, many=many) for name in names]
        elif one in structs:
            inner = _shape(structs[one], structs)
            fields += [Field(name, fields=inner, many=many) for name in names]
        else:
            raise ValueError(f"The kind {one!r} of {', '.join(names)} is unknown. Declare it as a struct.")
    return tuple(fields)
