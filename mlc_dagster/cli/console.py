"""The terminal as the commands see it: wide enough for a table where there is no terminal to ask."""

from collections.abc import Collection

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 140

console = Console(highlight=False, markup=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, markup=False, soft_wrap=True, width=WIDTH)


def counted(count: int, what: str) -> str:
    """Such as "1 row" and "2 rows"."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def table_with(
    title: str, headings: Collection[str], *, numbers: Collection[str] = (), whole: Collection[str] = ()
) -> Table:
    """An empty table. Of its headings, `numbers` are those of columns of numbers, and `whole` of names that
    are not to be broken. Without lines between the columns the widest of ours fits into 100 signs.
    """
    table = Table(
        title=title,
        title_justify="left",
        caption=" ",  # an empty line below
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in numbers else "left",
            overflow="fold",
            no_wrap=heading in whole,
        )
    return table
