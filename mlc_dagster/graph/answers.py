"""What partners' systems said of our documents, as an asset check."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from mlc_dagster.cleo.answers import OVERDUE
from mlc_dagster.cleo.outbox import Standing, State
from mlc_dagster.graph.metadata import table
from mlc_dagster.graph.resource import SuiteResource
from mlc_dagster.mappings import Model
from mlc_dagster.suite import Suite

NAME = "acknowledged"
# Documents a result names; `mlc cleo status` names all.
MOST = 100
Told = tuple[str, Standing]


def answer_check(model: Model) -> dg.AssetChecksDefinition:
    """Fails while documents are rejected (an error) or their acknowledgment is overdue (a warning).

    It looks at the newest document of each record, or the rejected one it was built on, of all companies. It
    calls nobody: the mailbox's own job takes acknowledgments in, and evaluates this check after each look.
    """

    @dg.asset_check(
        asset=[model.target, model.name],
        name=NAME,
        description="No document is rejected by its partner, and no acknowledgment is overdue.",
    )
    def acknowledged(suite: SuiteResource) -> dg.AssetCheckResult:
        return _judged(suite.open(), model.key)

    return acknowledged


def evaluations(house: Suite) -> Iterator[dg.AssetCheckEvaluation]:
    """The same check of every destination, for who looks without a delivery: what is overdue becomes so by
    time, and time passes also while there is nothing to deliver.
    """
    for model in house.cleo.settings.answered():
        result = _judged(house, f"cleo/{model}")
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(["cleo", model]),
            check_name=NAME,
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )


def _judged(house: Suite, destination: str) -> dg.AssetCheckResult:
    return verdict(list(house.cleo.answers.standing(destination, None, house.clock.now())))


def verdict(standing: Sequence[Told]) -> dg.AssetCheckResult:
    """What the newest documents' states say."""
    counts = Counter(state for state, _ in standing)
    bad = [(state, found) for state, found in standing if state in (OVERDUE, State.REJECTED)]
    severe = any(state == State.REJECTED for state, _ in bad)
    words = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    shown: dict[str, Any] = dict(counts)
    if bad:
        shown["documents"] = _documents(bad)
        shown["what_to_do"] = dg.MetadataValue.md("\n".join(_remedies(bad)))
    return dg.AssetCheckResult(
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=f"Documents: {words}." if words else "No document was sent yet.",
        metadata=shown,
    )


def _documents(bad: Sequence[Told]) -> dg.TableMetadataValue:
    return table(
        ("company", "number", "partner", "state", "file", "said"),
        (
            (found.company, found.entry.number, found.partner, state, found.file, found.said)
            for state, found in bad[:MOST]
        ),
    )


def _remedies(bad: Sequence[Told]) -> Iterator[str]:
    again = sorted({f"`mlc resend {found.entry.destination} --company {found.company}`" for _, found in bad})
    if any(state == State.REJECTED for state, _ in bad):
        yield (
            "- Rejected: correct what the partner's system names, in the ERP, the lookups or mlc.yaml. A "
            f"record that changes in the ERP goes again by itself; after the rest run {', '.join(again)}."
        )
    if any(state == OVERDUE for state, _ in bad):
        yield (
            "- Overdue: look for the file among Cleo's jobs, and ask the partner. If it was lost, "
            f"{', '.join(again)} files it again with the same bytes, and nothing that was accepted."
        )
