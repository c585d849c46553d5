"""Tables out of a model, as lines of text with their header first: a saved view, or what an export writes."""

import codecs
import csv
from collections.abc import Iterable, Iterator

from mlc_dagster.anaplan.answers import LONGEST_CELL, NamedObject
from mlc_dagster.anaplan.client import AnaplanClient
from mlc_dagster.anaplan.client.views import ExportFormat, ReadRequest
from mlc_dagster.anaplan.taskrun import STEP, Job, Pace, StillRunning, TaskBusy, TaskRun, waits
from mlc_dagster.transport.errors import Again, Misconfigured

Table = Iterator[list[str]]
REPEAT = "Nothing was changed. The next run reads it again."


def of_view(client: AnaplanClient, view: NamedObject, pace: Pace) -> Table:
    """A view in one call, or by a read request where it is too large for that or has page dimensions.

    Raises:
        Again: the read request was cancelled, failed or took too long.
        CallFailed: of the client.
    """
    grid = client.views.grid(view.id)
    if grid is None or grid.paged:
        yield from _requested(client, view, pace)
        return
    yield list(grid.columns)
    yield from map(list, grid.rows)


def columns_of_view(client: AnaplanClient, view: NamedObject) -> list[str]:
    """The dimensions and line items of a view's module, of which the view may show fewer."""
    items = client.catalog.line_items(client.catalog.module_of(view.id))
    dimensions = dict.fromkeys(dimension.name for item in items for dimension in item.dimensions)
    return [*dimensions, *(item.name for item in items)]


def columns_of_export(client: AnaplanClient, export: NamedObject) -> list[str]:
    """The header of the file that an export writes."""
    return list(client.views.export_format(export.id).headers)


def of_export(client: AnaplanClient, export: NamedObject, pace: Pace) -> Table:
    """Run an export and read its file chunk by chunk. It holds writers up while it runs.

    A start whose answer was lost is looked for, as for an import. Raises:
        Again: somebody else runs it now, ran it while we read, or it was cancelled or took too long.
        Misconfigured: it ended without success.
        CallFailed: of the client.
    """
    task_id = _run(client, export, pace)
    written = client.views.export_format(export.id)
    yield from _lines(client.views.exported(export.id), written)
    newest = client.tasks.all("exports", export.id)
    if newest and newest[0].id != task_id:
        raise _again("POST", f"exports/{export.id}", f"{export.name!r} ran again while its file was read")


def _run(client: AnaplanClient, export: NamedObject, pace: Pace) -> str | None:
    """Run an export to its end; returns its task's id."""
    run = TaskRun(client, Job("exports", export.id, export.name), {}, lambda _: None, pace)
    where = f"exports/{export.id}"
    try:
        verdict = run.finish()[STEP]
    except (TaskBusy, StillRunning) as waiting:
        raise _again("POST", where, f"export {export.name!r}: {waiting}") from waiting
    if verdict.stop:
        said = f"export {export.name!r}: {verdict.reason}"
        raise Misconfigured("Anaplan", "POST", where, excerpt_text=said, remedy=verdict.remedy)
    if not verdict.landed:
        raise _again("POST", where, f"export {export.name!r}: {verdict.reason}")
    return run.note.get("task")


def _requested(client: AnaplanClient, view: NamedObject, pace: Pace) -> Table:
    request = client.views.request(view.id)
    try:
        pages = _ready(client, view, request, pace).pages
        header = None
        for number in range(pages):
            lines = client.views.page(view.id, request.id, number)
            # Whether every page has the header is not documented.
            repeated = header is not None and lines[:1] == [header]
            header = header or next(iter(lines), None)
            yield from lines[repeated:]
    finally:
        client.views.end(view.id, request.id)


def _ready(client: AnaplanClient, view: NamedObject, request: ReadRequest, pace: Pace) -> ReadRequest:
    where = f"views/{view.id}/readRequests/{request.id}"
    try:
        for _ in waits(client.clock, pace, f"the read request of view {view.name!r}"):
            request = request if request.ended else client.views.look(view.id, request.id)
            if request.ended:
                break
    except StillRunning as running:
        raise _again("GET", where, str(running)) from running
    if request.state != "COMPLETE" or not request.successful:
        raise _again("GET", where, f"the read request of view {view.name!r} ended as {request.state}")
    return request


def _lines(chunks: Iterable[bytes], written: ExportFormat) -> Table:
    csv.field_size_limit(LONGEST_CELL)
    texts = _text_lines(chunks, written.encoding)
    if written.delimiter:
        return csv.reader(texts, delimiter=written.separator, quotechar=written.delimiter)
    return csv.reader(texts, delimiter=written.separator, quoting=csv.QUOTE_NONE)


def _text_lines(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Lines with their ends; a chunk may end anywhere, even within a character."""
    decoder, rest, first = codecs.getincrementaldecoder(encoding)(), "", True
    for chunk in chunks:
        text = decoder.decode(chunk)
        *lines, rest = (rest + (text.removeprefix("\ufeff") if first else text)).split("\n")
        first = first and not text
        yield from (f"{line}\n" for line in lines)
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def _again(method: str, path: str, words: str) -> Again:
    return Again("Anaplan", method, path, excerpt_text=words, remedy=REPEAT)
