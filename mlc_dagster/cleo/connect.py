"""The Cleo pair, built from its settings."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from mlc_dagster.cleo.answers import Answers
from mlc_dagster.cleo.connections import Connections
from mlc_dagster.cleo.destination import EdiFeed
from mlc_dagster.cleo.inbox import Handler, Inbox, TakeSuppliers
from mlc_dagster.cleo.mailbox import Mailbox
from mlc_dagster.cleo.outbox import Outbox
from mlc_dagster.cleo.replies import Replies
from mlc_dagster.cleo.rest import RestMailbox
from mlc_dagster.cleo.settlements import Settlements
from mlc_dagster.cleo.sftp import SftpMailbox
from mlc_dagster.cleo.suppliers import NAME, Files, Objects, SupplierFeed, SupplierSide
from mlc_dagster.delivery import ReadBack, Report
from mlc_dagster.settings.cleo import CleoSettings
from mlc_dagster.target import Expiry, Parts
from mlc_dagster.transport.budget import Budget, share


class Cleo:
    """The configured mailbox and the partners behind it."""

    def __init__(self, settings: CleoSettings, parts: Parts) -> None:
        self.settings, self._parts = settings, parts

    @cached_property
    def mailbox(self) -> Mailbox:
        """The mailbox, by the way the settings name."""
        settings, parts = self.settings, self._parts
        login = settings.user.reveal(), settings.password.reveal()
        if settings.rest is not None:
            return RestMailbox(
                settings.rest, *login, budget=self._budget, counter=parts.counter, clock=parts.clock
            )
        if settings.sftp is None:
            raise ValueError("The settings name no way to the mailbox.")
        return SftpMailbox(
            settings.sftp, *login, budget=self._budget, counter=parts.counter, clock=parts.clock
        )

    @cached_property
    def connections(self) -> Objects | None:
        """Suppliers as connections; None where they are files."""
        settings, mailbox = self.settings, self.mailbox
        chosen = settings.suppliers.connections if settings.suppliers else None
        if chosen is None or not isinstance(mailbox, RestMailbox):
            return None
        companies = settings.companies or list(settings.identities)
        return Objects(Connections(chosen, mailbox.http, companies))

    @property
    def supplier_side(self) -> SupplierSide:
        """The other side's master data."""
        return self.connections or Files(self.mailbox, self.settings.folders)

    @cached_property
    def outbox(self) -> Outbox:
        """The interchanges we made."""
        return Outbox(self._parts.engine, self._parts.clock)

    @cached_property
    def answers(self) -> Answers:
        """What partners' systems said of them."""
        return Answers(self.outbox, self.settings)

    @cached_property
    def settlements(self) -> Settlements:
        """What people have settled with partners."""
        return Settlements(self._parts.engine, self._parts.clock)

    def inbox_for(self, handlers: Mapping[str, Handler], suppliers: TakeSuppliers | None) -> Inbox:
        """What partners put into the mailbox, with those who carry it out."""
        parts = self._parts
        return Inbox(
            self.mailbox,
            self.settings,
            self.answers,
            Replies(self.mailbox, self.outbox, self.settings, parts.clock),
            engine=parts.engine,
            clock=parts.clock,
            handlers=handlers,
            suppliers=suppliers,
        )

    def destination(self, model: str) -> EdiFeed | SupplierFeed:
        """The documents of one model, or supplier master data."""
        parts = self._parts
        if f"cleo/{model}" == NAME:
            return SupplierFeed(self.supplier_side, parts.ledger, parts.engine, parts.clock)
        return EdiFeed(
            model,
            self.settings,
            mailbox=self.mailbox,
            outbox=self.outbox,
            settlements=self.settlements,
            clock=parts.clock,
        )

    def read_back(self, model: str) -> ReadBack | None:
        """Nobody shows what a partner holds; acknowledgments tell."""

    def delivered(self, report: Report, *, last: bool) -> None:
        """Nothing follows."""

    def look(self) -> str:
        """Log in, list the download folder, and ask for a connection where suppliers are such."""
        waiting = len(self.mailbox.list(self.settings.folders.download))
        if self.connections is not None:
            self.connections.look()
        return f"mailbox, files to take in: {waiting}"

    def calls_left(self) -> Mapping[str, int | None]:
        """The calls left of this minute."""
        return {"cleo": self._budget.left()}

    def expiries(self) -> Sequence[Expiry]:
        """None: this vendor tells no end of what it issued."""
        return ()

    @cached_property
    def _budget(self) -> Budget:
        settings = self.settings
        place = settings.rest.base_url if settings.rest else settings.sftp and settings.sftp.host
        return self._parts.budgets.rolling_window(
            f"cleo:{place}",
            rate=settings.calls_per_minute,
            per_seconds=60,
            headroom=share(settings.headroom_percent),
            patience=settings.patience_seconds,
        )
