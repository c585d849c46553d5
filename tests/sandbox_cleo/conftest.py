"""A running sandbox with Cleo alone, brought back to its first state before every test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests

from mlc_sandbox.cleo import CleoVendor, World
from mlc_sandbox.core import CallLog, Faults, SandboxClock
from mlc_sandbox.server import Sandbox, serving

ORDER = """BEG*00*SA*PO000123**20261120~CUR*BY*NOK~REF*VX*NO987654321MVA~DTM*002*20261205~
N1*BY*FJORDVIK HANDEL AS*92*1000~N1*ST*FJORDVIK LAGER OST*92*WH01~N1*SE*NORDLYS KOMPONENT AB*92*50017~
PO1*1*10*EA*125.5*PE*BP*SKRUE-M8*VP*NK-8801~PID*F****SKRUE M8 X 40 SYREFAST~
PO1*2*2.5*MR*399*UM*BP*KABEL-3G*VP*NK-1203~PID*F****KABEL 3G1.5~CTT*2~AMT*TT*2252.5~"""
INVOICE = """BIG*20261128*NK-90211*20261120*PO000123***DI~CUR*SE*NOK~
N1*SE*NORDLYS KOMPONENT AB*92*50017~N1*BY*FJORDVIK HANDEL AS*92*1000~
IT1*1*10*EA*125.5*PE*BP*SKRUE-M8~TXI*VA*313.75*.25*****1255~
IT1*2*2.5*MR*399*UM*BP*KABEL-3G~TXI*VA*249.38*.25*****997.5~
TDS*300313~TXI*VA*600.63*.25*****2402.5~SAC*C*D240***15000**********FRAKT~TXI*VA*37.5*.25*****150~CTT*2~"""


def body(text: str) -> str:
    return text.replace("\n", "")


def transaction(kind: str, text: str, control: str = "0001") -> str:
    inner = body(text)
    return f"ST*{kind}*{control}~{inner}SE*{inner.count('~') + 2}*{control}~"


def group(fid: str, sets: list[str], control: int = 101, version: str = "004010") -> str:
    head = f"GS*{fid}*MLCNO01*NORDEDI*20261121*0915*{control}*X*{version}~"
    return f"{head}{''.join(sets)}GE*{len(sets)}*{control}~"


def interchange(
    groups: list[str],
    control: int = 101,
    *,
    ta1: str = "0",
    receiver: str = "NORDEDI",
    version: str = "00401",
) -> str:
    head = (
        f"ISA*00*          *00*          *ZZ*{'MLCNO01':15}*ZZ*{receiver:15}*261121*0915*U*{version}"
        f"*{control:09d}*{ta1}*T*>~"
    )
    return f"{head}{''.join(groups)}IEA*{len(groups)}*{control:09d}~"


def order(text: str = ORDER, control: int = 101, **options: Any) -> str:
    return interchange([group("PO", [transaction("850", text)], control)], control, **options)


def invoice(text: str = INVOICE, control: int = 102) -> str:
    return interchange([group("IN", [transaction("810", text)], control)], control)


def acknowledge(gs06: str, status: str = "A", control: int = 900) -> str:
    text = f"AK1*SH*{gs06}~AK2*856*0001~AK5*{status}~AK9*{status}*1*1*{0 if status == 'R' else 1}~"
    return interchange([group("FA", [transaction("997", text)], control)], control)


def exact(reply: requests.Response) -> Any:
    return json.loads(reply.text, parse_float=Decimal)


class Mailbox:
    """Plain requests against the simulated tenant, as the mailbox's account."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.root = sandbox, f"{sandbox.url}/cleo"
        self.world: World = sandbox.cleo.world
        self.switches, self.faults, self.clock = sandbox.cleo.switches, sandbox.faults, sandbox.clock
        self.http = requests.Session()
        self.token = self.login().json()["access_token"]

    def form(self, **changes: str) -> dict[str, str]:
        account = self.world.login
        return {"grant_type": "password", "username": account.user, "password": account.password} | changes

    def login(self, **changes: str) -> requests.Response:
        return self.http.post(f"{self.root}/api/authentication", data=self.form(**changes), timeout=30)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        options.setdefault("timeout", 10)
        return self.http.request(method, f"{self.root}{path}", headers=headers, **options)

    def upload(self, content: str | bytes, name: str = "850_1.edi") -> requests.Response:
        raw = content.encode() if isinstance(content, str) else content
        return self.call("POST", "/api/files/upload", files={"file": (name, raw)})

    def listed(self, folder: str = "download") -> list[str]:
        reply = self.call("GET", f"/api/files/{folder}")
        assert reply.status_code == 200, reply.text
        return [file["name"] for file in reply.json()["resources"]]

    def get(self, name: str) -> requests.Response:
        return self.call("GET", f"/api/files/download/{quote(name)}")

    def delete(self, name: str) -> requests.Response:
        return self.call("DELETE", f"/api/files/download/{quote(name)}")

    def texts(self) -> list[str]:
        """Everything in the download folder, oldest first."""
        return [self.get(name).content.decode() for name in self.listed()]

    def control(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.root}/control{path}", timeout=10, **options)

    def received(self) -> Any:
        return exact(self.control("GET", "/received"))

    def ship(self, number: str = "PO000123", how: str = "full", **options: Any) -> Any:
        reply = self.control("POST", "/ship", json={"order": number, "how": how, **options})
        assert reply.status_code == 200, reply.text
        return exact(reply)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def segments(text: str, name: str = "") -> list[str]:
    """The segments of a text, or those of one name, without the terminator."""
    found = [segment.strip() for segment in text.split("~") if segment.strip()]
    return [segment for segment in found if not name or segment.partition("*")[0] == name]


@pytest.fixture(scope="session")
def cleo_server() -> Iterator[tuple[Sandbox, Any]]:
    clock, faults, log = SandboxClock(), Faults(), CallLog()
    vendor = CleoVendor(clock, faults, log=log)
    vendor.world.companies = {"MLCNO01": "NO01"}
    sandbox = Sandbox([vendor], clock, faults, log, seed=1)
    with serving(sandbox):
        yield sandbox, vendor.dump()


@pytest.fixture
def sandbox(cleo_server: tuple[Sandbox, Any]) -> Sandbox:
    running, first = cleo_server
    running.cleo.load(first)
    running.faults.clear()
    running.log.reset()
    return running


@pytest.fixture
def mailbox(sandbox: Sandbox) -> Iterator[Mailbox]:
    mailbox = Mailbox(sandbox)
    yield mailbox
    mailbox.http.close()
