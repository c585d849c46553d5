"""One partitioning for the whole graph: company x modified day."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from mlc_dagster.settings import Settings
from mlc_dagster.visma.entities import ENTITIES

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
Days = Mapping[str, list[date]]


def company_day(settings: Settings) -> dg.MultiPartitionsDefinition:
    """The partitions of every asset. Today is a partition (`end_offset`), its clock is the ERP's."""
    days = dg.DailyPartitionsDefinition(
        settings.start_day.isoformat(), timezone=settings.timezone, end_offset=1
    )
    companies = dg.StaticPartitionsDefinition(list(settings.companies))
    return dg.MultiPartitionsDefinition({"company": companies, "modified_day": days})


def not_loaded(repository: dg.RepositoryDefinition | None, company: str) -> str | None:
    """Why no run of a company may be asked for yet: mlc.yaml names it, and the loaded definitions do not.

    Dagster would not create the run, and drop those that a tick asks for after it. None when it may.
    """
    if repository is None:
        return None
    days = repository.asset_graph.get(dg.AssetKey(["visma", next(iter(ENTITIES))])).partitions_def
    assert isinstance(days, dg.MultiPartitionsDefinition)  # noqa: S101 - `company_day` made it
    if company in days.get_partitions_def_for_dimension("company").get_partition_keys():
        return None
    return f"{company} is new in mlc.yaml: reload the code location in Dagster's UI"


def loaded(context: dg.ScheduleEvaluationContext, companies: Sequence[str]) -> Iterator[str]:
    """Those companies a schedule's tick may ask runs for; its log names the others."""
    for company in companies:
        if reason := not_loaded(context.repository_def, company):
            context.log.warning(reason)
        else:
            yield company


def company_days(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Days:
    """The days this run covers, by company.

    Raises:
        dg.Failure: the range is empty, or Dagster would do less than was asked: a job's backfill hands
            every run the first key only (dagster.md section 3), and calls that a success.
    """
    keys, tags = context.partition_keys, context.run.tags
    asked = (tags.get(RANGE_START), tags.get(RANGE_END))
    if not keys:
        raise dg.Failure(
            f"The partition range {asked[0]}...{asked[1]} is empty: its start is after its end.",
            allow_retries=False,
        )
    if None not in asked and asked != (str(keys[0]), str(keys[-1])):
        raise dg.Failure(
            f"Asked for {asked[0]}...{asked[1]}, would do {keys[0]} to {keys[-1]}. "
            "Start backfills from assets, not from a job.",
            allow_retries=False,
        )
    days: dict[str, list[date]] = defaultdict(list)
    for key in keys:
        company, day = split(str(key))
        days[company].append(day)
    return {company: sorted(listed) for company, listed in days.items()}


def key(company: str, day: date) -> str:
    """The partition key of one company and day."""
    return str(dg.MultiPartitionKey({"company": company, "modified_day": day.isoformat()}))


def split(partition_key: str) -> tuple[str, date]:
    """Company and day of a partition key.

    Raises:
        ValueError: it is no key of the form `COMPANY|YYYY-MM-DD`.
    """
    if not re.fullmatch(r"[^|]+\|\d{4}-\d{2}-\d{2}", partition_key):
        raise ValueError(f"{partition_key!r} is no partition key; it looks like NO01|2026-11-20")
    company, day = partition_key.split("|")
    return company, date.fromisoformat(day)


def covered(tags: Mapping[str, str], companies: Sequence[str]) -> list[tuple[str, date, date]]:
    """What the tags of a run say it covers: companies, each with its first and last day.

    A range is the rectangle between its corners; `companies` are those of mlc.yaml, in its order. Nothing of
    a run without partitions, of a company that is none of these, or with a key that is none of ours.
    """
    one = tags.get(PARTITION)
    begin, end = tags.get(RANGE_START, one), tags.get(RANGE_END, one)
    if begin is None or end is None:
        return []
    try:
        (company, first), (other, last) = split(begin), split(end)
    except ValueError:
        return []
    if not {company, other} <= set(companies):
        return []
    return [(each, first, last) for each in companies[companies.index(company) : companies.index(other) + 1]]


def range_tags(company: str, first: date, last: date) -> dict[str, str]:
    """The run tags that make one run cover all days from first to last of a company."""
    return {RANGE_START: key(company, first), RANGE_END: key(company, last)}
