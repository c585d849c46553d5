"""The whole way, twice: Anaplan holds what the ERP says, row by row, and nothing is sent that need not be."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlc_dagster.graph.run import PairRun
from mlc_dagster.outlook import open_days
from mlc_sandbox.core import Call
from tests.support.house import House, open_house, running_sandbox
from tests.support.planning import GONE, Hub, expected

COMPANIES = ("NO01", "SE01")
WITHOUT_A_LAKE = "newest partition without a lake"


@dataclass
class Chapter:
    """What was there after some runs, and the calls they made."""

    runs: Sequence[PairRun]
    modules: Hub
    calls: Sequence[Call]

    def total(self, name: str, kind: str = "anaplan/") -> int:
        """A count of the materializations, added up over assets and companies."""
        return sum(
            int(metadata.get(name, 0))
            for run in self.runs
            for asset, metadata in run.metadata.items()
            if asset.startswith(kind) and not asset.startswith("anaplan/rows/")
        )


@dataclass
class Story:
    """First load, a day later, nothing new, an old partition again, and after the loss of the lake."""

    chapters: dict[str, Chapter] = field(default_factory=dict)
    wanted: dict[str, Hub] = field(default_factory=dict)
    happened: dict[str, Any] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("house")
    with running_sandbox() as sandbox, open_house(sandbox, folder) as house:
        yield _live(house)


def _live(house: House) -> Story:
    story, sandbox = Story(), house.sandbox
    story.chapters["first load"] = _chapter(house)
    story.wanted["first load"] = expected(sandbox, COMPANIES)
    story.happened = sandbox.pass_day()["visma"]
    # As the schedule would, from the first day that may still change: the ERP's clock lags a day behind ours.
    still_open, _ = open_days(house.suite(), "anaplan", "NO01")
    story.chapters["a day later"] = _chapter(house, first=still_open)
    story.wanted["a day later"] = expected(sandbox, COMPANIES, story.wanted["first load"])
    story.chapters["nothing new"] = _chapter(house, first=still_open)
    oldest = house.settings.start_day
    story.chapters["oldest partition again"] = _chapter(house, COMPANIES[:1], first=oldest, last=oldest)
    shutil.rmtree(Path(house.settings.lake_url))
    story.chapters[WITHOUT_A_LAKE] = _chapter(house, COMPANIES[:1], first=house.today)
    story.chapters["everything again"] = _chapter(house, COMPANIES[:1])
    world = sandbox.anaplan.world
    story.items = {name: len(world.list_items(name)) for name in _lists()}
    return story


def _chapter(house: House, companies: Sequence[str] = COMPANIES, **days: Any) -> Chapter:
    house.sandbox.log.reset()
    runs = [house.run(company, **days) for company in companies]
    return Chapter(runs, house.modules(), house.sandbox.log.calls())


def _lists() -> dict[str, str]:
    """List name -> its module."""
    numbered = ("Supplier Invoices", "Supplier Invoice Lines", "Purchase Orders", "Purchase Order Lines")
    titles = {module: module.removeprefix("DAT01 ") for module in GONE if module.startswith("DAT01 ")}
    return {f"#{title}" if title in numbered else title: module for module, title in titles.items()}


def differences(wanted: Hub, found: Hub) -> list[str]:
    """Every row that differs, with both versions."""
    return [
        f"{module} {code}: wanted {wanted[module].get(code)}, found {found[module].get(code)}"
        for module in wanted
        for code in sorted(wanted[module].keys() | found[module].keys())
        if wanted[module].get(code) != found[module].get(code)
    ]


def test_every_run_ends_well(story: Story) -> None:
    ended = {name: all(run.success for run in chapter.runs) for name, chapter in story.chapters.items()}
    assert [name for name, well in ended.items() if not well] == [WITHOUT_A_LAKE]


def test_without_a_lake_only_what_adds_up_all_records_waits_for_them(story: Story) -> None:
    (run,) = story.chapters[WITHOUT_A_LAKE].runs
    (whole,) = story.chapters["everything again"].runs
    assert whole.metadata.keys() - run.metadata.keys() == {"anaplan/rows/gl_actuals", "anaplan/gl_actuals"}


def test_after_the_first_load_every_module_equals_the_erp(story: Story) -> None:
    assert differences(story.wanted["first load"], story.chapters["first load"].modules) == []
    assert all(story.wanted["first load"].values()), "every module got rows"


def test_a_day_later_every_module_equals_the_erp_deleted_rows_included(story: Story) -> None:
    wanted = story.wanted["a day later"]
    assert differences(wanted, story.chapters["a day later"].modules) == []
    gone = [row for row in wanted["DAT01 Supplier Invoices"].values() if row["status"] == "Deleted"]
    assert len(gone) == sum(counts["deleted"] for counts in story.happened.values()) == 1


def test_a_day_later_only_what_changed_is_sent(story: Story) -> None:
    first, second = story.chapters["first load"], story.chapters["a day later"]
    rows = sum(map(len, story.wanted["first load"].values()))
    assert (first.total("created"), first.total("read")) == (rows, rows)
    changed = _changed(story.wanted["first load"], story.wanted["a day later"])
    sent = second.total("created") + second.total("updated") + second.total("deleted")
    assert sent == changed > 0
    assert second.total("created") == sum(map(len, story.wanted["a day later"].values())) - rows


def _changed(before: Hub, after: Hub) -> int:
    return sum(before[module].get(code) != row for module in after for code, row in after[module].items())


def test_no_list_holds_an_item_twice_or_one_without_a_row(story: Story) -> None:
    modules = story.chapters["everything again"].modules
    assert story.items == {name: len(modules[module]) for name, module in _lists().items()}


LOGINS = {"/visma/connect/token", "/anaplan/auth/token/authenticate"}


def changes(calls: list[Call]) -> list[str]:
    """What is no look: a large view is read by a read request, which is made and removed."""
    return [
        call.path
        for call in calls
        if call.method != "GET" and call.path not in LOGINS and "/readRequests" not in call.path
    ]


def test_a_run_without_changes_only_polls_the_erp_and_looks_at_the_target(story: Story) -> None:
    calls = story.chapters["nothing new"].calls
    assert changes(calls) == []
    looks = [call for call in calls if call.vendor == "anaplan" and call.path not in LOGINS]
    assert all("/views" in call.path for call in looks)
    assert story.chapters["nothing new"].total("changed", "visma/") == 0


@pytest.mark.parametrize("replay", ["oldest partition again", WITHOUT_A_LAKE, "everything again"])
def test_a_replay_changes_nothing_at_the_target(story: Story, replay: str) -> None:
    chapter = story.chapters[replay]
    assert chapter.modules == story.chapters["a day later"].modules
    assert changes([call for call in chapter.calls if call.vendor == "anaplan"]) == []


def test_the_last_replay_read_everything_anew(story: Story) -> None:
    assert story.chapters["everything again"].total("changed", "visma/") > 0
