"""The routes of the operator's pages: they read our database, and write that somebody wants a replay or has
settled a record in quarantine.
"""

import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import date
from math import ceil
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mlc_dagster.alerts.book import Book
from mlc_dagster.operations.overview import PairHealth, overview
from mlc_dagster.operations.replay import By, NotAReplay, Replays, What
from mlc_dagster.pages import words
from mlc_dagster.pages.life import LISTED, Lives, readings
from mlc_dagster.pages.probes import Probes
from mlc_dagster.pages.quarantine import Filter, QuarantineList, pretty
from mlc_dagster.pages.session import COOKIE, LASTS, Ended, Sessions
from mlc_dagster.pages.trouble import of_alerts, of_other_places, of_pairs, of_targets
from mlc_dagster.pages.web import HEADERS, Static, Templates, form, go_to, own_path
from mlc_dagster.receiver.rates import Rates, network_of
from mlc_dagster.settings.receiver import PagesSettings
from mlc_dagster.suite import Suite

# Tries of the token from one address: five at once, then one in ten seconds.
TRIES, TRIES_PER_SECOND = 5, 0.1
# Counting is for all who look within this time.
OVERVIEW_SECONDS = 5.0
LONGEST_NUMBER, LONGEST_NAME, LONGEST_REASON = 100, 80, 500
NOTHING = "Nothing was asked for: a number, a batch, a run or some days are needed, and your name."
log = logging.getLogger(__name__)
Page = Callable[[Request], Response]
Posted = Callable[[Request, Mapping[str, str]], Response]


def pages(suite: Suite) -> list[BaseRoute]:
    """The routes: health and metrics always, pages where `receiver: pages:` stands in mlc.yaml.

    Raises WeakToken and SecretMissing.
    """
    section = suite.settings.receiver
    settings = section.pages if section else None
    sessions = Sessions(settings.token.reveal(), suite.clock) if settings else None
    probes = Probes(suite, sessions)
    routes: list[BaseRoute] = [Route("/healthz", probes.health), Route("/metrics", probes.metrics)]
    if settings is None or sessions is None:
        return routes
    secure = bool(section and section.url and section.url.startswith("https://"))
    return [*routes, *_Pages(suite, settings, sessions, secure=secure).routes()]


class _Pages:
    def __init__(self, suite: Suite, settings: PagesSettings, sessions: Sessions, *, secure: bool) -> None:
        self._suite, self._settings, self._sessions, self._secure = suite, settings, sessions, secure
        self._zone = ZoneInfo(suite.settings.timezone)
        self._dagster = suite.settings.alerts.dagster_url if suite.settings.alerts else None
        self._ended = Ended(suite.engine, suite.clock)
        self._static, self._lives = Static(), Lives(suite)
        self._quarantine = QuarantineList(suite.engine)
        self._replays = Replays(suite.engine, suite.clock)
        self._reading = threading.Lock()
        self._tries = Rates(TRIES, TRIES_PER_SECOND)
        self._counted: tuple[float, list[PairHealth]] | None = None
        self._templates = Templates(
            at=lambda at: words.local(at, self._zone),
            static=self._static.version,
            words=words,
            zone=suite.settings.timezone,
            companies={code: company.name for code, company in suite.settings.companies.items()},
            pairs=list(suite.settings.pairs.on()),
            replay=settings.replay,
            run_link=_run_link(self._dagster),
            target_link=_target_link(suite),
            listed=LISTED,
        )

    def routes(self) -> Iterator[Route]:
        """All pages."""
        yield Route("/static/{name}", self._static.answer)
        yield Route("/login", lambda request: self._safely(request, lambda: self._login(request)))
        yield Route("/login", self._posted(self._log_in, known=False), methods=["POST"])
        yield Route("/logout", self._posted(self._log_out), methods=["POST"])
        for path, page in {
            "/": self._home,
            "/search": self._search,
            "/readings": self._readings,
            "/quarantine": self._quarantined,
            "/quarantine/{id:int}": self._entry,
            "/reconcile": self._reconcile,
            "/replays": self._replay_list,
        }.items():
            yield Route(path, self._shown(page))
        if self._settings.replay:
            yield Route("/replays", self._posted(self._ask), methods=["POST"])
            yield Route("/quarantine/{id:int}", self._posted(self._dismiss), methods=["POST"])

    def _shown(self, page: Page) -> Callable[[Request], Response]:
        """A page for people who are logged in."""

        def shown(request: Request) -> Response:
            if not self._known(request):
                target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return go_to(f"/login?{urlencode({'next': target})}" if target != "/" else "/login")
            return page(request)

        return lambda request: self._safely(request, lambda: shown(request))

    def _safely(self, request: Request, make: Callable[[], Response]) -> Response:
        """What is asked for, or a page that says that it cannot be had now."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - whatever it is, people are told the same
            # Not the traceback, nor others' words: they show the records a query was about.
            ours = type(error).__module__.startswith("mlc_dagster.")
            cause = str(error) if ours else type(error).__name__
            log.error("The page %s failed: %s", request.url.path, cause)  # noqa: TRY400
            return self._page(request, "failed.html", 503, title="Not now")

    def _posted(self, take: Posted, *, known: bool = True) -> Callable[[Request], Awaitable[Response]]:
        """What takes a form. known: only of a session, from a page of its own."""

        def taken(request: Request, fields: Mapping[str, str]) -> Response:
            cookie = request.cookies.get(COOKIE, "")
            if known and not (
                self._known(request) and self._sessions.form_is_ours(cookie, fields.get("form", ""))
            ):
                return self._templates.page("refused.html", 403, title="Not taken")
            return take(request, fields)

        async def answer(request: Request) -> Response:
            fields = await form(request)
            if fields is None:
                return PlainTextResponse("That is no form of ours.\n", 400, headers=dict(HEADERS))
            return await run_in_threadpool(self._safely, request, lambda: taken(request, fields))

        return answer

    def _known(self, request: Request) -> bool:
        cookie = request.cookies.get(COOKIE, "")
        # In this order: a stranger's cookie costs no look into the database.
        return self._sessions.valid(cookie) and cookie not in self._ended

    def _page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        token = self._sessions.form_token(request.cookies.get(COOKIE, ""))
        values = {"form_token": token, "asked": "", "path": request.url.path, **values}
        return self._templates.page(name, status, **values)

    def _login(self, request: Request) -> Response:
        target = own_path(request.query_params.get("next", "/"))
        if self._known(request):
            return go_to(target)
        return self._templates.page("login.html", title="Log in", target=target, said="")

    def _log_in(self, request: Request, fields: Mapping[str, str]) -> Response:
        target = own_path(fields.get("next", "/"))
        caller = network_of(request.client.host if request.client else "")
        if wait := self._tries.wait(caller):
            said = f"Too many tries from this address. Wait {ceil(wait)} seconds."
            return self._templates.page("login.html", 429, title="Log in", target=target, said=said)
        if not self._sessions.knows(fields.get("token", "")):
            said = "That is not the token."
            return self._templates.page("login.html", 401, title="Log in", target=target, said=said)
        # Only wrong tries count.
        self._tries.forget(caller)
        answer = go_to(target)
        self._set_cookie(answer, self._sessions.start(), int(LASTS.total_seconds()))
        return answer

    def _log_out(self, request: Request, fields: Mapping[str, str]) -> Response:  # noqa: ARG002
        self._ended.add(request.cookies[COOKIE])
        answer = go_to("/login")
        self._set_cookie(answer, "", 0)
        return answer

    def _set_cookie(self, answer: Response, value: str, seconds: int) -> None:
        answer.set_cookie(
            COOKIE, value, max_age=seconds, httponly=True, samesite="strict", secure=self._secure
        )

    def _home(self, request: Request) -> Response:
        health = self._overview()
        by_pair = {
            pair: [each for each in health if each.pair == pair]
            for pair in dict.fromkeys(each.pair for each in health)
        }
        trouble = [
            *of_pairs(health),
            *of_other_places(health, self._quarantine.counts()),
            *of_targets(self._suite.comparisons.all()),
            *of_alerts(Book(self._suite.engine).open(), self._dagster),
        ]
        return self._page(request, "home.html", title="Overview", by_pair=by_pair, trouble=trouble)

    def _overview(self) -> list[PairHealth]:
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > OVERVIEW_SECONDS:
            self._counted = now, overview(self._suite, self._suite.clock.now())
        return self._counted[1]

    def _search(self, request: Request) -> Response:
        asked = request.query_params.get("number", "").strip()[:LONGEST_NUMBER]
        lives = self._lives.find(asked) if asked else []
        similar = [] if lives else self._lives.similar(asked)
        title = f"Where is {asked}?" if asked else "Search"
        return self._page(
            request,
            "search.html",
            404 if asked and not lives else 200,
            title=title,
            asked=asked,
            lives=lives,
            similar=similar,
        )

    def _readings(self, request: Request) -> Response:
        asked = request.query_params.get("number", "").strip()[:LONGEST_NUMBER]
        # Files are looked through for it, so one at a time.
        with self._reading:
            found = list(readings(self._suite, asked)) if asked else []
        title = f"When was {asked} read from the ERP?"
        return self._page(
            request, "readings.html", 200 if found else 404, title=title, asked=asked, found=found
        )

    def _quarantined(self, request: Request) -> Response:
        asked = request.query_params
        wanted = Filter(
            **{name: asked.get(name, "") for name in ("pair", "company", "stage")},
            before=int(asked["before"]) if asked.get("before", "").isdecimal() else None,
        )
        found = self._quarantine.some(wanted)
        older = {**wanted.fields(), "before": found[-1].id} if len(found) == self._quarantine.SHOWN else None
        return self._page(
            request,
            "quarantine.html",
            title="Quarantine",
            entries=found,
            wanted=wanted,
            stages=self._quarantine.stages(),
            older=f"/quarantine?{urlencode(older)}" if older else None,
        )

    def _entry(self, request: Request, said: str = "", status: int = 200) -> Response:
        entry = self._quarantine.one(request.path_params["id"])
        if entry is None:
            return self._page(request, "missing.html", 404, title="Not found")
        return self._page(
            request,
            "entry.html",
            status,
            title=f"Held back: {entry.key}",
            entry=entry,
            raw=pretty(entry.raw),
            # What a partner sent is no run's to look at again: a person decides.
            goes_again=entry.place.startswith("visma/") or entry.place in self._suite.destinations(),
            said=said,
        )

    def _dismiss(self, request: Request, fields: Mapping[str, str]) -> Response:
        reason, name = fields.get("reason", "")[:LONGEST_REASON], fields.get("name", "")[:LONGEST_NAME]
        if not reason or not name:
            return self._entry(request, "Nothing was settled: a reason is needed, and your name.", 400)
        number = request.path_params["id"]
        entry = self._suite.quarantine.entry(number)
        if entry is None:
            return self._page(request, "missing.html", 404, title="Not found")
        as_shown = fields.get("last_at") == entry.last_at.isoformat()
        if not as_shown or not self._suite.quarantine.dismiss(entry, by=f"{name} (pages)", reason=reason):
            return self._entry(
                request, "Nothing was settled: the record has changed. This is how it is now.", 409
            )
        self._suite.seals.seal()
        return go_to(f"/quarantine/{number}")

    def _reconcile(self, request: Request) -> Response:
        compared = self._suite.comparisons.all()
        worst_first = sorted(compared, key=lambda each: each.equal)
        return self._page(request, "reconcile.html", title="Targets compared", compared=worst_first)

    def _replay_list(self, request: Request, said: str = "", status: int = 200) -> Response:
        asked = {name: request.query_params.get(name, "")[:LONGEST_NUMBER] for name in ("by", "value")}
        recent = self._replays.recent()
        return self._page(
            request, "replays.html", status, title="Replays", recent=recent, wanted=asked, said=said
        )

    def _ask(self, request: Request, fields: Mapping[str, str]) -> Response:
        try:
            wanted = _wanted(fields, self._suite.settings.pairs.on())
        except NotAReplay as wrong:
            return self._replay_list(request, str(wrong), 400)
        number = self._replays.ask(wanted, by=f"{fields['name'][:LONGEST_NAME]} (pages)")
        return go_to(f"/replays#replay-{number}")


def _wanted(fields: Mapping[str, str], pairs: Collection[str]) -> What:
    """What a form asks to be done again. Raises NotAReplay, also when nobody asks."""
    pair, value = fields.get("pair") or None, fields.get("value", "")[:LONGEST_NUMBER]
    try:
        by = By(fields.get("by", ""))
        if by is By.WINDOW:
            first, last = (date.fromisoformat(fields[name]) for name in ("first", "last"))
            value = What.window(fields["company"][:LONGEST_NAME], first, last).value
    except (KeyError, ValueError):
        raise NotAReplay(NOTHING) from None
    if not value or not fields.get("name") or (pair and pair not in pairs):
        raise NotAReplay(NOTHING)
    return What(by, value, pair)


def _run_link(root: str | None) -> Callable[[str], str | None]:
    """The address of a run in Dagster's own pages, where `alerts: dagster_url:` tells theirs."""
    return lambda run: f"{root}/runs/{quote(run, safe='')}" if root and "-" in run else None


def _target_link(suite: Suite) -> Callable[[str, str | None], str | None]:
    """The address of a row at its target, where the target has one for people."""
    asana = suite.settings.pairs.asana
    open_to_people = asana is not None and asana.api_url.startswith("https://app.asana.com/")

    def link(destination: str, target_id: str | None) -> str | None:
        if not open_to_people or not destination.startswith("asana/") or not target_id:
            return None
        return f"https://app.asana.com/0/0/{quote(target_id, safe='')}"

    return link
