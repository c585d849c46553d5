"""What a contract says to Tableau: its data source and its captions (vendors/tableau.md section 13)."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlc_dagster.mappings.contract import Contract, Section

# NUMERIC of more digits needs a newer file format, which older servers do not read (section 13).
DIGITS = 18
# `*` and `,` cannot be asked for in a filter (section 1).
NAME = r"^[\w \-.()&]{1,80}$"

Name = Annotated[str, Field(pattern=NAME)]


class Look(BaseModel):
    """How a column is shown. Without a caption it is the contract's name in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    caption: Name | None = None


class SourceSection(Section):
    """The Tableau part of a contract: one model is one data source.

    users, groups: columns that hold names of Tableau's users and groups; rows that name others are refused.
    """

    datasource: Name
    columns: dict[str, Look] = Field(default_factory=dict)
    users: str | None = None
    groups: str | None = None

    def caption(self, column: str) -> str:
        """What Tableau calls a column."""
        named = self.columns.get(column)
        return (named and named.caption) or column.replace("_", " ").capitalize()

    def problems(self, contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Keys, columns and types a data source cannot have."""
        if len(contract.key) != 1 or contract.columns[contract.key[0]].type != "text":
            yield (
                (),
                "A data source has a key of one text column.",
                "Join the parts in the model, as `code` does.",
            )
        if contract.deleted is not None:
            yield (), "Deleted rows really go, so the contract says nothing of them.", "Remove `deleted`."
        places: list[tuple[tuple[str | int, ...], str]] = [(("columns", name), name) for name in self.columns]
        places += [((which,), name) for which in ("users", "groups") if (name := getattr(self, which))]
        for place, name in places:
            if name not in contract.columns:
                yield place, f"`{name}` is no column.", f"Known: {', '.join(contract.columns)}."
        yield from self._column_problems(contract)

    def _column_problems(self, contract: Contract) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        captions: dict[str, str] = {}
        for name, column in contract.columns.items():
            kind = column.column_type
            if kind.kind == "decimal" and kind.precision > DIGITS:
                yield (
                    (),
                    f"`{name}` is {kind}; a .hyper file keeps {DIGITS} digits.",
                    f"Use decimal({DIGITS},4).",
                )
            other = captions.setdefault(self.caption(name).casefold(), name)
            if other != name:
                yield ("columns", name), f"`{name}` and `{other}` have one caption.", "Change one of them."
