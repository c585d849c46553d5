"""The simulated tenant: account, mailbox, configuration, jobs, and the partners behind it."""

from __future__ import annotations

import copy
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlc_sandbox.cleo import x12
from mlc_sandbox.cleo.erp import Erp
from mlc_sandbox.cleo.harmony import Harmony
from mlc_sandbox.cleo.login import Login
from mlc_sandbox.cleo.mailbox import DOWNLOAD, UPLOAD, File, Mailbox
from mlc_sandbox.cleo.receiver import Partner, Receiver
from mlc_sandbox.cleo.shipping import Shipping
from mlc_sandbox.cleo.suppliers import Suppliers
from mlc_sandbox.cleo.switches import Switches
from mlc_sandbox.core import Call, CallLog, Faults, SandboxClock

if TYPE_CHECKING:
    from mlc_sandbox.visma import VismaVendor

VENDOR = "cleo"
PARTNERS = (
    Partner("ZZ", "NORDEDI", "Nordisk EDI-hub"),
    Partner("ZZ", "KONTINENT", "Kontinent Logistik GmbH", charset="latin1"),
)


@dataclass(slots=True)
class Job:
    """One run of a data flow over one payload (section 2)."""

    number: int
    payload: str
    source: str
    target: str
    status: str  # successful, issue
    message: str
    started: datetime


class World:
    """Everything the simulated tenant holds. `lock` guards it: handlers run under it, one at a time."""

    def __init__(
        self,
        clock: SandboxClock,
        faults: Faults,
        seed: int = 1,
        visma: VismaVendor | None = None,
        log: CallLog | None = None,
    ) -> None:
        self.clock, self.faults, self.log = clock, faults, log
        self.lock = threading.RLock()
        self.switches = Switches()
        self.login = Login(clock, self.switches, seed)
        self.mailbox = Mailbox(clock, self.switches)
        self.harmony = Harmony(clock, self.switches, seed)
        self.erp = Erp(visma)
        self.partners = {partner.address: partner for partner in PARTNERS}
        self.companies = {sender_id(code): code for code in self.erp.companies}
        self.receiver = Receiver(self)
        self.shipping = Shipping(self)
        self.suppliers = Suppliers(self)
        self.jobs: list[Job] = []
        self.numbers: dict[tuple[str, ...], int] = {}
        self.held_back: list[str] = []  # interchanges that wait to share a file
        self.recent: list[datetime] = []
        self.last_numbers = ("", "")  # ISA13 and GS06 of the interchange that was wrapped last
        self._furnish()

    def _furnish(self) -> None:
        """What the customer's administrator made: the mailbox and its account, and one connection."""
        mailbox = self.harmony.create(
            "authenticators",
            {
                "alias": "Partner Mailbox",
                "type": "nativeUser",
                "home": {
                    "dir": {"default": "local/root/%username%/"},
                    "subfolders": {
                        "default": [
                            {"usage": "download", "path": "download\\"},
                            {"usage": "upload", "path": "upload\\"},
                        ]
                    },
                },
                "accept": {"sftp": {"enabled": True}, "http": {"enabled": True}, "ftp": {"enabled": False}},
            },
        )
        user = {"username": self.login.user, "email": "edi@example.com", "accept": {}}
        self.harmony.create("users", user, mailbox.id)

    # Faults and the log

    def fault(self, name: str, line: str) -> dict[str, Any] | None:
        """The parameters of an armed fault that hits this line; None without one."""
        return self.faults.take(VENDOR, name, line)

    def note_call(self, method: str, path: str, status: int) -> None:
        """A call that is not HTTP, for the call log."""
        if self.log is not None:
            self.log.add(Call(VENDOR, method, f"/{VENDOR}/sftp/{path}", status, self.clock.now()))

    # Who is who

    def company_of(self, sender: str) -> str:
        """The company behind an ISA id of ours; empty for an unknown one."""
        return self.companies.get(sender, "")

    def sender_of(self, company: str) -> str:
        """Our ISA id for a company."""
        return next((isa for isa, code in self.companies.items() if code == company), sender_id(company))

    # Time

    def catch_up(self) -> None:
        """Do what is due: uploads are taken up, late answers leave."""
        for file in self.mailbox.due():
            self._take_up(file)
        self.receiver.answer_late()

    def _take_up(self, file: File) -> None:
        file.picked_up = True
        if self.switches["after_pickup"] == "removed":
            self.mailbox.remove(UPLOAD, file.name, "flow")
        if self.fault("flow_fails", f"TAKE {file.name}") is not None:
            message = "refused: the data flow failed; no partner has seen the file"
        else:
            message = self.receiver.take(file.name, file.content)
        self._job(file.name, "Partner Mailbox", "Partners", message)

    def _job(self, payload: str, source: str, target: str, message: str) -> None:
        status = "issue" if "refused" in message else "successful"
        number = 1000 + len(self.jobs)
        self.jobs.append(Job(number, payload, source, target, status, message, self.clock.now()))

    def pass_day(self) -> dict[str, int]:
        """What partners do of themselves, after what is late by now has left."""
        with self.lock:
            late = self.receiver.answer_late() + self._complete()
            self.catch_up()
            return {
                "late": late,
                "shipped": self.shipping.pass_day(),
                "supplier_changes": self.suppliers.pass_day(),
            }

    def release(self) -> int:
        """Everything late leaves now, and files still being written are complete; how many."""
        with self.lock:
            return self.receiver.answer_late(all_of_it=True) + self._complete()

    def _complete(self) -> int:
        """Half-written files are whole, and interchanges that waited for another one leave alone."""
        unfinished = [file for file in self.mailbox.files(DOWNLOAD) if file.unread_looks]
        for file in unfinished:
            file.unread_looks = 0
        count = len(unfinished) + len(self.held_back)
        if self.held_back:
            text, self.held_back = "".join(self.held_back), []
            self._store("several", "PARTNERS", text)
        return count

    # What partners send

    def next_number(self, *series: str) -> int:
        """1, 2, 3 of a series."""
        self.numbers[series] = self.numbers.get(series, 0) + 1
        return self.numbers[series]

    def head(self, partner: Partner, buyer: tuple[str, str], version: str) -> x12.Segment:
        """ISA of a partner's next interchange to us."""
        series = "ISA", partner.id, buyer[1]
        # A fault: the number of the interchange before, for other bytes.
        again = self.fault("same_isa13", f"SEND {partner.id}") is not None and series in self.numbers
        number = self.numbers[series] if again else self.next_number(*series)
        now, usage = self.clock.now(), self.switches["usage"]
        return x12.head(partner.address, buyer, control=number, now=now, version=version, usage=usage)

    def wrap(
        self, partner: Partner, buyer: tuple[str, str], kind: str, body: list[x12.Segment], version: str
    ) -> str:
        """One set as an interchange from a partner to us, with the next control numbers."""
        now, version = self.clock.now(), version[:6]
        start = self.head(partner, buyer, version)
        control = self.next_number("GS", partner.id, buyer[1], x12.GROUPS[kind])
        self.last_numbers = start[13], str(control)
        between = partner.id, buyer[1]
        group = x12.group(kind, body, between=between, control=control, now=now, version=version)
        return x12.write(start, group)

    def deliver(self, partner: Partner, kind: str, text: str) -> list[str]:
        """Put an interchange into our download folder, with what faults make of it; its files' names."""
        line = f"DELIVER {kind} {partner.id}"
        if self.fault("several_in_one_file", line) is not None:
            self.held_back.append(text)
            return []
        text, self.held_back = "".join([*self.held_back, text]), []
        return self._store(kind, partner.id, text)

    def _store(self, kind: str, partner: str, text: str) -> list[str]:
        line = f"DELIVER {kind} {partner}"
        if self.fault("crlf", line) is not None:
            text = text.replace("~", "~\r\n")
        if self.fault("bom", line) is not None:
            text = "\ufeff" + text
        count = self.next_number("FILE")
        control = text.lstrip("\ufeff")[90:99] if "ISA*" in text[:5] else "000000000"
        name = f"{kind.lower()}_{partner}_{control}_{self.clock.now():%Y%m%dT%H%M%SZ}_{count:05d}.edi"
        if self.fault("odd_name", line) is not None:
            name = f"{kind} følgeseddel på {count:05d}.edi"
        names = [name]
        if self.fault("two_files", line) is not None:
            names.append(name.replace(".edi", " (2).edi"))
        for found in names:
            self.drop_file(found, text.encode(), line)
        return names

    def drop_file(self, name: str, content: bytes, line: str = "") -> None:
        """Put a file of a partner into our download folder."""
        file = self.mailbox.put(DOWNLOAD, name, content)
        partial = self.fault("partial_file", line or f"DELIVER {name}")
        if partial is not None:
            file.unread_looks = int(partial.get("looks", 1))
        self._job(name, "Partners", "Partner Mailbox", "delivered")

    # Rate limit

    def admit(self) -> float:
        """Count a call; seconds to wait when there were too many within a minute."""
        most = self.switches["calls_per_minute"]
        if not most:
            return 0
        now, minute = self.clock.wire(), timedelta(seconds=60)
        self.recent = [at for at in self.recent if at + minute > now]
        if len(self.recent) >= most:
            return (self.recent[0] + minute - now).total_seconds()
        self.recent.append(now)
        return 0

    # What tests and hands look at

    def received(self) -> dict[str, Any]:
        """The receiver's view: documents by kind, and what was refused and why."""
        with self.lock:
            self.catch_up()
            return {
                "documents": {
                    kind: list(copy.deepcopy(held).values()) for kind, held in self.receiver.view.items()
                },
                "refused": copy.deepcopy(self.receiver.refused),
                "acknowledgments": copy.deepcopy(self.shipping.acknowledgments),
                "waiting": [asdict(late) for late in self.receiver.late],
            }

    def counts(self) -> dict[str, Any]:
        """Sizes, for the control API."""
        with self.lock:
            return {
                "files": {folder: len(files) for folder, files in self.mailbox.folders.items()},
                "documents": {kind: len(held) for kind, held in self.receiver.view.items()},
                "refused": len(self.receiver.refused),
                "ship_notices": len(self.shipping.notices),
                "supplier_files": len(self.suppliers.files),
                "jobs": len(self.jobs),
            }

    # State

    def dump(self) -> Any:
        """A picklable copy of the whole state."""
        with self.lock:
            held = {path: getattr(self._room(path), path.rpartition(".")[2]) for path in _STATE}
            return copy.deepcopy(held | {"switches": dict(self.switches)})

    def load(self, state: Any) -> None:
        """Take over what `dump` returned."""
        state = copy.deepcopy(state)
        with self.lock:
            self.switches.update(state.pop("switches"))
            for path, value in state.items():
                setattr(self._room(path), path.rpartition(".")[2], value)

    def _room(self, path: str) -> Any:
        room = path.rpartition(".")[0]
        return getattr(self, room) if room else self


# What must survive a restart, by room and name.
_STATE = (
    *("partners", "companies", "jobs", "numbers", "held_back", "recent"),
    *("login.user", "login.password", "login.tokens", "login.refresh", "login.keys"),
    *("mailbox.folders", "mailbox.uploaded", "mailbox.removed"),
    *("harmony.objects", "harmony.rng"),
    *("receiver.view", "receiver.refused", "receiver.seen", "receiver.late"),
    *("shipping.notices", "shipping.shipped", "shipping.acknowledgments", "shipping.count"),
    *("suppliers.held", "suppliers.files", "suppliers.changes", "suppliers.count"),
)


def sender_id(company: str) -> str:
    """The ISA id a company of the sandbox's ERP goes by, unless the control API says otherwise."""
    return f"MLC{company}"
