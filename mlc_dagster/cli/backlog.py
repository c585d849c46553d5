"""`mlc plan --reading`: how far the reading of the ERP has come, and when it ends."""

from rich.table import Table

from mlc_dagster.cli.console import console, counted, table_with
from mlc_dagster.operations.backlog import Backlog, backlogs, hours, total
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite


def show_backlog(company: str | None) -> None:
    """Print what each entity still lacks. Asks the ERP one question for each of them.

    Raises UnknownCompany, and what the transport raises.
    """
    suite = Suite(load_settings())
    found = {code: backlogs(suite, code) for code in suite.settings.chosen(company)}
    if not any(found.values()):
        console.print("Every day has been read; each run goes on from there.")
        return
    console.print(_table(found))
    for code, lacking in found.items():
        if lacking:
            console.print(f"{code}: {_when(suite, code, total(lacking))}")


def _table(found: dict[str, list[Backlog]]) -> Table:
    names, numbers = ("company", "entity"), ("days not read", "records", "pages", "pages here", "calls")
    title = "What is still to be read from the ERP"
    table = table_with(title, (*names, *numbers), numbers=numbers, whole=names)
    for code, lacking in found.items():
        for one in lacking:
            records = "not told" if one.records is None else str(one.records)
            numbers = (str(one.days), records, str(one.pages), str(one.kept), str(one.calls))
            table.add_row(code, one.entity, *numbers)
    return table


def _when(suite: Suite, company: str, calls: int) -> str:
    needed = hours(suite, company, calls)
    if needed is None:
        return f"{counted(calls, 'call')}; the ERP has not told its limit."
    share = f"{counted(calls, 'call')} of our share, if nothing else asks: "
    if needed == 1:
        return share + "done within this hour."
    return share + f"done in {needed} hours of the ERP's, this one included. It goes on by itself in each."
